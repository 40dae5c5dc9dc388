// A mail by this machine's sendmail (postfix, exim, msmtp and others have one of that name and form): the text on its standard input, each recipient an argument.
import { type Result, failure, success } from "../../result.ts";
import { programRunner } from "../machine/programs.ts";
import type { Mail } from "./mail.ts";

const searchPath = "/usr/sbin:/usr/lib:/usr/bin:/sbin:/bin";
const wordsCharactersMax = 200;

/** sysexits.h, as far as every sendmail has them. */
const exitWords: Readonly<Record<number, string>> = {
  64: "it does not take this command line",
  65: "it does not take the message",
  67: "it does not know a recipient",
  69: "its service does not run",
  75: "it cannot take the mail now",
  78: "its configuration is wrong",
};

export interface SendmailOptions {
  /** Milliseconds; then it is killed. */
  readonly waitMs: number;
  /** Where sendmail is, as in PATH. */
  readonly path?: string;
}

/** Never rejects. Success: sendmail has taken the mail, which may be in its queue. */
export async function sendBySendmail(
  { from, to, content }: Mail,
  { waitMs, path = searchPath }: SendmailOptions,
): Promise<Result<undefined>> {
  const program = Bun.which("sendmail", { PATH: path });
  if (program === null) {
    return failure(
      "there is no sendmail on this machine: install postfix or another mail server, or set mail-by to smtp://HOST",
    );
  }
  // -i: a line with a dot is no end. Options end before addresses, none of which begins with a dash.
  const end = await programRunner(path)([program, "-i", "-f", from, "--", ...to], {
    waitMs,
    onOutput: () => true,
    input: new TextEncoder().encode(`${content.replaceAll("\r\n", "\n")}\n`),
    environment: { HOME: "/" },
  });
  if (end.kind === "absent") return failure(`${program} could not be run: ${end.words}`);
  if (end.kind === "late") return failure(`sendmail has not ended within ${waitMs / 1000} s`);
  if (end.code === 0) return success(undefined);
  const why = exitWords[end.code] ?? `it ended with ${end.code}`;
  const words = end.words.slice(0, wordsCharactersMax);
  return failure(`sendmail refused the mail: ${why}${words === "" ? "" : ` (${words})`}`);
}
