// An administrator's certificate by the API (pvecm.md §4.2): checked as a whole before anything is written, and shown once it is there.
import { beforeEach, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { repliesOf } from "../../../test/double/api-replies.ts";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { certificateRoutes } from "../api/nodes/certificate-routes.ts";
import { presentedIdentity } from "./presented-identity.ts";
import { issueCertificate, newRsaKey } from "./x509.ts";

async function pair(name: string) {
  const key = await newRsaKey(2048);
  const made = issueCertificate({
    ...{ subject: [["commonName", name]], key, issuer: undefined, serial: 7n },
    ...{ from: new Date(Date.now() - 1000), until: new Date(Date.now() + 3_600_000) },
    ...{ kind: "server", alternativeNames: [name, "192.0.2.1"] },
  });
  return {
    certificates: pem("CERTIFICATE", made),
    key: key.export({ format: "pem", type: "pkcs8" }),
  };
}
const [one, two] = await Promise.all([pair("one.example"), pair("two.example")]);

let files: TestingFiles;
beforeEach(() => {
  files = new TestingFiles();
});
const ask = (method: "GET" | "POST" | "DELETE", what: string, parameters = {}) =>
  repliesOf(certificateRoutes({ files, nodeName: "pve1" }))(
    method,
    `/nodes/pve1/certificates/${what}`,
    parameters,
  );
const shown = () => presentedIdentity(files, "pve1").identity?.certificate;

test("a pair is written without what stands around it, answered, listed and shown", async () => {
  await files.mkdir("nodes");
  const text = `subject=/CN=one\n${one.certificates}`;
  const { data, status } = await ask("POST", "custom", { ...one, certificates: text });
  const { fingerprint256 } = new X509Certificate(one.certificates);
  expect(status).toBe(200);
  expect(data).toMatchObject({
    ...{ filename: "pveproxy-ssl.pem", fingerprint: fingerprint256, subject: "/CN=one.example" },
    ...{ san: ["one.example", "192.0.2.1"], "public-key-bits": 2048 },
  });
  expect((await ask("GET", "info")).data).toEqual([data]);
  expect(shown()).toBe(one.certificates);
});

test("what is there is replaced by force only; a new certificate may keep the key", async () => {
  await files.mkdir("nodes");
  await ask("POST", "custom", one);
  expect(await ask("POST", "custom", two)).toMatchObject({
    ...{ status: 500, message: "Custom certificate file exists but force flag is not set.\n" },
  });
  expect(shown()).toBe(one.certificates);
  expect((await ask("POST", "custom", { ...two, force: "1", restart: "1" })).status).toBe(200);
  expect(shown()).toBe(two.certificates);
  const again = { certificates: two.certificates, force: "1" };
  expect((await ask("POST", "custom", again)).status).toBe(200);
  // One that does not belong to the key that is there.
  expect(await ask("POST", "custom", { certificates: one.certificates, force: "1" })).toMatchObject(
    {
      message: expect.stringContaining("key does not match the certificate (chain)"),
    },
  );
  expect(shown()).toBe(two.certificates);
});

test("what is no certificate, no key, or no pair is refused by its name, and nothing is written", async () => {
  await files.mkdir("nodes");
  const refused = async (parameters: object) => (await ask("POST", "custom", parameters)).errors;
  expect(await refused({ ...one, certificates: "nonsense" })).toHaveProperty("certificates");
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  expect(await refused({ ...one, certificates: one.certificates + broken })).toHaveProperty(
    "certificates",
  );
  expect(await refused({ ...one, key: "nonsense" })).toHaveProperty("key");
  expect(await refused({ certificates: one.certificates })).toEqual({
    key: "Attempted to upload custom certificate without (existing) key.",
  });
  expect(await ask("POST", "custom", { ...one, key: two.key })).toMatchObject({ status: 500 });
  expect(files.list("nodes")).toEqual({ ok: true, value: [] });
});

test("it is taken away, and once more is as good", async () => {
  await files.mkdir("nodes");
  await ask("POST", "custom", one);
  expect(await ask("DELETE", "custom")).toMatchObject({ status: 200, data: null });
  expect(await ask("DELETE", "custom")).toMatchObject({ status: 200 });
  expect(shown()).toBeUndefined();
});

test("a tree that cannot be written keeps what it has", async () => {
  await files.mkdir("nodes");
  await ask("POST", "custom", one);
  files.isQuorate = false;
  expect(await ask("POST", "custom", { ...two, force: "1" })).toMatchObject({ status: 500 });
  expect(await ask("DELETE", "custom")).toMatchObject({ status: 500 });
  expect(shown()).toBe(one.certificates);
});
