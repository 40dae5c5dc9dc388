// The mirror as curl and wget meet it: whole files, ranges, resumed downloads, versions, and nothing but the release.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serveMirror } from "../../build/mirror.ts";
import { makeSmallRelease } from "./signed-release.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-mirror-"));
const { directory } = await makeSmallRelease(base);
const large = new Uint8Array(3_000_000).map((_, at) => at * 7);
writeFileSync(join(directory, "large.bin"), large);
writeFileSync(join(base, "secret"), "secret");
mkdirSync(join(directory, "v0.0.9"));
writeFileSync(join(directory, "v0.0.9", "manifest.json"), "the old one");
const mirror = serveMirror(directory);
afterAll(async () => {
  await mirror.stop();
  rmSync(base, { recursive: true, force: true });
});

async function get(path: string, range?: string): Promise<Response> {
  const headers: Record<string, string> = range === undefined ? {} : { range };
  return fetch(`${mirror.url}${path}`, { headers });
}

describe("the mirror", () => {
  test("gives every byte with its length", async () => {
    const response = await get("/large.bin");
    expect(response.headers.get("content-length")).toBe(String(large.length));
    expect(Buffer.from(await response.arrayBuffer()).equals(large)).toBe(true);
    const head = await fetch(`${mirror.url}/large.bin`, { method: "HEAD" });
    expect([head.status, head.headers.get("content-length")]).toEqual([200, String(large.length)]);
  });

  test.each([
    ["bytes=0-0", 0, 1],
    ["bytes=5-9", 5, 10],
    ["bytes=2999990-", 2_999_990, 3_000_000],
    ["bytes=2999990-9999999", 2_999_990, 3_000_000],
    ["bytes=-3", 2_999_997, 3_000_000],
    ["bytes=-9000000", 0, 3_000_000],
  ] as const)("gives the range %s", async (range, from, to) => {
    const response = await get("/large.bin", range);
    expect(response.status).toBe(206);
    expect(response.headers.get("content-range")).toBe(`bytes ${from}-${to - 1}/3000000`);
    expect(response.headers.get("content-length")).toBe(String(to - from));
    expect(Buffer.from(await response.arrayBuffer()).equals(large.subarray(from, to))).toBe(true);
  });

  test.each(["bytes=3000000-", "bytes=-0", "bytes=99999999999999999-"])(
    "has nothing at %s",
    async (range) => {
      const response = await get("/large.bin", range);
      expect([response.status, response.headers.get("content-range")]).toEqual([
        416,
        "bytes */3000000",
      ]);
    },
  );

  test.each(["bytes=9-5", "bytes=-", "bytes=0-1,5-6", "lines=1-2"])(
    "passes over the range %s",
    async (range) => expect((await get("/large.bin", range)).status).toBe(200),
  );

  test("lets curl go on after a cut", async () => {
    const part = join(base, "part");
    writeFileSync(part, large.subarray(0, 1_234_567));
    const curl = Bun.spawn(["curl", "-fsS", "-C", "-", "-o", part, `${mirror.url}/large.bin`]);
    expect(await curl.exited).toBe(0);
    expect(readFileSync(part).equals(large)).toBe(true);
  });

  test("knows its own version by name, and others by their directory", async () => {
    const own = readFileSync(join(directory, "manifest.json"), "utf8");
    expect(await (await get("/v0.1.0/manifest.json")).text()).toBe(own);
    expect(await (await get("/v0.0.9/manifest.json")).text()).toBe("the old one");
    expect((await get("/v0.2.0/manifest.json")).status).toBe(404);
  });

  test("gives nothing else", async () => {
    const paths = ["/", "/v0.0.9", "/v0.0.9/", "/nothing", "/%", "/..%2fsecret", "/v..%2f/secret"];
    for (const path of [...paths, "/v../secret", "/v0.0.9/..%2f..%2fsecret", "/.hidden"])
      expect([path, (await get(path)).status]).toEqual([path, 404]);
    const raw = Bun.spawn(["curl", "-s", "--path-as-is", `${mirror.url}/../secret`], {
      stdout: "pipe",
    });
    expect(await new Response(raw.stdout).text()).not.toBe("secret");
    const post = await fetch(`${mirror.url}/large.bin`, { method: "POST", body: "x" });
    expect(post.status).toBe(405);
  });

  test("is on the loopback address only", () => {
    expect(mirror.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  });
});
