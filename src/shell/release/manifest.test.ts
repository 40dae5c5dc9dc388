// The manifest's canonical text, what a hostile one may not do, and the order of versions.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  compareVersions,
  fileBytesMax,
  fileFor,
  isVersion,
  type Manifest,
  manifestBytesMax,
  manifestText,
  readManifest,
} from "./manifest.ts";

const hash = "0123456789abcdef".repeat(4);
const digest = { bytes: 5, sha256: hash };
const example: Manifest = {
  product: "quorate",
  version: "0.1.0",
  commit: "0123456789ab",
  development: false,
  files: ["linux-x64", "linux-arm64-musl"].map((target) => ({
    target,
    name: `quorate-${target}`,
    ...digest,
    gz: digest,
    zst: digest,
  })),
};

function read(value: unknown): string {
  const result = readManifest(Buffer.from(JSON.stringify(value)));
  return result.ok ? "" : result.reason;
}

describe("the text", () => {
  test("is one line a file, so that awk can read it", () => {
    const file = (target: string): string =>
      `{"target":"${target}","name":"quorate-${target}","bytes":5,"sha256":"${hash}",` +
      `"gz":{"bytes":5,"sha256":"${hash}"},"zst":{"bytes":5,"sha256":"${hash}"}}`;
    expect(manifestText(example)).toBe(
      `{"product":"quorate","version":"0.1.0","commit":"0123456789ab","development":false,"files":[\n` +
        `${file("linux-x64")},\n${file("linux-arm64-musl")}\n]}\n`,
    );
  });

  test("reads back as what was written, whatever the numbers", () => {
    const hexadecimal = fc.uint8Array({ minLength: 32, maxLength: 32 });
    const digests = fc.record({
      bytes: fc.integer({ min: 1, max: fileBytesMax }),
      sha256: hexadecimal.map((bytes) => Buffer.from(bytes).toString("hex")),
    });
    const targets = fc.uniqueArray(fc.stringMatching(/^linux-[a-z0-9]{1,8}$/), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(
        targets,
        digests,
        digests,
        digests,
        fc.boolean(),
        (names, plain, gz, zst, development) => {
          const files = names.map((target) => ({
            ...{ target, name: `quorate-${target}`, ...plain },
            ...{ gz, zst },
          }));
          const manifest: Manifest = { ...example, development, files };
          expect(readManifest(Buffer.from(manifestText(manifest)))).toEqual({
            ok: true,
            value: manifest,
          });
        },
      ),
    );
  });

  test("may carry fields of a later version", () => {
    const later = { ...example, channel: "stable", files: [{ ...example.files[0], xz: digest }] };
    expect(read(later)).toBe("");
  });

  test("gives a target's file", () => {
    expect(fileFor(example, "linux-arm64-musl")?.name).toBe("quorate-linux-arm64-musl");
    expect(fileFor(example, "linux-riscv64")).toBeUndefined();
  });
});

describe("a hostile manifest", () => {
  const file = example.files[0]!;
  const withFile = (change: object): unknown => ({ ...example, files: [{ ...file, ...change }] });
  const cases: Readonly<Record<string, unknown>> = {
    "a path as name": withFile({ name: "../../etc/passwd" }),
    "a path as target": withFile({ target: "linux-../x", name: "quorate-linux-../x" }),
    "a separator": withFile({ target: "linux-x/64", name: "quorate-linux-x/64" }),
    "an option as target": withFile({ target: "-rf", name: "quorate--rf" }),
    "a name that is another target's": withFile({ name: "quorate-linux-arm64" }),
    "a line break in the target": withFile({ target: "linux-x64\n", name: "quorate-linux-x64\n" }),
    "a file that is too large": withFile({ bytes: fileBytesMax + 1 }),
    "a file of no bytes": withFile({ bytes: 0 }),
    "a negative length": withFile({ zst: { ...digest, bytes: -1 } }),
    "half a byte": withFile({ gz: { ...digest, bytes: 1.5 } }),
    "a length as text": withFile({ bytes: "5" }),
    "a short hash": withFile({ sha256: "00" }),
    "an upper-case hash": withFile({ sha256: hash.toUpperCase() }),
    "a missing form": withFile({ zst: undefined }),
    "another product": { ...example, product: "corosync" },
    "a version with a path": { ...example, version: "1.0.0-../x" },
    "a version with a quote": { ...example, version: "1.0.0-'" },
    "an endless version": { ...example, version: `1.0.0-${"a".repeat(200)}` },
    "a commit with a blank": { ...example, commit: "0123456 x" },
    "a word for development": { ...example, development: "no" },
    "no files": { ...example, files: [] },
    "too many files": {
      ...example,
      files: Array.from({ length: 33 }, (_, at) => ({
        ...file,
        ...{ target: `linux-x${at}`, name: `quorate-linux-x${at}` },
      })),
    },
    "a target twice": { ...example, files: [file, file] },
    "a list": [example],
    nothing: null,
  };
  test.each(Object.entries(cases))("with %s is refused", (_what, value) => {
    expect(read(value)).not.toBe("");
  });

  test("is refused by its length, by deep nesting, by wrong UTF-8", () => {
    const refused = (bytes: Uint8Array): void =>
      expect(readManifest(bytes)).toMatchObject({ ok: false });
    refused(Buffer.from(`${manifestText(example)}${" ".repeat(manifestBytesMax)}`));
    refused(Buffer.from("[".repeat(manifestBytesMax)));
    refused(Buffer.from('{"a":'.repeat(10_000)));
    refused(Buffer.from([0x22, 0xff, 0xfe, 0x22]));
  });

  test("of any JSON, any bytes, or a changed one is a sentence or a sound manifest", () => {
    const text = Buffer.from(manifestText(example));
    const changed = fc
      .tuple(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }))
      .map(([at, byte]) => {
        const bytes = Buffer.from(text);
        bytes[at] = byte;
        return bytes;
      });
    const any = fc.oneof(
      fc.uint8Array({ maxLength: 2000 }),
      fc.json().map((json) => Buffer.from(json)),
      changed,
    );
    fc.assert(
      fc.property(any, (bytes) => {
        const result = readManifest(bytes);
        if (!result.ok) return expect(result.reason).not.toBe("");
        for (const { name } of result.value.files)
          expect(name).toMatch(/^quorate-linux-[a-z0-9-]+$/);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("versions", () => {
  // From semver.org §11, and ours.
  const ordered = [
    "0.1.0-dev+abc123",
    "0.1.0",
    "0.1.1-rc.9",
    "0.1.1-rc.10",
    "0.1.1",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "2.0.0",
    "10.0.0",
  ];
  test("are ordered as semantic versions", () => {
    for (const [at, a] of ordered.entries()) {
      for (const [other, b] of ordered.entries())
        expect([a, b, Math.sign(compareVersions(a, b))]).toEqual([a, b, Math.sign(at - other)]);
    }
  });
  test("that differ only after + are the same", () => {
    expect(compareVersions("0.1.0-dev+abc", "0.1.0-dev+def")).toBe(0);
  });
  test("are told from other words", () => {
    expect(ordered.every(isVersion)).toBe(true);
    const others = ["", "1", "1.0", "v1.0.0", "01.0.0", "1.0.0\n", "1.0.0/..", "1.0.0 ", "latest"];
    expect(others.filter(isVersion)).toEqual([]);
  });
});
