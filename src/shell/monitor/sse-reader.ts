// Reads server-sent events out of pieces of bytes (HTML standard, 9.2.6): an event ends with an empty line, wherever the pieces are cut. Pure, bounded.

export interface SseMessage {
  /** "message" when none was given. */
  readonly event: string;
  readonly data: string;
  /** Of the event, or of the last one that had one; "": none had. */
  readonly id: string;
}

/** A longer line is none of ours: what is behind it in the same event is dropped with it. */
const lineCharactersMax = 1024 * 1024;

export class SseReader {
  readonly #decoder = new TextDecoder();
  #rest = "";
  #event = "";
  #data: string[] = [];
  #id = "";

  /** The events that these bytes complete. */
  take(bytes: Uint8Array): readonly SseMessage[] {
    const lines = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    const rest = lines.pop() ?? "";
    this.#rest = rest.length > lineCharactersMax ? "" : rest;
    const messages: SseMessage[] = [];
    for (const line of lines) {
      const message = this.#line(line.replace(/\r$/, ""));
      if (message !== undefined) messages.push(message);
    }
    return messages;
  }

  #line(line: string): SseMessage | undefined {
    if (line === "") {
      const message = {
        event: this.#event || "message",
        data: this.#data.join("\n"),
        id: this.#id,
      };
      const isEmpty = this.#data.length === 0;
      this.#event = "";
      this.#data = [];
      return isEmpty ? undefined : message;
    }
    const [, field = "", value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
    if (field === "event") this.#event = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }
}
