// One look, or one a second: what a screen, a pipe and a script get.
import { expect, test } from "bun:test";
import { CommandFailure } from "../exit.ts";
import { type Sight, watched } from "./watch.ts";

/** Looks until all answers were given. */
async function watching(
  answers: readonly (Sight | CommandFailure)[],
  more: { readonly json?: boolean; readonly isTerminal?: boolean },
): Promise<readonly string[]> {
  const written: string[] = [];
  const ending = new AbortController();
  let at = 0;
  await watched(
    async () => {
      const answer = answers[at] ?? expect.unreachable();
      at += 1;
      if (answer instanceof CommandFailure) throw answer;
      return answer;
    },
    {
      ...{ json: false, watch: true, isTerminal: false, everyMs: 1, ...more },
      signal: ending.signal,
      write: (text) => {
        written.push(text);
        if (written.length === answers.length) ending.abort();
      },
    },
  );
  return written;
}

const well: Sight = { text: "well\n", code: 0 };
const gone = new CommandFailure("no node answers");

test("a single look ends with its code, or as it fails", async () => {
  const written: string[] = [];
  const options = { json: false, watch: false, isTerminal: true };
  const write = (text: string): void => void written.push(text);
  expect(await watched(async () => ({ text: "ill\n", code: 1 }), { ...options, write })).toBe(1);
  expect(written).toEqual(["ill\n"]);
  const failing = watched(() => Promise.reject(gone), { ...options, write });
  expect(await failing.catch((error: unknown) => error)).toBe(gone);
});

test("a screen is cleared, a pipe is not, and both see a restart", async () => {
  const clear = "\u001b[H\u001b[2J";
  expect(await watching([well, gone, well], { isTerminal: true })).toEqual(
    ["well\n", "no node answers\n", "well\n"].map((text) => clear + text),
  );
  expect(await watching([well, gone], {})).toEqual(["well\n", "no node answers\n"]);
});

test("a script gets one line of JSON for each look", async () => {
  expect(await watching([well, gone], { json: true, isTerminal: true })).toEqual([
    "well\n",
    '{"error":"no node answers"}\n',
  ]);
});

test("who is not there at the start is not waited for; a bug is no restart", async () => {
  expect(await watching([gone, well], {}).catch((error: unknown) => error)).toBe(gone);
  const looks = [() => Promise.resolve(well), () => Promise.reject(new TypeError("a bug"))];
  const failing = watched(() => (looks.shift() ?? expect.unreachable())(), {
    ...{ json: false, watch: true, isTerminal: false, everyMs: 1 },
    write: () => {},
  });
  expect(await failing.catch((error: unknown) => error)).toBeInstanceOf(TypeError);
});
