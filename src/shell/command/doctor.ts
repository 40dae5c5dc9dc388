// `quorate doctor --self`: does this executable work on this machine? Asked of a new file before it is installed (U2), by the builder of
// every file it makes, and by anybody who wants to know.
import { exitFailed, exitOk } from "../exit.ts";
import { runCheck, selfChecks } from "../self-test/checks.ts";

export interface DoctorOptions {
  readonly root: string;
  /** Only what this role needs; undefined: everything. */
  readonly role: "node" | "qnetd" | undefined;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

/** Exit code 0 when every check holds, 1 when one does not. */
export async function doctorCommand(options: DoctorOptions): Promise<number> {
  const { root, role, json, write } = options;
  const results: { readonly name: string; readonly ok: boolean; readonly reason: string }[] = [];
  for (const check of selfChecks) {
    if (role !== undefined && check.role !== undefined && check.role !== role) continue;
    const fault = await runCheck(check, root);
    results.push({ name: check.name, ok: fault === undefined, reason: fault ?? "" });
    if (!json)
      write(
        `${fault === undefined ? "ok    " : "FAILED"}  ${check.name}${fault === undefined ? "" : `: ${fault}`}\n`,
      );
  }
  const failed = results.filter(({ ok }) => !ok).length;
  if (json) write(`${JSON.stringify({ ok: failed === 0, checks: results }, null, 2)}\n`);
  else if (failed > 0) {
    write(
      `${failed} of ${results.length} checks failed: do not run this file ${role === undefined ? "here before they hold for the role you need (--role node|qnetd)" : `as ${role} here`}.\n`,
    );
  }
  return failed === 0 ? exitOk : exitFailed;
}
