// Join tokens of a cluster whose node goes on to another one.
import { expect, test } from "bun:test";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import { issueCertificate, newRsaKey } from "../certificates/x509.ts";
import { decodeJoinToken } from "./join-token.ts";
import { secretHash } from "./places.ts";
import { decodeTokenRecord, tokenPath, tokensDirectory } from "./token-record.ts";
import { dropTokens, listTokens, makeToken } from "./tokens.ts";

const issued = issueCertificate({
  ...{ subject: [["commonName", "old"]], issuer: undefined, serial: 1n },
  key: await newRsaKey(2048),
  from: new Date(Date.now() - 1000),
  until: new Date(Date.now() + 86_400_000),
  kind: "server",
  alternativeNames: ["old"],
});
const certificate = new TextEncoder().encode(pem("CERTIFICATE", issued));

async function treeOf(authority: Uint8Array): Promise<TestingFiles> {
  const files = new TestingFiles();
  await files.create("pve-root-ca.pem");
  await files.write("pve-root-ca.pem", 0, authority);
  return files;
}

const sourceOf = (files: TestingFiles) => ({
  ...{ files, clusterName: () => "old", addresses: () => ["10.0.0.1"], port: 8006 },
  wallS: () => 1000,
});

test("a record says which cluster it is of, as the token does", async () => {
  const files = await treeOf(certificate);
  const made = await makeToken(sourceOf(files), 600, "root@pam");
  if (!made.ok) throw new Error(made.reason);
  const token = decodeJoinToken(made.value.text);
  if (!token.ok) throw new Error(token.reason);
  const read = files.read(tokenPath(secretHash(token.value.secret)));
  const record = read.ok ? decodeTokenRecord(read.value) : undefined;
  expect(record?.authority).toBe(Buffer.from(token.value.fingerprint).toString("hex"));
});

test("dropped: all, also what is no record; where there are none it is no failure", async () => {
  const files = await treeOf(certificate);
  expect((await dropTokens(files)).ok).toBe(true);
  for (let count = 0; count < 3; count += 1) await makeToken(sourceOf(files), 600, "root@pam");
  await files.create(`${tokensDirectory}/litter`);
  expect(listTokens(files)).toHaveLength(3);
  expect((await dropTokens(files)).ok).toBe(true);
  const left = files.list(tokensDirectory);
  expect(left.ok && left.value).toEqual([]);
});

test("one that cannot be taken away is a failure: no cluster is made with it", async () => {
  const files = await treeOf(certificate);
  await makeToken(sourceOf(files), 600, "root@pam");
  files.isQuorate = false;
  expect((await dropTokens(files)).ok).toBe(false);
});
