// PKCS#12 files: what NSS and openssl write is read, what is written is read by both, and hostile files cost little and say nothing.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createHash, createHmac, generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  writeContext,
  writeSequence,
  writeInteger,
  writeObjectIdentifier,
  writeOctets,
  writtenNull,
} from "./der.ts";
import { makePkcs12, type Pkcs12, readPkcs12 } from "./pkcs12.ts";

const golden = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(import.meta.dir, "../../../test/golden/qnetd", name)));
const directory = mkdtempSync(join(tmpdir(), "quorate-pkcs12-"));
afterAll(() => rmSync(directory, { recursive: true }));

function run(...words: string[]): { readonly code: number; readonly output: string } {
  const done = Bun.spawnSync(words, { cwd: directory, stdout: "pipe", stderr: "pipe" });
  return { code: done.exitCode, output: done.stdout.toString() + done.stderr.toString() };
}

const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey;
const pkcs8 = new Uint8Array(key.export({ format: "der", type: "pkcs8" }));
let certificate: Uint8Array;
let small: Uint8Array;

beforeAll(async () => {
  writeFileSync(join(directory, "key.pem"), key.export({ format: "pem", type: "pkcs8" }));
  const words = "req -x509 -key key.pem -out cert.pem -days 3 -subj /CN=lab".split(" ");
  expect(run("openssl", ...words).code).toBe(0);
  expect(run("openssl", ..."x509 -in cert.pem -outform DER -out cert.der".split(" ")).code).toBe(0);
  certificate = new Uint8Array(readFileSync(join(directory, "cert.der")));
  small = await made("");
});

const made = (password: string): Promise<Uint8Array> =>
  makePkcs12(
    {
      key: { name: "Cluster Cert", der: pkcs8 },
      certificate: { name: "Cluster Cert", der: certificate },
      authority: { name: "QNet CA ☃", der: certificate },
    },
    password,
  );

async function readOrThrow(bytes: Uint8Array, password: string): Promise<Pkcs12> {
  const read = await readPkcs12(bytes, password);
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

describe("openssl", () => {
  const forms: readonly (readonly string[])[] = [
    [],
    ["-keypbe", "AES-128-CBC", "-certpbe", "AES-192-CBC"],
    ["-macalg", "sha512", "-maciter"],
    ["-macalg", "sha1", "-nomaciter", "-keypbe", "NONE", "-certpbe", "NONE"],
  ];
  for (const password of ["", "päß ☃"]) {
    for (const form of forms) {
      test(`writes, we read: "${password}" ${form.join(" ")}`, async () => {
        const export_ = "pkcs12 -export -inkey key.pem -in cert.pem -name node -out o.p12".split(
          " ",
        );
        const done = run("openssl", ...export_, "-passout", `pass:${password}`, ...form);
        expect(done.output).toBe("");
        const file = await readOrThrow(
          new Uint8Array(readFileSync(join(directory, "o.p12"))),
          password,
        );
        expect(file.keys).toEqual([{ name: "node", der: pkcs8 }]);
        expect(file.certificates).toEqual([{ name: "node", der: certificate }]);
      });
    }

    test(`reads what we write: "${password}"`, async () => {
      writeFileSync(join(directory, "q.p12"), await made(password));
      const words = "pkcs12 -in q.p12 -nodes -info".split(" ");
      const { code, output } = run("openssl", ...words, "-passin", `pass:${password}`);
      expect(code).toBe(0);
      expect(output).toContain("friendlyName: Cluster Cert");
      expect(output).toContain(key.export({ format: "pem", type: "pkcs8" }));
      expect(output).toContain("MAC: sha256, Iteration 10000");
    });
  }

  test("old ciphers and files without a seal are refused, each with its reason", async () => {
    const words = "pkcs12 -export -inkey key.pem -in cert.pem -passout pass: -out x.p12".split(" ");
    const refusal = async (): Promise<string> => {
      const read = await readPkcs12(new Uint8Array(readFileSync(join(directory, "x.p12"))), "");
      return read.ok ? "" : read.reason;
    };
    expect(run("openssl", ...words, "-keypbe", "PBE-SHA1-3DES", "-certpbe", "NONE").code).toBe(0);
    expect(await refusal()).toContain("encrypted in an old way");
    expect(run("openssl", ...words, "-nomac").code).toBe(0);
    expect(await refusal()).toBe("it is not sealed by a password");
    expect(run("openssl", ...words, "-macalg", "md5").code).toBe(0);
    expect(await refusal()).toContain("sealed in a way that is not known here");
  });
});

describe("NSS", () => {
  const hasNss = Bun.which("pk12util") !== null && Bun.which("certutil") !== null;
  test.skipIf(!hasNss)("imports what we write, exports what we read", async () => {
    writeFileSync(join(directory, "n.p12"), small);
    writeFileSync(join(directory, "empty"), "");
    expect(run("certutil", "-N", "-d", directory, "-f", "empty").code).toBe(0);
    const imported = run("pk12util", "-i", "n.p12", "-d", directory, "-k", "empty", "-W", "");
    expect(imported.output).toContain("PKCS12 IMPORT SUCCESSFUL");
    const words = ["-o", "back.p12", "-n", "Cluster Cert", "-d", directory, "-k", "empty"];
    expect(run("pk12util", ...words, "-W", "secret").output).toContain("EXPORT SUCCESSFUL");
    const back = await readOrThrow(
      new Uint8Array(readFileSync(join(directory, "back.p12"))),
      "secret",
    );
    expect(back.keys).toEqual([{ name: "Cluster Cert", der: pkcs8 }]);
    expect(back.certificates.map(({ der }) => der)).toEqual([certificate]);
  });
});

const oid = writeObjectIdentifier;
const data = (content: Uint8Array): Uint8Array =>
  writeSequence(oid("1.2.840.113549.1.7.1"), writeContext(0, writeOctets(content)));

/** A file under the empty password whose keys ask for so many iterations each; its seal is right. */
function sealedFile(counts: readonly number[]): Uint8Array {
  const salt = new Uint8Array(8);
  const keys = counts.map((count) => {
    const derivation = writeSequence(
      oid("1.2.840.113549.1.5.12"),
      writeSequence(writeOctets(salt), writeInteger(count)),
    );
    const cipher = writeSequence(oid("2.16.840.1.101.3.4.1.42"), writeOctets(new Uint8Array(16)));
    const algorithm = writeSequence(
      oid("1.2.840.113549.1.5.13"),
      writeSequence(derivation, cipher),
    );
    const sealed = writeSequence(algorithm, writeOctets(new Uint8Array(32)));
    return writeSequence(oid("1.2.840.113549.1.12.10.1.2"), writeContext(0, sealed));
  });
  const safes = writeSequence(data(writeSequence(...keys)));
  // RFC 7292 B.2 with one round: purpose, salt, and the end mark of an empty password, each filled up to 64 bytes.
  const block = new Uint8Array(192).fill(3, 0, 64);
  const mark = createHmac("sha256", createHash("sha256").update(block).digest());
  const seal = writeSequence(
    writeSequence(
      writeSequence(oid("2.16.840.1.101.3.4.2.1"), writtenNull),
      writeOctets(mark.update(safes).digest()),
    ),
    writeOctets(salt),
  );
  return writeSequence(writeInteger(3), data(safes), seal);
}

describe("hostile files", () => {
  const tooMuch = "its password is to be hashed more often than any program asks for";

  test("work without a bound is refused before it begins: of the seal", async () => {
    const bytes = golden("nss-server.p12");
    const count = writeInteger(600_000);
    const more = Buffer.from(bytes);
    more.set(writeInteger(8_000_000), more.lastIndexOf(count));
    const begun = performance.now();
    expect(await readPkcs12(more, "")).toEqual({ ok: false, reason: tooMuch });
    expect(performance.now() - begun).toBeLessThan(100);
  });

  test("work without a bound is refused before it begins: of a key", async () => {
    const begun = performance.now();
    expect(await readPkcs12(sealedFile([2 ** 40]), "")).toEqual({ ok: false, reason: tooMuch });
    expect(performance.now() - begun).toBeLessThan(100);
    expect(await readPkcs12(sealedFile([0]), "")).toEqual({ ok: false, reason: tooMuch });
    expect(await readPkcs12(sealedFile([1000]), "")).toMatchObject({
      reason: "its password is another, or it is damaged",
    });
  });

  test("the thread is free meanwhile", async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    await readOrThrow(golden("nss-server.p12"), "");
    clearInterval(timer);
    expect(turns).toBeGreaterThan(20);
  });

  test("any damage is refused or harmless, never thrown", async () => {
    const whole = await readOrThrow(small, "");
    const damage = fc.array(fc.tuple(fc.nat(small.length - 1), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 3,
    });
    await fc.assert(
      fc.asyncProperty(damage, fc.nat(), async (hits, cut) => {
        const bytes = small.slice(0, cut % 4 === 0 ? cut % small.length : undefined);
        for (const [where, bits] of hits) if (where < bytes.length) bytes[where]! ^= bits;
        const read = await readPkcs12(bytes, "");
        // Only what the seal does not cover, and nobody reads, may change.
        if (read.ok) expect(read.value).toEqual(whole);
      }),
      { numRuns: 400 },
    );
  });

  test("other files and random bytes", async () => {
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(5000).fill(0x30),
      writeSequence(writeInteger(3)),
      golden("nss-node.crq"),
      certificate,
    ]) {
      expect(await readPkcs12(bytes, "")).toEqual({ ok: false, reason: "it is no PKCS#12 file" });
    }
    expect((await readPkcs12(new Uint8Array((1 << 20) + 1), "")).ok).toBe(false);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (bytes) => {
        expect((await readPkcs12(bytes, "")).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
