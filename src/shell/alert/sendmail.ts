// A mail by this machine's sendmail (postfix, exim, msmtp and others have one of that name and form): the text on its standard input, each recipient an argument.
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { printable } from "../cli/text-table.ts";
import type { Mail } from "./mail.ts";

const searchPath = "/usr/sbin:/usr/lib:/usr/bin:/sbin:/bin";
const wordsBytesMax = 4096;
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
  try {
    // -i: a line with a dot is no end. Options end before addresses, none of which begins with a dash.
    const child = Bun.spawn([program, "-i", "-f", from, "--", ...to], {
      stdin: new TextEncoder().encode(`${content.replaceAll("\r\n", "\n")}\n`),
      stdout: "ignore",
      stderr: "pipe",
      env: { PATH: path, LC_ALL: "C.UTF-8", HOME: "/" },
    });
    let isLate = false;
    const reader = child.stderr.getReader();
    const timer = setTimeout(() => {
      isLate = true;
      child.kill("SIGKILL");
      // A child of its own may hold it open.
      void reader.cancel();
    }, waitMs);
    try {
      const words = await wordsOf(reader);
      const code = await child.exited;
      if (isLate) return failure(`sendmail has not ended within ${waitMs / 1000} s`);
      if (code === 0) return success(undefined);
      const why = exitWords[code] ?? `it ended with ${code}`;
      return failure(`sendmail refused the mail: ${why}${words === "" ? "" : ` (${words})`}`);
    } finally {
      clearTimeout(timer);
    }
  } catch (error) {
    return failure(`${program} could not be run: ${reasonOf(error)}`);
  }
}

/** Read to its end, so that its writer goes on. */
async function wordsOf(reader: {
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
}): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done || value === undefined) break;
    if (bytes < wordsBytesMax) pieces.push(value.subarray(0, wordsBytesMax - bytes));
    bytes += value.length;
  }
  const text = printable(new TextDecoder().decode(Buffer.concat(pieces)), " ");
  return text.replace(/\s+/g, " ").trim().slice(0, wordsCharactersMax);
}
