// A daemon replaces itself by the program at its path, as it was called: same process id, so its service manager, container or terminal sees
// no end. To be called when everything that it held is given back.
import { readFileSync } from "node:fs";
import { reasonOf } from "../../result.ts";

/** Returns only when it failed, with the reason: the process is then to end, and whoever watches it starts it again. */
export async function restartInPlace(): Promise<string> {
  // What was written last is in the log before the process is another.
  await Promise.all(
    [process.stdout, process.stderr].map(
      (stream) => new Promise<void>((resolve) => stream.write("", () => resolve())),
    ),
  );
  const words = readFileSync("/proc/self/cmdline", "utf8").split("\0").slice(0, -1);
  if (process.execve === undefined) return "this runtime cannot replace its process";
  try {
    return process.execve(process.execPath, words, process.env);
  } catch (error) {
    return `${process.execPath} could not be started in place: ${reasonOf(error)}`;
  }
}
