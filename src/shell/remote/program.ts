// Programs that reach another machine for a command line: ssh, ssh-copy-id. They may ask at the terminal.
import { type Result, failure, reasonOf, success } from "../../result.ts";

/** For a command on the other machine, and whoever types a password: making keys takes seconds. */
const commandMsMax = 120_000;
const outputBytesMax = 1024 * 1024;

export interface ProgramOptions {
  readonly input?: Uint8Array;
  /** Whose are input, output and errors: all ours (default), the errors the terminal's, or all of them. */
  readonly stdio?: "ours" | "errorsToTerminal" | "terminal";
}

/** Its standard output; the reason is the command and what it said, as far as it said it to us. */
export async function runProgram(
  command: readonly string[],
  { input, stdio = "ours" }: ProgramOptions = {},
): Promise<Result<Uint8Array>> {
  const text = command.join(" ");
  try {
    const child = Bun.spawn([...command], {
      stdin: stdio === "terminal" ? "inherit" : (input ?? "ignore"),
      stdout: stdio === "terminal" ? "inherit" : "pipe",
      stderr: stdio === "ours" ? "pipe" : "inherit",
      timeout: commandMsMax,
      maxBuffer: outputBytesMax,
    });
    const [stdout, stderr] = await Promise.all([
      child.stdout === undefined ? new Uint8Array(0) : child.stdout.bytes(),
      child.stderr === undefined ? "" : child.stderr.text(),
    ]);
    const code = await child.exited;
    if (code === 0) return success(stdout);
    const said = stderr.trim();
    return failure(`command '${text}' failed: ${said === "" ? "" : `${said}; `}exit code ${code}`);
  } catch (error) {
    return failure(`command '${text}' failed: ${reasonOf(error)}`);
  }
}
