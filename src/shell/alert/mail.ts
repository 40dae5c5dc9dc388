// A message as a mail (RFC 5322): headers that no value can break out of, for each is one line of printable ASCII, and a text that every way of mail takes. Pure.
import type { MailSettings } from "./settings.ts";
import { mailText, type Message, subjectOf } from "./meaning.ts";

export interface Mail {
  /** Envelope addresses. */
  readonly from: string;
  readonly to: readonly string[];
  /** Lines with \r\n, at most 998 bytes each. */
  readonly content: string;
}

const base64Line = 76;
/** Bytes of UTF-8 in an encoded word of 75 characters. */
const wordBytes = 42;

/** `hostname`: of this machine; `id`: letters and digits that no other mail has; `at`: Unix milliseconds. */
export function mailOf(
  settings: Pick<MailSettings, "to" | "from">,
  message: Message,
  { hostname, id, at }: { readonly hostname: string; readonly id: string; readonly at: number },
): Mail {
  const host = hostname.replace(/[^A-Za-z0-9.-]/g, "").slice(0, 64) || "localhost";
  const from = settings.from === "" ? `root@${host}` : settings.from;
  const text = mailText(message);
  const isPlain =
    /^[\n\x20-\x7e]*$/.test(text) && text.split("\n").every((line) => line.length < 900);
  const headers = [
    `From: quorate <${from}>`,
    ...settings.to.map(
      (address, index) =>
        `${index === 0 ? "To: " : "\t"}${address}${index === settings.to.length - 1 ? "" : ","}`,
    ),
    `Subject: ${encodedHeader(subjectOf(message))}`,
    `Date: ${new Date(at).toUTCString().replace("GMT", "+0000")}`,
    `Message-ID: <${id.replace(/[^\w-]/g, "").slice(0, 64)}@${host}>`,
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    `Content-Transfer-Encoding: ${isPlain ? "7bit" : "base64"}`,
  ];
  const body = isPlain ? text.split("\n") : base64Lines(text);
  return { from, to: settings.to, content: [...headers, "", ...body].join("\r\n") };
}

/** RFC 2047 where it is not ASCII; folded. */
function encodedHeader(text: string): string {
  const line = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, " ");
  if (/^[\x20-\x7e]*$/.test(line) && !line.includes("=?")) return line;
  const pieces: string[] = [];
  let piece = "";
  for (const character of line) {
    if (Buffer.byteLength(piece + character) > wordBytes) {
      pieces.push(piece);
      piece = "";
    }
    piece += character;
  }
  pieces.push(piece);
  return pieces.map((each) => `=?utf-8?B?${Buffer.from(each).toString("base64")}?=`).join("\r\n ");
}

function base64Lines(text: string): readonly string[] {
  const all = Buffer.from(text.replaceAll("\n", "\r\n")).toString("base64");
  return [...(all.match(new RegExp(`.{1,${base64Line}}`, "g")) ?? []), ""];
}
