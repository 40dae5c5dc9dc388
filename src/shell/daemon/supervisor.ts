// OpenRC's supervise-daemon starts a service again whatever it ended with; systemd and our own script know the codes that no other
// start would change. It gives up at a SIGTERM, also at one that its child sends.
import { readFileSync } from "node:fs";
import { exitConfiguration, exitUsage } from "../exit.ts";

/** The kernel keeps 15 bytes of a name. */
const supervisorName = "supervise-daemo";

/** Asks a supervise-daemon that started this process not to do so again, when `code` will be the same every time. */
export function endSupervision(code: number): void {
  if (code !== exitUsage && code !== exitConfiguration) return;
  if (process.env["RC_SVCNAME"] === undefined) return;
  try {
    if (readFileSync(`/proc/${process.ppid}/comm`, "latin1").trim() !== supervisorName) return;
    process.kill(process.ppid, "SIGTERM");
  } catch {
    // Not ours to signal (the vote server is no root): it is started three times more and then given up.
  }
}
