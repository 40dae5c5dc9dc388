// The authority and the certificates below it (pvecm.md §4.5), over a tree in memory: openssl and a TLS client take them, and they are renewed when they
// must be, and only then.
import { expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer } from "node:tls";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { certificatesOf } from "./certificate-info.ts";
import { type CertificatePorts, ensureCertificates } from "./cluster-certificates.ts";
import { presentedIdentity } from "./presented-identity.ts";
import { issueCertificate, newRsaKey } from "./x509.ts";

const dayMs = 86_400_000;
/** A certificate knows whole seconds. */
const begin = Math.floor(Date.now() / 1000) * 1000;

function portsOf(files: TestingFiles, more: Partial<CertificatePorts> = {}): CertificatePorts {
  const fixed = { nodeName: "pve1", domain: "example.org", address: "192.0.2.91" };
  return { files, ...fixed, now: () => begin, ...more };
}

function textOf(files: TestingFiles, path: string): string {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : read.errno;
}

async function put(files: TestingFiles, path: string, text: string): Promise<void> {
  if (!files.stat(path).ok) await files.create(path);
  await files.truncate(path, 0);
  await files.write(path, 0, new TextEncoder().encode(text));
}

async function ensured(ports: CertificatePorts, isForced = false) {
  const done = await ensureCertificates(ports, { isForced });
  if (!done.ok) throw new Error(done.reason);
  return done.value;
}

async function refusal(ports: CertificatePorts): Promise<string> {
  const done = await ensureCertificates(ports);
  return done.ok ? "done" : done.reason;
}

const all = [
  "priv/pve-root-ca.key",
  "pve-www.key",
  "nodes/pve1/pve-ssl.key",
  "pve-root-ca.pem",
  "priv/pve-root-ca.srl",
  "nodes/pve1/pve-ssl.pem",
];
/** Made once: an authority's key takes seconds. */
const first = new TestingFiles();
const firstMade = await ensured(portsOf(first));

/** A tree like the first one. */
async function tree(): Promise<TestingFiles> {
  const files = new TestingFiles();
  for (const path of ["priv", "nodes", "nodes/pve1"]) await files.mkdir(path);
  for (const path of all) await put(files, path, textOf(first, path));
  return files;
}

const certificateOf = (files: TestingFiles, path = "nodes/pve1/pve-ssl.pem") =>
  new X509Certificate(textOf(files, path));

test("names, lifetimes and extensions are the original's; a second time nothing is made", async () => {
  expect(firstMade).toEqual({ made: all, reason: "there was none" });
  expect(await ensured(portsOf(first))).toEqual({ made: [], reason: "" });
  const authority = certificateOf(first, "pve-root-ca.pem");
  expect(authority.subject).toMatch(
    /^CN=Proxmox Virtual Environment\nOU=[0-9a-f-]{36}\nO=PVE Cluster Manager CA$/,
  );
  expect(authority.ca).toBe(true);
  const days = (certificate: X509Certificate) => [
    Math.round((Date.parse(certificate.validFrom) - begin) / dayMs),
    Math.round((Date.parse(certificate.validTo) - begin) / dayMs),
  ];
  expect(days(authority)).toEqual([-1, 3650]);
  const node = certificateOf(first);
  expect(days(node)).toEqual([-1, 730]);
  expect(node.subject).toBe(
    "OU=PVE Cluster Node\nO=Proxmox Virtual Environment\nCN=pve1.example.org",
  );
  expect(node.subjectAltName).toBe(
    "IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1, DNS:localhost, IP Address:192.0.2.91, DNS:pve1, DNS:pve1.example.org",
  );
  expect(node.ca).toBe(false);
  expect(node.serialNumber).toBe("01");
  expect(textOf(first, "priv/pve-root-ca.srl")).toBe("01\n");
  expect(node.publicKey.asymmetricKeyDetails?.modulusLength).toBe(2048);
  expect(authority.publicKey.asymmetricKeyDetails?.modulusLength).toBe(4096);
});

test("an operator reads of them what the original's API says", async () => {
  const [authority, node, ...more] = certificatesOf(first, "pve1");
  expect(more).toEqual([]);
  expect(authority).toMatchObject({
    filename: "pve-root-ca.pem",
    "public-key-bits": 4096,
    san: [],
  });
  expect(node).toEqual({
    filename: "pve-ssl.pem",
    fingerprint: certificateOf(first).fingerprint256,
    subject: "/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN=pve1.example.org",
    issuer: authority?.subject ?? "",
    notbefore: begin / 1000 - 86_400,
    notafter: begin / 1000 + 730 * 86_400,
    san: ["127.0.0.1", "0:0:0:0:0:0:0:1", "localhost", "192.0.2.91", "pve1", "pve1.example.org"],
    "public-key-type": "rsaEncryption",
    "public-key-bits": 2048,
    pem: textOf(first, "nodes/pve1/pve-ssl.pem"),
  });
  expect(certificatesOf(first, "pve9").map(({ filename }) => filename)).toEqual([
    "pve-root-ca.pem",
  ]);
});

test("openssl verifies the chain strictly, and knows its purpose and names", async () => {
  const directory = mkdtempSync(join(tmpdir(), "quorate-certificates-"));
  try {
    const [ca, node] = [join(directory, "ca.pem"), join(directory, "node.pem")];
    writeFileSync(ca, textOf(first, "pve-root-ca.pem"));
    writeFileSync(node, textOf(first, "nodes/pve1/pve-ssl.pem"));
    const strict = ["-x509_strict", "-purpose", "sslserver", "-verify_ip", "192.0.2.91"];
    const run = Bun.spawnSync(["openssl", "verify", ...strict, "-CAfile", ca, node]);
    expect(run.stderr.toString() + run.stdout.toString()).toBe(`${node}: OK\n`);
    const text = Bun.spawnSync(["openssl", "x509", "-noout", "-text", "-in", ca]).stdout.toString();
    expect(text).toMatch(/X509v3 Key Usage: critical\s+Certificate Sign, CRL Sign/);
    expect(text).toMatch(/X509v3 Basic Constraints: critical\s+CA:TRUE/);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("a TLS client that trusts the authority takes the node's certificate", async () => {
  const { identity } = presentedIdentity(first, "pve1");
  if (identity === undefined) throw new Error("none");
  const server = createServer({ cert: identity.certificate, key: identity.key });
  const listening = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const secured = Promise.withResolvers<boolean>();
  const ca = textOf(first, "pve-root-ca.pem");
  const where = { host: "127.0.0.1", port: address.port, servername: "pve1.example.org", ca };
  const socket = connect(where, () => secured.resolve(socket.authorized));
  socket.on("error", secured.reject);
  expect(await secured.promise).toBe(true);
  expect(socket.getPeerCertificate().fingerprint256).toBe(certificateOf(first).fingerprint256);
  socket.destroy();
  server.close();
});

test("a certificate is renewed near its end, for another address, key or authority, and when asked; serials count up", async () => {
  const files = await tree();
  const later = (days: number) => portsOf(files, { now: () => begin + days * dayMs });
  expect((await ensured(later(715))).reason).toBe("");
  expect(await ensured(later(717))).toEqual({
    made: ["nodes/pve1/pve-ssl.pem"],
    reason: "it expires in less than 14 days",
  });
  expect((await ensured(portsOf(files))).reason).toBe("it is valid for more than two years");
  expect((await ensured(later(731))).reason).toBe("it has expired");
  expect((await ensured(portsOf(files))).reason).toStartWith("it is valid for more");
  const moved = portsOf(files, { address: "2001:db8::7" });
  expect((await ensured(moved)).reason).toBe("it does not name 2001:db8::7");
  expect(certificateOf(files).checkIP("2001:db8::7")).toBe("2001:db8::7");
  await put(files, "nodes/pve1/pve-ssl.key", textOf(first, "pve-www.key"));
  expect((await ensured(moved)).reason).toBe("it does not belong to its key");
  await put(files, "nodes/pve1/pve-ssl.pem", "damaged");
  expect((await ensured(moved)).reason).toBe("it cannot be read");
  expect((await ensured(moved, true)).reason).toBe("it was asked for");
  expect(certificateOf(files).serialNumber).toBe("09");
  await files.remove("pve-root-ca.pem");
  expect(await ensured(moved)).toEqual({
    made: ["pve-root-ca.pem", "priv/pve-root-ca.srl", "nodes/pve1/pve-ssl.pem"],
    reason: "another authority has signed it",
  });
});

test("the authority bounds the certificate, is never renewed, and signs nothing near its end", async () => {
  const files = await tree();
  const at = (days: number) => portsOf(files, { now: () => begin + days * dayMs });
  await ensured(at(3000));
  const until = Date.parse(certificateOf(files).validTo);
  expect(Math.round((until - begin) / dayMs)).toBe(3000 + 648);
  expect(await refusal(at(3640))).toBe(
    "CA expires in less than 2 weeks, unable to generate certificate.",
  );
  expect(textOf(files, "pve-root-ca.pem")).toBe(textOf(first, "pve-root-ca.pem"));
});

test("what cannot be done is told, and nothing is put in the place of what is somebody's", async () => {
  const files = await tree();
  await files.remove("priv/pve-root-ca.key");
  await files.remove("nodes/pve1/pve-ssl.pem");
  expect(await refusal(portsOf(files))).toMatch(
    /are not an authority that can sign: put back the pair/,
  );
  expect(files.stat("priv/pve-root-ca.key").ok).toBe(false);
  await put(files, "priv/pve-root-ca.key", textOf(first, "priv/pve-root-ca.key"));
  await put(files, "priv/pve-root-ca.srl", "no number\n");
  expect(await refusal(portsOf(files))).toMatch(/pve-root-ca\.srl holds no serial number/);
  const readOnly = await tree();
  readOnly.isQuorate = false;
  expect(await refusal(portsOf(readOnly))).toMatch(/cannot be taken/);
  expect(files.stat("priv/lock/pve-root-ca").ok).toBe(false);
});

test("two nodes at once make one authority", async () => {
  const files = new TestingFiles();
  const [one, two] = await Promise.all([
    ensured(portsOf(files)),
    ensured(portsOf(files, { nodeName: "pve2", address: "192.0.2.92" })),
  ]);
  const made = [...one.made, ...two.made].toSorted();
  const shared = all.filter((path) => !path.startsWith("nodes/"));
  const own = ["pve1", "pve2"].flatMap((node) => [
    `nodes/${node}/pve-ssl.key`,
    `nodes/${node}/pve-ssl.pem`,
  ]);
  expect(made).toEqual([...shared, ...own].toSorted());
  const authority = certificateOf(files, "pve-root-ca.pem");
  const serials = ["pve1", "pve2"].map((node) => {
    const certificate = certificateOf(files, `nodes/${node}/pve-ssl.pem`);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    return certificate.serialNumber;
  });
  expect(serials.toSorted()).toEqual(["01", "02"]);
}, 60_000);

test("an administrator's own certificate is shown first, unless it is without its key", async () => {
  const files = await tree();
  const key = await newRsaKey(2048);
  const own = issueCertificate({
    subject: [["commonName", "own"]],
    key,
    issuer: undefined,
    serial: 0xff00n,
    from: new Date(begin),
    until: new Date(begin + dayMs),
    kind: "server",
    alternativeNames: ["::ffff:192.0.2.1"],
  });
  const certificate = pem("CERTIFICATE", own);
  expect(new X509Certificate(certificate).serialNumber).toBe("FF00");
  await put(files, "nodes/pve1/pveproxy-ssl.pem", certificate);
  const chain = textOf(files, "nodes/pve1/pve-ssl.pem") + textOf(files, "pve-root-ca.pem");
  expect(presentedIdentity(files, "pve1").identity?.certificate).toBe(chain);
  await put(files, "nodes/pve1/pveproxy-ssl.key", key.export({ format: "pem", type: "pkcs8" }));
  expect(presentedIdentity(files, "pve1")).toMatchObject({ identity: { certificate }, fault: "" });
  await put(files, "nodes/pve1/pveproxy-ssl.key", textOf(first, "pve-www.key"));
  const { identity, fault } = presentedIdentity(files, "pve1");
  expect(identity?.certificate).toBe(chain);
  expect(fault).toMatch(
    /pveproxy-ssl\.pem and .*pveproxy-ssl\.key are not a certificate with its key/,
  );
});
