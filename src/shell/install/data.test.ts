import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { roleData } from "./data.ts";

let base = "";
beforeEach(() => void (base = mkdtempSync(join(tmpdir(), "quorate-data-"))));
afterEach(() => rmSync(base, { recursive: true }));

function put(...paths: readonly string[]): void {
  for (const path of paths) {
    mkdirSync(dirname(join(base, path)), { recursive: true });
    writeFileSync(join(base, path), "x");
  }
}
/** Paths without the directory of the test. */
function found(role: "node" | "qnetd", isRecorded = false) {
  const places = { base, state: `${base}/state`, record: `${base}/state/installed` };
  const { ours, left } = roleData(role, isRecorded, places);
  const short = (text: string) => text.replaceAll(base, "");
  return { ours: ours.map(short).toSorted(), left: left.map(short) };
}

test("the data of what was started by hand is found", () => {
  const nothing = { ours: [], left: [] };
  expect([found("node"), found("qnetd")]).toEqual([nothing, nothing]);
  put("etc/corosync/qnetd/nssdb/qnetd-ca.pem", "etc/corosync/authkey", "var/lib/pve-cluster/c.db");
  expect(found("qnetd")).toEqual({ ours: ["/etc/corosync/qnetd"], left: [] });
  expect(found("node")).toEqual({
    ours: ["/etc/corosync/authkey", "/var/lib/pve-cluster"],
    left: [],
  });
});

test("an NSS database stays, with all but quorate's own beside it, recorded or not", () => {
  const nss = ["cert9.db", "key4.db", "pwdfile.txt", "serial.txt", "qnetd-cacert.crt"];
  const own = ["invite-0123456789abcdef.json", "qnetd-ca.pem", "qnetd-server.pem", "quorate.lock"];
  put(...[...nss, ...own].map((name) => `etc/corosync/qnetd/nssdb/${name}`));
  const expected = {
    ours: own.map((name) => `/etc/corosync/qnetd/nssdb/${name}`),
    left: [expect.stringContaining("/etc/corosync/qnetd/nssdb (the NSS database")],
  };
  expect([found("qnetd"), found("qnetd", true)]).toEqual([expected, expected]);
});

test("what may be corosync's or pmxcfs's is left where no service of quorate was", () => {
  put("etc/corosync/corosync.conf", "usr/sbin/corosync");
  expect(found("node")).toEqual({
    ours: [],
    left: [
      "/etc/corosync/corosync.conf (/usr/sbin/corosync is here, and no service of quorate was)",
    ],
  });
  expect(found("node", true).ours).toEqual(["/etc/corosync/corosync.conf"]);
});
