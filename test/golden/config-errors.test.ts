// Every configuration that was shown to corosync 3.1.7 is shown to our reader: what it refused we refuse, in its words.
import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { parseConf } from "../../src/conf.ts";
import { readSettings } from "../../src/node/settings/read-settings.ts";

const folder = `${import.meta.dir}/config-errors`;

/** Cases that are refused in other words than corosync's, and why. */
const otherWords: Readonly<Record<string, readonly [text: string, why: string]>> = {
  "subsys-missing": [
    "17: No subsys key in logger_subsys directive",
    "the section's line, not its end",
  ],
  "config_version-bad": [
    'Value of key "totem.config_version" is expected to be integer, but "abc" was given',
    "3.1.7 aborts on an assertion",
  ],
  "nested-in-node": [
    "Knet requires an explicit nodeid to be specified for address '10.96.0.1'",
    "3.1.7 takes the last node that it looked at for its own",
  ],
  "no-authkey": ["the key file says why", "our sentence names the file and what to do"],
  "short-authkey": ["the key has 40 bits, the minimum is 1024", "our sentence names what to do"],
  "udpu-nonodeid-ok": ["speaks knet only", "accepted by corosync, which has udpu"],
  "udpu-crypto": ["speaks knet only", "knet only for now"],
  "udpu-two-links": ["speaks knet only", "knet only for now"],
};

/** The original's error text, or "" when it accepted the file. */
function expectedError(name: string): string {
  const output = readFileSync(`${folder}/${name}.out.txt`, "latin1");
  for (const line of output.split("\n")) {
    const parser = /^parser error: \S+?:(\d+): (.*)$/.exec(line);
    if (parser !== null) return `${parser[1]}: ${parser[2]}`;
    const service = /failed to load for reason '(.*)'$/.exec(line);
    if (service !== null) return service[1] ?? "";
    const logging = /^(parse error in config: .*)\.$/.exec(line);
    if (logging !== null) return logging[1] ?? "";
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
    local: { names: [], addresses: ["10.96.0.4"] },
    resolved: new Map(addresses.map((address) => [address, address])),
    key:
      name === "no-authkey"
        ? { ok: false, reason: "the key file says why" }
        : { ok: true, bytes: new Uint8Array(name === "short-authkey" ? 5 : 128) },
    daemon: {
      isKnown: (_kind, user) => user === "root",
      logfileFault: () => undefined,
      directoryFault: () => undefined,
    },
  });
  return result.ok ? "" : result.reason;
}

test("there are cases", () => expect(names.length).toBeGreaterThan(80));

for (const name of names) {
  test(name, () => {
    const expected = otherWords[name]?.[0] ?? expectedError(name);
    if (expected === "") expect(read(name)).toBe("");
    else expect(read(name)).toContain(expected);
  });
}
