// Questions on a real terminal: every key reaches its question, hidden ones are not shown, and the process ends afterwards.
import { expect, test } from "bun:test";
import { join } from "node:path";

const program = join(import.meta.dir, "terminal-program.ts");
const waitMs = 50_000;

/** Types each text as soon as the one before it has appeared: what the terminal showed, its echo's state at the end, and how the process ended. */
async function typing(script: readonly (readonly [shown: string, typed: string])[]) {
  let shown = "";
  let at = 0;
  let seen = 0;
  const decoder = new TextDecoder();
  const ended = Promise.withResolvers<void>();
  const child = Bun.spawn([process.execPath, program], {
    terminal: {
      data: (terminal, bytes) => {
        shown += decoder.decode(bytes, { stream: true });
        for (let next = script[at]; next !== undefined; next = script[at]) {
          const found = shown.indexOf(next[0], seen);
          if (found < 0) return;
          seen = found + next[0].length;
          at += 1;
          terminal.write(next[1]);
        }
      },
      exit: () => ended.resolve(),
    },
  });
  const limit = setTimeout(() => child.kill("SIGKILL"), waitMs);
  const code = await child.exited;
  await ended.promise;
  clearTimeout(limit);
  return { shown, code, signal: child.signalCode };
}

test("what is typed or pasted goes to the question that was asked, and the process ends", async () => {
  for (const paste of ["gehéim\r", "gehéimü\u007f\r"]) {
    const { shown, code, signal } = await typing([
      ["(yes/no)? ", "yes\r"],
      ["Secret: ", paste],
    ]);
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    expect(shown).toContain("(yes/no)? yes");
    expect(shown).toContain("heard yes");
    expect(shown).toContain("told 6 letters, the right ones");
    expect(shown).not.toContain("geh");
  }
});

test("Ctrl-C is an answer too, after which the process ends by itself", async () => {
  const { shown, signal, code } = await typing([["(yes/no)? ", "y\u0003"]]);
  expect(shown).toContain("interrupted; nothing was changed");
  expect({ signal, isGood: code === 0 }).toEqual({ signal: null, isGood: false });
});
