// The vote server's status for scripts: one form for `quorate qnetd status --json` and the page's /v1/status.
import type { QnetdStatus } from "../daemon/qnetd.ts";

export function statusJson(status: QnetdStatus): string {
  return `${JSON.stringify(status, null, 2)}\n`;
}
