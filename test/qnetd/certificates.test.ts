// The vote server's certificates: made, stored, signed, renewed, taken over. The PKCS#12 files, the request and the authority's
// certificate in test/golden/qnetd/nss-* were made by NSS 3.87 for these tests and are used nowhere else.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createPrivateKey, createSign, generateKeyPairSync, X509Certificate } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSequence, writeBits } from "../../src/qnetd/pki/der.ts";
import { makePkcs12, readPkcs12 } from "../../src/qnetd/pki/pkcs12.ts";
import { certutil } from "../../src/qnetd/tool/certutil.ts";
import { type Identity, isPair, pem, readCertificate, readKey } from "../../src/qnetd/pki/pki.ts";
import {
  createAuthority,
  createIdentity,
  createRequest,
  readRequest,
} from "../../src/qnetd/pki/issue.ts";
import { CertificateStore } from "../../src/qnetd/pki/store.ts";
import { importPkcs12 } from "../../src/qnetd/pki/store-nss.ts";

const golden = join(import.meta.dir, "../golden/qnetd");
const goldenBytes = (name: string): Uint8Array => new Uint8Array(readFileSync(join(golden, name)));
const now = Date.UTC(2026, 10, 21, 12);
const day = 86_400_000;

let dir = "";
let authority: Identity;
let server: Identity;
/** PKCS#12 files of ours, which cost less time than those of NSS. */
let authorityFile = "";
let serverFile = "";
let cluster: { readonly key: Uint8Array; readonly request: Uint8Array };
let count = 0;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "quorate-pki-"));
  authority = await createAuthority(101, new Date(now));
  server = await createIdentity({
    authority,
    commonName: "Qnetd Server",
    serial: 140,
    from: new Date(now),
  });
  cluster = await createRequest("lab");
  authorityFile = await exported("ca.p12", authority);
  serverFile = await exported("server.p12", server);
});

async function exported(name: string, { key, certificate }: Identity): Promise<string> {
  const named = (der: Uint8Array) => ({ name, der });
  const contents = {
    key: named(key),
    certificate: named(certificate),
    authority: named(authority.certificate),
  };
  writeFileSync(join(dir, name), await makePkcs12(contents, ""));
  return join(dir, name);
}
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A directory that does not exist yet, in one that does. */
function place(): string {
  count += 1;
  mkdirSync(join(dir, String(count)));
  return join(dir, String(count), "nssdb");
}

async function newStore(): Promise<CertificateStore> {
  const store = new CertificateStore(place());
  expect(store.prepare({ isGroupWritable: true }).ok).toBe(true);
  expect(await store.adopt(authority, undefined, now)).toEqual({ ok: true, value: undefined });
  return store;
}

const modeOf = (path: string): string => (statSync(path).mode & 0o777).toString(8);

describe("certificates", () => {
  test("the authority is what NSS makes: names, serial, 100 years, one extension", () => {
    const certificate = new X509Certificate(authority.certificate);
    expect(certificate.subject).toBe("CN=QNet CA");
    expect(certificate.issuer).toBe("CN=QNet CA");
    expect(certificate.serialNumber).toBe("65");
    expect(certificate.ca).toBe(true);
    expect(certificate.validFrom).toBe("Nov 21 12:00:00 2026 GMT");
    expect(certificate.validTo).toBe("Nov 21 12:00:00 2126 GMT");
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    const original = readCertificate(goldenBytes("nss-cacert.crt"));
    if (!original.ok) throw new Error(original.reason);
    // All but the key, the signature and the dates is the original's, byte for byte.
    const shape = ({ raw }: X509Certificate): string => raw.toHex().slice(0, 2 * 58);
    expect(shape(certificate)).toBe(shape(original.value));
    expect(certificate.raw.length).toBe(original.value.raw.length);
  });

  test("keys and certificates belong together or not", async () => {
    const other = await createIdentity({
      authority,
      commonName: "x",
      serial: 7,
      from: new Date(now),
    });
    expect(isPair(authority)).toBe(true);
    expect(isPair(other)).toBe(true);
    expect(isPair({ key: authority.key, certificate: other.certificate })).toBe(false);
    expect(isPair({ key: new Uint8Array(3), certificate: other.certificate })).toBe(false);
    expect(new X509Certificate(other.certificate).ca).toBe(false);
  });

  test("PEM with anything around it, DER, and neither", () => {
    const text = `text\r\n${pem("CERTIFICATE", authority.certificate).replaceAll("\n", "\r\n")}more`;
    const read = readCertificate(new TextEncoder().encode(text));
    expect(read.ok && read.value.raw.toHex()).toBe(authority.certificate.toHex());
    expect(readCertificate(authority.certificate).ok).toBe(true);
    expect(readCertificate(authority.key).ok).toBe(false);
    const key = readKey(new TextEncoder().encode(pem("PRIVATE KEY", authority.key)));
    expect(key).toEqual({ ok: true, value: authority.key });
    expect(readKey(authority.certificate).ok).toBe(false);
  });
});

describe("requests", () => {
  test("one of the original's tool, DER and PEM", async () => {
    const der = goldenBytes("nss-node.crq");
    const read = await readRequest(der);
    expect(read.ok && read.value.commonName).toBe("lab");
    const text = pem("NEW CERTIFICATE REQUEST", der);
    expect(await readRequest(new TextEncoder().encode(text))).toEqual(read);
  });

  test("names of any script", async () => {
    for (const name of ["läb ☃", "x".repeat(200)]) {
      const read = await readRequest((await createRequest(name)).request);
      expect(read.ok && read.value.commonName).toBe(name);
    }
  });

  test("a wrong signature, a weak key, no request", async () => {
    const forged = cluster.request.slice();
    forged[forged.length - 1]! ^= 1;
    expect(await readRequest(forged)).toEqual({ ok: false, reason: "its signature is wrong" });
    expect(await readRequest(weakRequest())).toMatchObject({
      reason: "its RSA key has 1024 bits; 2048 to 8192 are signed",
    });
    expect((await readRequest(authority.certificate)).ok).toBe(false);
    expect((await readRequest(new Uint8Array(70_000))).ok).toBe(false);
    expect((await readRequest(new Uint8Array(0))).ok).toBe(false);
  });

  test("damaged ones never throw, and nothing that was signed can be changed", async () => {
    for (const request of [cluster.request, goldenBytes("nss-node.crq")]) {
      const whole = await readRequest(request);
      const damage = fc.tuple(fc.nat(request.length - 1), fc.integer({ min: 1, max: 255 }));
      await fc.assert(
        fc.asyncProperty(
          fc.array(damage, { minLength: 1, maxLength: 4 }),
          fc.nat(),
          async (hits, cut) => {
            const bytes = request.slice(0, cut % 3 === 0 ? cut % request.length : undefined);
            for (const [at, bits] of hits) if (at < bytes.length) bytes[at]! ^= bits;
            const read = await readRequest(bytes);
            if (read.ok) expect({ ...read }).toEqual({ ...whole } as typeof read);
          },
        ),
        { numRuns: 300 },
      );
    }
  });

  test("random bytes are none", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), async (bytes) => {
        expect((await readRequest(bytes)).ok).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});

describe("other programs", () => {
  const run = (...words: string[]): string => {
    const done = Bun.spawnSync(words, { cwd: dir, stdout: "pipe", stderr: "pipe" });
    const output = `${done.stdout.toString()}${done.stderr.toString()}`;
    if (done.exitCode !== 0) throw new Error(`${words.join(" ")}: ${output}`);
    return output;
  };
  const hasNss = Bun.which("certutil") !== null;

  test("openssl verifies the chain and our requests", async () => {
    const store = await newStore();
    await store.sign(cluster.request, "lab", now);
    writeFileSync(
      join(dir, "cluster.pem"),
      pem("CERTIFICATE", new Uint8Array(readFileSync(join(store.directory, "cluster-lab.crt")))),
    );
    writeFileSync(join(dir, "server.pem"), pem("CERTIFICATE", server.certificate));
    for (const file of ["cluster.pem", "server.pem"]) {
      const words = ["-check_ss_sig", "-no_check_time", "-CAfile"];
      expect(run("openssl", "verify", ...words, store.authorityPath, file)).toBe(`${file}: OK\n`);
    }
    writeFileSync(join(dir, "request.der"), cluster.request);
    const words = "req -inform DER -in request.der -noout -verify -subject".split(" ");
    expect(run("openssl", ...words)).toContain("verify OK");
  });

  test.skipIf(!hasNss)("NSS takes them for what they are, and its request is signed", async () => {
    const store = await newStore();
    const signed = await store.sign(goldenBytes("nss-node.crq"), "lab", now);
    if (!signed.ok) throw new Error(signed.reason);
    writeFileSync(join(dir, "empty"), "");
    writeFileSync(join(dir, "server.der"), server.certificate);
    run("certutil", "-N", "-d", dir, "-f", "empty");
    const add = (name: string, trust: string, file: string): string =>
      run("certutil", "-A", "-d", dir, "-f", "empty", "-n", name, "-t", trust, "-i", file);
    add("QNet CA", "CT,c,c", store.authorityPath);
    add("Cluster Cert", "u,u,u", signed.value.path);
    add("QNetd Cert", "u,u,u", join(dir, "server.der"));
    const valid = (name: string, usage: string): string =>
      run(
        "certutil",
        "-V",
        "-d",
        dir,
        "-f",
        "empty",
        "-n",
        name,
        "-u",
        usage,
        "-b",
        "270101000000Z",
      );
    expect(valid("QNet CA", "L")).toContain("certificate is valid");
    expect(valid("Cluster Cert", "C")).toContain("certificate is valid");
    expect(valid("QNetd Cert", "V")).toContain("certificate is valid");
  });
});

/** A request with a 1024 bit key: the strong one's frame with another key and its signature. */
function weakRequest(): Uint8Array {
  const pair = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const spki = pair.publicKey.export({ format: "der", type: "spki" });
  const name = Buffer.from("300e310c300a06035504030c036c6162", "hex");
  const body = Buffer.concat([
    Buffer.from("020100", "hex"),
    name,
    spki,
    Buffer.from("a000", "hex"),
  ]);
  const info = writeSequence(body);
  const signature = createSign("sha256").update(info).sign(pair.privateKey);
  const algorithm = Buffer.from("300d06092a864886f70d01010b0500", "hex");
  return writeSequence(info, algorithm, writeBits(signature));
}

describe("PKCS#12", () => {
  test("what NSS exported", async () => {
    const file = await readPkcs12(goldenBytes("nss-server.p12"), "");
    if (!file.ok) throw new Error(file.reason);
    expect(file.value.keys.map(({ name }) => name)).toEqual(["QNetd Cert"]);
    expect(file.value.certificates.map(({ name }) => name)).toEqual(["QNet CA", "QNetd Cert"]);
    expect(
      createPrivateKey({ key: Buffer.from(file.value.keys[0]!.der), format: "der", type: "pkcs8" })
        .type,
    ).toBe("private");
  });

  test("there and back, with and without a password", async () => {
    const identity = await createIdentity({
      authority,
      commonName: "lab",
      serial: 9,
      from: new Date(now),
    });
    for (const password of ["", "päss"]) {
      const file = await makePkcs12(
        {
          key: { name: "Cluster Cert", der: identity.key },
          certificate: { name: "Cluster Cert", der: identity.certificate },
          authority: { name: "QNet CA", der: authority.certificate },
        },
        password,
      );
      expect(await readPkcs12(file, password)).toEqual({
        ok: true,
        value: {
          keys: [{ name: "Cluster Cert", der: identity.key }],
          certificates: [
            { name: "QNet CA", der: authority.certificate },
            { name: "Cluster Cert", der: identity.certificate },
          ],
        },
      });
      expect(await readPkcs12(file, "other")).toEqual({
        ok: false,
        reason: "its password is another, or it is damaged",
      });
    }
  });

  test("old ciphers are refused with a way out; damaged files are refused", async () => {
    expect(await readPkcs12(goldenBytes("nss-ca-rc2.p12"), "")).toMatchObject({
      ok: false,
      reason: expect.stringContaining("pk12util -c AES-256-CBC -C AES-256-CBC"),
    });
    expect((await readPkcs12(new Uint8Array(0), "")).ok).toBe(false);
    const whole = new Uint8Array(readFileSync(authorityFile));
    for (const at of [0, 5, 30, 100, 1500, whole.length - 40]) {
      const bytes = whole.slice();
      bytes[at]! ^= 0x55;
      expect((await readPkcs12(bytes, "")).ok).toBe(false);
    }
    expect((await readPkcs12(whole.subarray(0, 1000), "")).ok).toBe(false);
  });
});

describe("the store", () => {
  test("files that cannot be reached have no stamp, and the server goes on", () => {
    const loop = join(dir, "loop");
    symlinkSync(loop, loop);
    expect(new CertificateStore(loop).stamp()).toBe("- -");
  });

  test("is made with the original's serials and names, keys for their owner only", async () => {
    const store = new CertificateStore(place());
    expect(store.state()).toBe("none");
    expect(store.server().ok).toBe(false);
    store.prepare({ isGroupWritable: false });
    expect(modeOf(store.directory)).toBe("750");
    expect(await store.create(now)).toEqual({ ok: true, value: undefined });
    expect(store.state()).toBe("ours");
    expect(readFileSync(join(store.directory, "serial.txt"), "utf8")).toBe("102");
    const modes = Object.fromEntries(
      readdirSync(store.directory).map((name) => [name, modeOf(join(store.directory, name))]),
    );
    expect(modes).toEqual({
      "qnetd-ca.pem": "600",
      "qnetd-cacert.crt": "644",
      "qnetd-server.pem": "600",
      "quorate.lock": "600",
      "serial.txt": "660",
    });
    expect(store.certificates(now).map(({ subject, serial }) => [subject, serial])).toEqual([
      ["QNet CA", 101],
      ["Qnetd Server", 102],
    ]);
    const again = await store.create(now);
    expect(again).toEqual({ ok: false, reason: `${store.directory} has certificates already` });
  });

  test("signs one request after another, each with its own serial", async () => {
    const store = await newStore();
    const names = ["lab", "b c", "ä"];
    const signed = await Promise.all(names.map((name) => store.sign(cluster.request, name, now)));
    expect(signed.map(({ ok }) => ok)).toEqual([true, true, true]);
    const made = store.certificates(now).filter(({ file }) => file.startsWith("cluster-"));
    expect(made.map(({ file }) => file).toSorted()).toEqual(
      names.map((name) => `cluster-${name}.crt`).toSorted(),
    );
    expect(made.map(({ serial }) => serial).toSorted((a, b) => a - b)).toEqual([103, 104, 105]);
    for (const { file, subject } of made) {
      expect(subject).toBe("lab");
      const path = join(store.directory, file);
      expect(modeOf(path)).toBe("640");
      const certificate = new X509Certificate(readFileSync(path));
      expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
      expect(isPair({ key: cluster.key, certificate: new Uint8Array(certificate.raw) })).toBe(true);
    }
  });

  test("does not sign for other names than a cluster's", async () => {
    const store = await newStore();
    for (const name of ["", "a/b", "../x", "a\nb", "x".repeat(201)]) {
      expect((await store.sign(cluster.request, name, now)).ok).toBe(false);
    }
    for (const name of ["Qnetd Server", "qnet ca", "*.example.org"]) {
      const { request } = await createRequest(name);
      expect(await store.sign(request, "lab", now)).toEqual({
        ok: false,
        reason: `its name "${name}" is none of a cluster`,
      });
    }
    expect(store.certificates(now).length).toBe(2);
  });

  test("a clock that was never set is named, once", async () => {
    const store = await newStore();
    const warnings = store.certificates(0).map(({ warning }) => warning);
    expect(warnings.filter((warning) => warning !== "")).toEqual([
      expect.stringMatching(/^The clock of this host says 1970-01-01, .* set the clock\./),
    ]);
  });

  test("warns before the end and renews the server's certificate under the same authority", async () => {
    const store = await newStore();
    const end = store.certificates(now).find(({ isServer }) => isServer)!.notAfterMs;
    expect(store.certificates(end - 91 * day).map(({ warning }) => warning)).toEqual(["", ""]);
    const warnings = store.certificates(end - 30 * day).map(({ warning }) => warning);
    expect(warnings).toEqual([
      "The authority's certificate expires in 30 days: move the directory away, start the vote server again (it makes a new one) and set the device up again on every cluster.",
      'The server\'s certificate expires in 30 days: renew it with "quorate qnetd certificates renew"; nodes notice nothing.',
    ]);
    expect(store.certificates(end + day)[1]?.warning).toContain("has expired");
    const before = store.stamp();
    expect((await store.renewServer(now + day)).ok).toBe(true);
    expect(store.stamp()).not.toBe(before);
    const renewed = store.certificates(now).find(({ isServer }) => isServer);
    expect(renewed).toMatchObject({ serial: 103, notAfterMs: end + day });
  });

  test("is taken over from PKCS#12 files of NSS, serial and all", async () => {
    const store = new CertificateStore(place());
    store.prepare({ isGroupWritable: true });
    writeFileSync(join(store.directory, "serial.txt"), "107\n");
    const files = ["nss-server.p12", "nss-ca.p12"].map((name) => join(golden, name));
    expect(await importPkcs12(store, { files, password: "", now })).toEqual({
      ok: true,
      value: undefined,
    });
    const [ca] = store.certificates(now);
    const original = readCertificate(goldenBytes("nss-cacert.crt"));
    expect(original.ok && readFileSync(store.authorityPath, "utf8")).toBe(
      original.ok && pem("CERTIFICATE", original.value.raw),
    );
    expect(ca).toMatchObject({ subject: "QNet CA", serial: 101 });
    expect(store.certificates(now)[1]).toMatchObject({ subject: "Qnetd Server", serial: 102 });
    const signed = await store.sign(cluster.request, "lab", now);
    expect(signed.ok).toBe(true);
    expect(readFileSync(join(store.directory, "serial.txt"), "utf8")).toBe("108");
  });

  test("an authority alone is enough; a server alone, or of another authority, is not", async () => {
    const store = new CertificateStore(place());
    store.prepare({ isGroupWritable: true });
    const importing = (files: readonly string[]) =>
      importPkcs12(store, { files, password: "", now });
    expect(await importing([serverFile])).toMatchObject({
      reason: expect.stringContaining('export "QNet CA"'),
    });
    const other = await createAuthority(101, new Date(now));
    expect(await store.adopt(other, server, now)).toEqual({
      ok: false,
      reason: "the server's certificate is of another authority",
    });
    expect((await store.adopt(server, undefined, now)).ok).toBe(false);
    expect(store.state()).toBe("none");
    expect((await importing([authorityFile])).ok).toBe(true);
    expect(store.certificates(now)[1]).toMatchObject({ subject: "Qnetd Server", serial: 102 });
    expect((await importing([authorityFile])).ok).toBe(false);
  });

  test("a file that is damaged, or a directory that cannot be written, is named", async () => {
    const store = await newStore();
    writeFileSync(join(store.directory, "qnetd-ca.pem"), "nonsense");
    const signed = await store.sign(cluster.request, "lab", now);
    expect(signed.ok ? "" : signed.reason).toContain("qnetd-ca.pem: it is no private key");
    writeFileSync(join(store.directory, "serial.txt"), "many");
    const renewed = await store.renewServer(now);
    expect(renewed.ok ? "" : renewed.reason).toContain("qnetd-ca.pem");
    const missing = new CertificateStore(join(dir, "none", "nssdb"));
    const failed = await missing.create(now);
    expect(failed.ok ? "" : failed.reason).toContain("none/nssdb");
    expect(existsSync(join(dir, "none"))).toBe(false);
  });
});

describe("corosync-qnetd-certutil", () => {
  async function run(directory: string, ...args: string[]) {
    let out = "";
    let error = "";
    const code = await certutil({
      name: "corosync-qnetd-certutil",
      args,
      directory,
      nickname: "QNetd Cert",
      write: (text) => void (out += text),
      writeError: (text) => void (error += text),
      now: () => now,
    });
    return { code, out, error };
  }

  test("-i, -i again, -s: the original's words without those of NSS", async () => {
    const directory = place();
    expect(await run(directory, "-i")).toEqual({
      code: 0,
      out: `Creating ${directory}\nCreating new key and cert db\nCreating new CA\nQNetd CA certificate is exported as ${directory}/qnetd-cacert.crt\n`,
      error: "",
    });
    expect(modeOf(directory)).toBe("770");
    expect(await run(directory, "-i")).toEqual({
      code: 1,
      out: "",
      error: `Certificate database (${directory}) already exists. Delete it to initialize new db\n`,
    });
    const request = join(golden, "nss-node.crq");
    expect(await run(directory, "-s", "-c", request, "-n", "lab")).toEqual({
      code: 0,
      out: `Signing cluster certificate\nCertificate stored in ${directory}/cluster-lab.crt\n`,
      error: "",
    });
    const other = await run(directory, "-s", "-c", request, "-n", "other");
    expect(other.code).toBe(0);
    expect(other.error).toContain('is for cluster "lab", not "other"');
    const bad = await run(directory, "-s", "-c", join(golden, "cli-help.txt"), "-n", "lab");
    expect(bad.code).toBe(1);
    expect(bad.error).toContain("it is no certificate request");
  });

  test("an NSS database without pk12util says what to do", async () => {
    const directory = place();
    mkdirSync(directory);
    copyFileSync(join(golden, "nss-cacert.crt"), join(directory, "qnetd-cacert.crt"));
    writeFileSync(join(directory, "cert9.db"), "");
    const path = process.env["PATH"];
    process.env["PATH"] = directory;
    try {
      const { code, error } = await run(directory, "-i");
      expect(code).toBe(1);
      expect(error).toContain("already exists and could not be taken over: ");
      expect(error).not.toContain("Delete it");
      expect(error).toContain(`pk12util -d ${directory} -n "QNet CA" -o ca.p12`);
    } finally {
      process.env["PATH"] = path;
    }
    chmodSync(directory, 0o700);
  });
});
