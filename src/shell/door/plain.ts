// Plain HTTP on the port of the network API is answered with the https address of what was asked for (pvecm.md §4.1): 301, or 308 where
// a method other than GET and HEAD must be kept. Nothing else of a plain request is looked at. Pure.

/** Of a plain head; a browser's address line with cookies has 2 KB. */
export const plainHeadBytesMax = 8192;

/** The answer to what has come so far; undefined: the head is not whole yet. `host`: where it came to, if its Host says nothing usable. */
export function plainAnswer(received: string, host: string): string | undefined {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0 && received.length <= plainHeadBytesMax) return undefined;
  const [first = "", ...lines] = received.slice(0, Math.max(0, end)).split("\r\n");
  const [, method = "", target = ""] =
    /^([A-Z]{1,16}) (\/[\x21-\x7e]*) HTTP\/1\.[01]$/.exec(first) ?? [];
  if (method === "") return answer("400 Bad Request", []);
  const named = lines.flatMap((line) => /^host:[ \t]*(\S*)[ \t]*$/i.exec(line)?.[1] ?? [])[0] ?? "";
  const isName = /^(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/.test(named);
  const isKept = method !== "GET" && method !== "HEAD";
  return answer(isKept ? "308 Permanent Redirect" : "301 Moved Permanently", [
    `location: https://${isName ? named : host}${target}`,
  ]);
}

function answer(status: string, headers: readonly string[]): string {
  const all = [...headers, "content-length: 0", "connection: close"];
  return `HTTP/1.1 ${status}\r\n${all.join("\r\n")}\r\n\r\n`;
}
