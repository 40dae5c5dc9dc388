// A release directory over HTTP on the loopback address, for tests, for trying a release before it is published, and behind
// a web server of one's own. Knows ranges, so that a cut download goes on. Serves plain names only, never a path.
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readManifest } from "../src/shell/release/manifest.ts";

export interface Mirror {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

const hostname = "127.0.0.1";

/** Serves the files of `directory` at `url`/NAME, and those of version X also at `url`/vX/NAME. `port` 0: any free one. */
export function serveMirror(directory: string, port = 0): Mirror {
  const server = Bun.serve({
    hostname,
    port,
    fetch: (request) => answer(directory, request),
  });
  return { url: `http://${hostname}:${server.port}`, stop: () => server.stop(true) };
}

function answer(directory: string, request: Request): Response {
  if (request.method !== "GET" && request.method !== "HEAD")
    return new Response("only GET and HEAD\n", { status: 405, headers: { allow: "GET, HEAD" } });
  const file = fileAt(directory, new URL(request.url).pathname);
  if (file === undefined) return new Response("no such file in this release\n", { status: 404 });
  const { size } = statSync(file);
  const range = rangeOf(request.headers.get("range"), size);
  const headers = { "accept-ranges": "bytes", "content-type": "application/octet-stream" };
  if (range === "beyond") {
    return new Response("", {
      status: 416,
      headers: { ...headers, "content-range": `bytes */${size}` },
    });
  }
  const [from, to] = range ?? [0, size];
  const all = {
    ...headers,
    "content-length": String(to - from),
    ...(range === undefined ? {} : { "content-range": `bytes ${from}-${to - 1}/${size}` }),
  };
  const body = request.method === "HEAD" ? null : Bun.file(file).slice(from, to);
  return new Response(body, { status: range === undefined ? 200 : 206, headers: all });
}

/** /NAME, or /vVERSION/NAME: in a directory of that name, or here when this is that version. */
function fileAt(directory: string, path: string): string | undefined {
  const match = /^\/(?:(v[0-9A-Za-z.+-]+)\/)?([A-Za-z0-9][A-Za-z0-9._-]*)$/.exec(decoded(path));
  const [, folder, name] = match ?? [];
  if (name === undefined) return undefined;
  const place =
    folder === undefined || folder === `v${versionIn(directory)}`
      ? directory
      : join(directory, folder);
  const file = join(place, name);
  return existsSync(file) && statSync(file).isFile() ? file : undefined;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return ""; // No name of ours is written that way.
  }
}

function versionIn(directory: string): string | undefined {
  const file = join(directory, "manifest.json");
  if (!existsSync(file)) return undefined;
  const manifest = readManifest(readFileSync(file));
  return manifest.ok ? manifest.value.version : undefined;
}

/** First byte and the one after the last; undefined: all of it (no range, or a form that may be passed over). */
function rangeOf(
  header: string | null,
  size: number,
): readonly [number, number] | "beyond" | undefined {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  const [, first = "", last = ""] = match ?? [];
  if (match === null || (first === "" && last === "")) return undefined;
  if (first === "") {
    const tail = Math.min(Number(last), size);
    return tail === 0 ? "beyond" : [size - tail, size];
  }
  const from = Number(first);
  const to = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < from) return undefined;
  return from >= size ? "beyond" : [from, to];
}
