// The cluster's certificate from the operator's files, in every form the original's tools leave them, and what does not fit together.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Identity, pem } from "../../qnetd/pki/pki.ts";
import { createAuthority, createIdentity } from "../../qnetd/pki/issue.ts";
import {
  checkedIdentity,
  type ClusterIdentity,
  type IdentityFiles,
  identityOfFiles,
  packed,
} from "./device-identity.ts";

let folder = "";
let authority: Identity;
let other: Identity;
let lab: Identity;
let whole: ClusterIdentity;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "quorate-identity-"));
  const from = new Date();
  [authority, other] = [await createAuthority(101, from), await createAuthority(101, from)];
  lab = await createIdentity({ authority, commonName: "lab", serial: 103, from });
  whole = { ...lab, authority: authority.certificate };
  writeFileSync(join(folder, "lab.p12"), await packed(whole));
  writeFileSync(join(folder, "lab.crt"), lab.certificate);
  writeFileSync(join(folder, "lab.pem"), pem("CERTIFICATE", lab.certificate));
  writeFileSync(join(folder, "lab.key"), pem("PRIVATE KEY", lab.key));
  writeFileSync(join(folder, "ca.crt"), `text\n${pem("CERTIFICATE", authority.certificate)}`);
  writeFileSync(join(folder, "other.crt"), other.certificate);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const files = (named: Partial<IdentityFiles>): IdentityFiles => {
  const at = (name: string | undefined): string | undefined =>
    name === undefined ? undefined : join(folder, name);
  const { p12, certificate, key, authority: ca } = named;
  return {
    ...{ p12: at(p12), password: named.password ?? "" },
    ...{ certificate: at(certificate), key: at(key), authority: at(ca) },
  };
};
const plain = ({ key, certificate, authority: ca }: ClusterIdentity) =>
  [key, certificate, ca].map((der) => Buffer.from(der).toString("hex"));

test("a PKCS#12 with its authority; PEM or DER in three files; the same in the end", async () => {
  for (const named of [
    { p12: "lab.p12" },
    { p12: "lab.p12", authority: "ca.crt" },
    { certificate: "lab.crt", key: "lab.key", authority: "ca.crt" },
    { certificate: "lab.pem", key: "lab.key", authority: "ca.crt" },
  ]) {
    const read = await identityOfFiles(files(named));
    if (!read.ok) throw new Error(read.reason);
    expect(plain(read.value)).toEqual(plain(whole));
    expect(checkedIdentity(read.value, "LAB").ok).toBe(true);
  }
});

test("what is missing or of another is named", async () => {
  const reason = async (named: Partial<IdentityFiles>): Promise<string> => {
    const read = await identityOfFiles(files(named));
    return read.ok ? "no reason" : read.reason;
  };
  expect(await reason({ certificate: "lab.crt", key: "lab.key" })).toContain("together");
  expect(await reason({ p12: "none.p12" })).toContain("none.p12");
  expect(await reason({ p12: "lab.crt" })).toContain("lab.crt: ");
  expect(await reason({ p12: "lab.p12", password: "wrong" })).toContain("lab.p12: ");
  expect(await reason({ certificate: "lab.key", key: "lab.key", authority: "ca.crt" })).toContain(
    "lab.key: it is no certificate",
  );
  const faulty = (identity: ClusterIdentity, cluster = "lab"): string => {
    const checked = checkedIdentity(identity, cluster);
    return checked.ok ? "no reason" : checked.reason;
  };
  expect(faulty(whole, "prod")).toContain('is for "lab", this cluster is "prod"');
  expect(faulty({ ...whole, authority: other.certificate })).toContain("was not issued by");
  expect(faulty({ ...whole, key: other.key })).toContain("not that of the key");
});
