// A message to a webhook: one POST of a JSON object, with a time limit, an answer of which only a little is read, and no way to elsewhere. The certificate of
// the other side is always verified.
import { rootCertificates } from "node:tls";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { printable } from "../cli/text-table.ts";
import type { WebhookSettings } from "./settings.ts";

const answerBytesMax = 4096;
const wordsCharactersMax = 200;

export interface WebhookOptions {
  /** Milliseconds, from the name's look-up to the end of the answer. */
  readonly waitMs: number;
  /** Certificates in PEM that count beside the system's; "": none. */
  readonly authorities: string;
}

/** Never rejects. A failure says what happened and what to do, without anything of the address but its machine. */
export async function postWebhook(
  { url, headers }: WebhookSettings,
  message: object,
  { waitMs, authorities }: WebhookOptions,
): Promise<Result<undefined>> {
  const { host } = new URL(url);
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json", "user-agent": "quorate" },
      body: JSON.stringify(message),
      redirect: "manual",
      keepalive: false,
      decompress: false,
      signal: AbortSignal.timeout(waitMs),
      tls: {
        rejectUnauthorized: true,
        ...(authorities === "" ? {} : { ca: [...rootCertificates, authorities] }),
      },
    });
    const words = await firstWords(response);
    const { status } = response;
    if (status >= 200 && status < 300) return success(undefined);
    if (status >= 300 && status < 400) {
      return failure(
        `${host} sends elsewhere (HTTP status ${status}), where no alert follows: set the address that it means`,
      );
    }
    return failure(`${host} refused it (HTTP status ${status})${words === "" ? "" : `: ${words}`}`);
  } catch (error) {
    return failure(`${host} ${faultText(error, waitMs)}`);
  }
}

/** The rest is not read, however much there is. */
async function firstWords({ body, headers }: Response): Promise<string> {
  if (body === null) return "";
  const reader = body.getReader();
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  while (bytes < answerBytesMax) {
    const { done, value } = await reader.read();
    if (done) break;
    pieces.push(value.subarray(0, answerBytesMax - bytes));
    bytes += value.length;
  }
  await reader.cancel();
  if (headers.has("content-encoding")) return "";
  const text = printable(new TextDecoder().decode(Buffer.concat(pieces)), " ").trim();
  return text.slice(0, wordsCharactersMax);
}

/** Goes on after the machine's name. */
function faultText(error: unknown, waitMs: number): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  const name = error instanceof Error ? error.name : "";
  if (name === "TimeoutError") return `has not answered within ${waitMs / 1000} s`;
  if (/refused/i.test(code)) return "cannot be reached: nothing listens at that address and port";
  if (/NOTFOUND|EAI|FailedToOpenSocket|ConnectionFailed/i.test(code)) {
    return "cannot be reached: its name is not known here, or there is no way to it";
  }
  if (/CERT|SELF_SIGNED|VERIFY|TLS|SSL|ALTNAME/i.test(code)) {
    return `shows a certificate that is not trusted here (${code}): it must be good for that name and come from an authority that this machine, or quorate-alert-ca.pem of /etc/pve, knows`;
  }
  return `broke the request off (${printable(code || reasonOf(error)).slice(0, wordsCharactersMax)})`;
}
