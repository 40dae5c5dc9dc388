// `pvecm add --use_ssh` (pvecm.md §1.2): root's ssh to the member takes the place of the password. The original copies key and corosync.conf that way; here
// the member is asked for a join token, and the join is the same as any other, with all its checks and the way back.
import * as v from "valibot";
import { madeJoinToken } from "../../answers/join.ts";
import { CommandFailure } from "../../exit.ts";
import { reasonOf, type Result } from "../../../result.ts";
import { runProgram } from "../../remote/program.ts";

/** Asks for a password at the terminal where there is no key. */
const sshDefault = ["ssh", "-l", "root"] as const;
const makeToken = "quorate join-token --lifetime 10m --json";

/** A token of the member at `host`. Rejects with a CommandFailure. */
export async function tokenBySsh(
  host: string,
  ssh: readonly string[] = sshDefault,
): Promise<string> {
  // A word that ssh would take for an option, or a shell for more than a name, is none.
  if (!/^[A-Za-z0-9:][A-Za-z0-9.:%-]{0,252}$/.test(host)) {
    throw new CommandFailure(`hostname: '${host}' is no name or address of a member`);
  }
  const answer = await runProgram([...ssh, "--", host, makeToken], { stdio: "errorsToTerminal" });
  if (!answer.ok) {
    throw new CommandFailure(
      `${answer.reason}. The member must let root in by ssh and have quorate, which makes a join token there; without --use_ssh its API is asked, with the password of root: that goes with Proxmox's own nodes, too`,
    );
  }
  const token = tokenIn(answer.value);
  if (token.ok) return token.value;
  throw new CommandFailure(
    `'${host}' was asked for a join token and printed none: ${token.reason}`,
  );
}

function tokenIn(output: Uint8Array): Result<string> {
  try {
    const { text } = v.parse(madeJoinToken, JSON.parse(new TextDecoder().decode(output)));
    return { ok: true, value: text };
  } catch (error) {
    return { ok: false, reason: reasonOf(error) };
  }
}
