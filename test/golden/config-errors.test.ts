// Every configuration that was shown to corosync 3.1.7 is shown to our reader: what it refused we refuse, in its words.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { parseConf } from "../../src/conf.ts";
import { readSettings } from "../../src/node/read-settings.ts";

const folder = `${import.meta.dir}/config-errors`;

/** Cases where we differ, and why. */
const exceptions: Record<string, string> = {
  "missing-file": "no file: the caller says so",
  "bad-debug": "logging{} is the daemon's own; a node logs as its service manager wants",
  "bad-to_stderr": "logging{}",
  "bad-timestamp": "logging{}",
  "bad-facility": "logging{}",
  "subsys-missing": "logging{}",
  "bad-qb_ipc_type": "system.qb_ipc_type: no libqb here",
  "uidgid-badkey": "uidgid{} is about libqb clients",
  "uidgid-nouser": "uidgid{} is about libqb clients",
  "config_version-bad": "3.1.7 aborts on an assertion; we refuse with a sentence",
  "config_version-neg": "3.1.7 wraps around; we refuse",
  "udpu-nonodeid-ok": "knet only for now",
  "udpu-crypto": "knet only for now",
  "udpu-two-links": "knet only for now",
  "nested-in-node": "3.1.7 loses the rest of the node; we do not",
  "empty-key": "refused as the upstream main branch does, earlier than 3.1.7",
  "no-authkey": "our sentence names the file and what to do",
  "short-authkey": "our sentence names what to do",
  "rt-no-provider": "accepted by both; 3.1.7 merely went on running",
  "rt-twonode-atb": "accepted by both",
};

/** The original's error text, or "" when it accepted the file. */
function expectedError(name: string): string {
  const output = readFileSync(`${folder}/${name}.out.txt`, "latin1");
  for (const line of output.split("\n")) {
    const parser = /^parser error: \S+?:(\d+): (.*)$/.exec(line);
    if (parser !== null) return `${parser[1]}: ${parser[2]}`;
    const service = /failed to load for reason '(.*)'$/.exec(line);
    if (service !== null) return service[1] ?? "";
    const error = /error {3}\[MAIN {2}\] (.*)$/.exec(line);
    if (error !== null) return error[1] ?? "";
  }
  return "";
}

const names = readdirSync(folder)
  .filter((file) => file.endsWith(".conf"))
  .map((file) => file.slice(0, -".conf".length));

function read(name: string): string {
  const conf = parseConf(readFileSync(`${folder}/${name}.conf`, "latin1"));
  if (!conf.ok) return `F:${conf.line}: ${conf.reason}`;
  const addresses = ["10.96.0.1", "10.96.0.2", "10.96.0.3", "10.96.0.4", "10.96.0.5", "fd00::3"];
  addresses.push("10.97.0.1", "10.97.0.2", "10.97.0.3", "10.97.0.4", "10.96.0.44", "10.96.1.2");
  const result = readSettings({
    conf: conf.value,
    file: "F",
    localNames: [],
    localAddresses: ["10.96.0.4"],
    resolved: new Map(addresses.map((address) => [address, address])),
    key: { ok: true, bytes: new Uint8Array(128) },
  });
  return result.ok ? "" : result.reason;
}

test("there are cases", () => expect(names.length).toBeGreaterThan(80));

for (const name of names) {
  if (exceptions[name] !== undefined) continue;
  test(name, () => {
    const expected = expectedError(name);
    if (expected === "") expect(read(name)).toBe("");
    else expect(read(name)).toContain(expected);
  });
}

test("the exceptions are refused or accepted as their reasons say", () => {
  expect(read("config_version-bad")).toContain("totem.config_version");
  expect(read("config_version-neg")).toContain("totem.config_version");
  expect(read("nested-in-node")).toBe("");
  expect(read("udpu-crypto")).not.toBe("");
  expect(read("rt-no-provider")).toBe("");
});
