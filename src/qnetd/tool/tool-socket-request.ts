// The requests of the vote server's local socket (qnetd.md §6), both ways: one line of words, some quoted. Byte strings throughout;
// must never throw on what a local user sends.
import { byteString, bytesOf } from "../../bytes.ts";

const statusBytesMax = 16;

export type ToolRequest =
  | { readonly kind: "status"; readonly isVerbose: boolean }
  /** `cluster`: a byte string; undefined: all. */
  | { readonly kind: "list"; readonly isVerbose: boolean; readonly cluster: string | undefined }
  | { readonly kind: "shutdown" }
  /** Ours: everything as JSON. An original server calls it unknown. */
  | { readonly kind: "snapshot" }
  /** `reason`: the original's text, a byte string. */
  | { readonly kind: "error"; readonly reason: string };

/** What a tool asks for; verbose and cluster are sent with every command, as the original does. */
export interface ToolCommand {
  readonly command: Exclude<ToolRequest["kind"], "error">;
  readonly isVerbose: boolean;
  /** A byte string; undefined: all. */
  readonly cluster: string | undefined;
}

/** The line of a command, with the blank before its end. */
export function encodeToolCommand({ command, isVerbose, cluster }: ToolCommand): Uint8Array {
  const words: string[] = [command];
  if (isVerbose) words.push("verbose");
  if (cluster !== undefined) words.push("cluster", `"${cluster.replaceAll(/["\\]/g, "\\$&")}"`);
  return bytesOf(`${words.join(" ")} \n`);
}

/** An answer: its text, the daemon's reason, or neither. */
export type ToolReply =
  | { readonly kind: "ok" | "error"; readonly text: Uint8Array }
  | { readonly kind: "unknown" | "cut" };

/** Reads a whole answer: a line that says how it went, then the text. "cut": the line has no end. */
export function readToolReply(bytes: Uint8Array): ToolReply {
  const end = bytes.indexOf(10);
  if (end < 0) return { kind: "cut" };
  const status = byteString(bytes.subarray(0, Math.min(end, statusBytesMax))).replace(/\r$/, "");
  const text = bytes.subarray(end + 1);
  switch (status.toLowerCase()) {
    case "ok":
      return { kind: "ok", text };
    case "error":
      return { kind: "error", text };
    default:
      return { kind: "unknown" };
  }
}

/** What a line asks for; `line` is a byte string without its end. */
function readToolRequest(line: string): ToolRequest {
  const [command = "", ...words] = wordsOf(line);
  switch (command.toLowerCase()) {
    case "":
      return { kind: "error", reason: "No command specified" };
    case "status":
      return { kind: "status", isVerbose: words[0]?.toLowerCase() === "verbose" };
    case "list":
      return listRequest(words);
    case "shutdown":
      return { kind: "shutdown" };
    case "snapshot":
      return { kind: "snapshot" };
    default:
      return { kind: "error", reason: `Unknown command '${command}'` };
  }
}

/** The first unknown word ends the options. An empty or missing name means all clusters. */
function listRequest(words: readonly string[]): ToolRequest {
  let isVerbose = false;
  let cluster: string | undefined;
  for (let at = 0; at < words.length; at += 1) {
    const word = words[at]?.toLowerCase();
    if (word === "verbose") isVerbose = true;
    else if (word === "cluster") cluster = words[(at += 1)] || undefined;
    else break;
  }
  return { kind: "list", isVerbose, cluster };
}

/**
 * The words of a line, as the original cuts them: white space parts them, quotes join, a backslash takes any character outside of
 * quotes, only `"` and `\` inside. What is open at the end of the line is closed by it.
 */
function wordsOf(line: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let isQuoted = false;
  for (let at = 0; at < line.length; at += 1) {
    const character = line[at] ?? "";
    const next = line[at + 1];
    const isEscape =
      character === "\\" && (!isQuoted || next === '"' || next === "\\") && next !== undefined;
    if (isEscape) {
      word = (word ?? "") + next;
      at += 1;
    } else if (character === '"') {
      isQuoted = !isQuoted;
      word ??= "";
    } else if (!isQuoted && /[ \t\v\f\r\n]/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character !== "\\" || isQuoted) {
      word = (word ?? "") + character;
    }
  }
  if (word !== undefined) words.push(word);
  return words;
}

/** Collects one request; what follows its line is ignored. */
export class ToolRequestReader {
  readonly #bytesMax: number;
  readonly #read: (line: string) => ToolRequest;
  #text = "";
  #isWhole = false;

  /** `bytesMax`: the longest request, its end included. */
  constructor(options: {
    readonly bytesMax: number;
    readonly read?: (line: string) => ToolRequest;
  }) {
    this.#bytesMax = options.bytesMax;
    this.#read = options.read ?? readToolRequest;
  }

  /** Adds received bytes: the request once it is whole, "tooLong", or undefined when more is needed. */
  push(bytes: Uint8Array): ToolRequest | "tooLong" | undefined {
    if (this.#isWhole) return undefined;
    const room = this.#bytesMax - this.#text.length;
    const taken = bytes.subarray(0, Math.max(0, room));
    for (const byte of taken) {
      if (byte === 10 || byte === 13) {
        this.#isWhole = true;
        // A NUL ends the text in the original too.
        const [line = ""] = this.#text.split("\0", 1);
        return this.#read(line);
      }
      this.#text += String.fromCharCode(byte);
    }
    if (this.#text.length < this.#bytesMax) return undefined;
    this.#isWhole = true;
    return "tooLong";
  }
}
