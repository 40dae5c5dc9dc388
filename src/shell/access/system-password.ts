// A user of this machine gets another password: by chpasswd, which every distribution has (Debian's passwd, Alpine's busybox) and which knows how
// /etc/shadow is locked and replaced. The hash goes over its input, never over its command line.
import { type Result, failure, reasonOf, success } from "../../result.ts";

const waitMsMax = 30_000;

/** `hash`: as crypt(3) makes it. Never rejects. */
export async function setSystemPassword(name: string, hash: string): Promise<Result<undefined>> {
  if (/[:\n\r]/.test(name) || /[:\n\r]/.test(hash)) return failure("that is no user's name");
  try {
    const child = Bun.spawn(["chpasswd", "-e"], {
      stdin: new TextEncoder().encode(`${name}:${hash}\n`),
      stdout: "ignore",
      stderr: "pipe",
      timeout: waitMsMax,
      killSignal: "SIGKILL",
    });
    const said = await new Response(child.stderr).text();
    if ((await child.exited) === 0) return success(undefined);
    return failure(
      `chpasswd on this node: ${said.trim().split("\n")[0]?.slice(0, 200) || "it failed"}`,
    );
  } catch (error) {
    return failure(`chpasswd cannot be run on this node: ${reasonOf(error)}`);
  }
}
