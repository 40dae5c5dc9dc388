// The page's files as they are served: how much they weigh, what a browser may do with them, and that nothing in them points elsewhere.
import { expect, test } from "bun:test";
import { bundlePage } from "./bundle.ts";
import { pageFiles } from "./page-files.ts";

/** All that a browser loads, compressed. */
const transferredBytesMax = 150_000;

async function get(path: string, headers: Record<string, string> = {}, method = "GET") {
  return pageFiles(new Request(`https://node${path}`, { method, headers }));
}

const paths = Object.keys(await bundlePage());

test("one document, one script, one sheet, one icon; together they weigh little", async () => {
  expect(paths.map((path) => path.replace(/\.[0-9a-z]{8}\./, ".HASH."))).toEqual([
    ...["/", "/page/main.HASH.js", "/page/style.HASH.css", "/page/icon.svg"],
  ]);
  let bytes = 0;
  for (const path of paths) {
    const response = await get(path, { "accept-encoding": "gzip, br" });
    expect(response?.headers.get("content-encoding")).toBe("gzip");
    const content = new Uint8Array((await response?.arrayBuffer()) ?? new ArrayBuffer());
    expect(response?.headers.get("content-length")).toBe(String(content.length));
    const plain = await (await get(path))?.text();
    expect(new TextDecoder().decode(Bun.gunzipSync(content))).toBe(plain ?? "");
    bytes += content.length;
  }
  expect(bytes).toBeGreaterThan(5000);
  expect(bytes).toBeLessThan(transferredBytesMax);
});

test("the same source gives the same bytes", async () => {
  expect(await bundlePage()).toEqual(await bundlePage());
});

test("nothing is kept, nothing may be loaded from elsewhere or stand in the document itself", async () => {
  for (const path of paths) {
    const response = await get(path);
    const policy = response?.headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith("default-src 'none'; script-src 'self'; style-src 'self';");
    expect(policy).not.toMatch(/unsafe|\*|https?:/);
    expect(policy).toContain("frame-ancestors 'none'");
    expect(response?.headers.get("cache-control")).toBe("no-store");
    expect(response?.headers.get("x-content-type-options")).toBe("nosniff");
  }
  const document = (await (await get("/"))?.text()) ?? "";
  expect(document).not.toMatch(/<script(?![^>]* src="\/page\/)|<style|style=|onload=|https?:/);
  for (const path of paths.slice(1)) expect(document).toContain(`"${path}"`);
});

test("what is no file of the page is none, and nothing is changed by it", async () => {
  expect(await get("/page/")).toBeUndefined();
  expect(await get("/page/main.js")).toBeUndefined();
  expect(await get("/index.html")).toBeUndefined();
  expect(await get("/page/../../etc/passwd")).toBeUndefined();
  expect(await get("/", {}, "POST")).toBeUndefined();
  expect((await get("/", {}, "HEAD"))?.status).toBe(200);
});
