// The new file, verified and beside the old one, proves that it works here before it gets the name (U2).
import { mkdirSync } from "node:fs";
import { reasonOf } from "../../result.ts";
import type { Role } from "./events.ts";
import type { UpgradePlaces } from "./places.ts";
import { withoutHooks } from "../unit/runtime-hooks.ts";

/** A small machine under emulation takes its time. */
const testMsMax = 120_000;
const wordsMax = 2000;
const ownerOnly = 0o700;

/** Undefined when it is the version it should be and passes `doctor --self` for what runs here; else what failed. */
export async function testStaged(
  places: UpgradePlaces,
  version: string,
  roles: readonly Role[],
): Promise<string | undefined> {
  mkdirSync(places.temporary, { recursive: true, mode: ownerOnly });
  const line = await output(places, ["--version"]);
  if (typeof line === "string") return `it does not start: ${line}`;
  const said = /^quorate (\S+) /.exec(line.text)?.[1];
  if (said !== version) return `it says it is ${line.text.trim()}, not version ${version}`;
  // Where nothing runs it is a vote server's machine at least; what a node needs besides, its own start tells.
  const asked: readonly Role[] = roles.length === 0 ? ["qnetd"] : roles;
  for (const role of asked) {
    const words = ["doctor", "--self", "--role", role, "--root", places.root];
    const tested = await output(places, words);
    if (typeof tested === "string") return `its self-test failed: ${tested}`;
  }
  return undefined;
}

async function output(
  places: UpgradePlaces,
  words: readonly string[],
): Promise<{ readonly text: string } | string> {
  try {
    const child = Bun.spawn([places.next, ...words], {
      env: withoutHooks(process.env, { TMPDIR: places.temporary }),
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
      timeout: testMsMax,
      killSignal: "SIGKILL",
    });
    const [text, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    if (code === 0) return { text };
    return `${text}${error}`.trim().slice(-wordsMax) || `exit code ${code}`;
  } catch (error) {
    return reasonOf(error);
  }
}
