// The page's own files over the network: no login, nothing about the cluster in them, and a policy under which a browser runs no other script, loads
// nothing from elsewhere and keeps nothing.
import { reasonOf } from "../../../result.ts";
import { embeddedPage } from "./embedded.ts";

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join("; ");

const shared = {
  "cache-control": "no-store",
  "content-security-policy": policy,
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
};

const types: Readonly<Record<string, string>> = {
  js: "text/javascript;charset=utf-8",
  css: "text/css;charset=utf-8",
  svg: "image/svg+xml",
};

interface PageFile {
  readonly type: string;
  readonly plain: Uint8Array<ArrayBuffer>;
  readonly packed: Uint8Array<ArrayBuffer>;
}

/** Made at the first request, and once. */
let files: Promise<ReadonlyMap<string, PageFile>> | undefined;

/** Answers GET and HEAD of a file of the page; undefined: there is none of that name. Never rejects. */
export async function pageFiles(request: Request): Promise<Response | undefined> {
  if (request.method !== "GET" && request.method !== "HEAD") return undefined;
  const { pathname } = new URL(request.url);
  if (pathname !== "/" && !pathname.startsWith("/page/")) return undefined;
  files ??= readFiles();
  try {
    const file = (await files).get(pathname);
    return file && answer(file, request);
  } catch (error) {
    return new Response(`${reasonOf(error)}\n`, { status: 500, headers: shared });
  }
}

function answer({ type, plain, packed }: PageFile, { headers }: Request): Response {
  const isPacked = /\bgzip\b/.test(headers.get("accept-encoding") ?? "");
  const content = isPacked ? packed : plain;
  return new Response(content, {
    headers: {
      ...shared,
      "content-type": type,
      "content-length": `${content.length}`,
      vary: "accept-encoding",
      ...(isPacked ? { "content-encoding": "gzip" } : {}),
    },
  });
}

async function readFiles(): Promise<ReadonlyMap<string, PageFile>> {
  const texts = await embeddedPage();
  return new Map(
    Object.entries(texts).map(([path, text]) => {
      const plain = new TextEncoder().encode(text);
      const type = types[path.split(".").at(-1) ?? ""] ?? "text/html;charset=utf-8";
      return [path, { type, plain, packed: Bun.gzipSync(plain, { level: 9 }) }];
    }),
  );
}
