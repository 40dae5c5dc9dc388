// Start and reload of a node with each file of verdicts/corpus.ts: refused exactly where Debian's corosync refused (verdicts.tsv), the
// machine as it was there. test/interop/verdicts.ts asks corosync again.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSettings } from "../../src/node/settings/load-settings.ts";
import type { Machine as LoadMachine } from "../../src/node/settings/machine.ts";
import { checkReload } from "../../src/node/settings/reload-rules.ts";
import { byResolver, type FoundAddress } from "../../src/node/settings/resolve.ts";
import type { NodeSettings } from "../../src/node/settings/settings.ts";
import { type Case, goodText, type Machine, usual } from "./verdicts/corpus.ts";
import { allCases, readTable } from "./verdicts/table.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-verdicts-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
const conf = join(directory, "corosync.conf");
const authkey = join(directory, "authkey");
writeFileSync(authkey, new Uint8Array(256));

function machineOf({ host, addresses, hosts }: Machine): LoadMachine {
  const table = ["127.0.0.1 localhost", ...hosts].map((line) => line.split(" "));
  const found = (address: string): FoundAddress => ({ address, family: isIP(address) });
  return {
    host: () => host,
    addresses: () => ["127.0.0.1", "::1", ...addresses].map(found),
    ask: async (name, family) => {
      // Spellings of IPv4 that getaddrinfo takes without asking anybody.
      if (/^[\d.]+$/.test(name)) return byResolver(name, family);
      const lines = table.filter(([, ...names]) =>
        names.some((each) => each.toLowerCase() === name.toLowerCase()),
      );
      return lines
        .map(([address = ""]) => found(address))
        .filter((each) => family === 0 || each.family === family);
    },
    nameOf: async (address) => table.find(([first]) => first === address)?.[1],
    isKnown: (_kind, name) => name === "root",
    logfileFault: (path) => (path === "/var/lib/corosync/quorate.log" ? undefined : "absent"),
    directoryFault: (path) => (path === "/var/lib/corosync" ? undefined : "absent"),
  };
}

async function load(text: string, machine: Machine, running?: NodeSettings) {
  writeFileSync(conf, text, "latin1");
  return loadSettings({ conf, authkey }, undefined, running, machineOf(machine));
}

/** "" or why it is refused. */
async function start({ text, machine }: Case): Promise<string> {
  const loaded = await load(text, machine);
  return loaded.ok ? "" : loaded.reason;
}

async function reload({ text, machine }: Case): Promise<string> {
  const running = await load(goodText, usual);
  if (!running.ok) throw new Error(running.reason);
  const loaded = await load(text, machine, running.value);
  if (!loaded.ok) return loaded.reason;
  const check = checkReload(running.value, loaded.value);
  return check.ok ? "" : check.reason;
}

/** Where we refuse what corosync takes, and why. Never the other way round. */
const without =
  "a node that is not in the nodelist any more is stopped by its operator, not by a reload";
const stricter: Readonly<Record<string, string>> = {
  "reload nodes: no nodes": without,
  "reload nodes: own node missing": without,
  "reload nodes: nodelist twice": without,
  "reload nodes: empty file": without,
  "reload nodes: a comment alone": without,
  "reload nodes: own nodeid changed": "corosync goes on under the old id, which nobody knows then",
  "start nodes: another provider":
    "corosync_ykd is not here; without votes a node must not say that it has them",
  "start file: udpu-nonodeid-ok": "knet only",
};

const recorded = new Map(readTable().map((verdict) => [verdict.name, verdict]));

test("every case has a recorded verdict, and none is left over", () => {
  const names = allCases().map(({ name }) => name);
  expect(names).toEqual([...recorded.keys()]);
  expect(names.length).toBeGreaterThan(300);
});

test("a running node that the nodelist leaves out is told so", async () => {
  const missing = allCases().find(({ name }) => name === "nodes: own node missing");
  if (missing === undefined) throw new Error("the case is gone");
  expect(await reload(missing)).toContain("this node, 1, is not in the nodelist: stop it");
  expect(await start(missing)).toContain("No valid name found for local host");
});

for (const each of allCases()) {
  const { name, machine } = each;
  test(name, async () => {
    const verdict = recorded.get(name);
    if (verdict === undefined)
      throw new Error("not recorded: bun test/interop/verdicts.ts --write");
    const said = { start: await start(each), reload: machine === usual ? await reload(each) : "" };
    for (const when of ["start", "reload"] as const) {
      const theirs = verdict[when];
      if (theirs === "none") continue;
      const ours = said[when] === "" ? "accepted" : "refused";
      const isAgreed = ours === (theirs === "accepted" ? "accepted" : "refused");
      const isExcused = ours === "refused" && stricter[`${when} ${name}`] !== undefined;
      if (isAgreed === isExcused) {
        throw new Error(
          `${when}: corosync ${theirs} (${verdict.reason}), quorate ${ours}: ${said[when]}`,
        );
      }
    }
  });
}
