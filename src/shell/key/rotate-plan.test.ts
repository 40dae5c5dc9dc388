// Another key for the ring, killed at each step on paper: all nodes have the new one, or the former one, and none is left in the tree.
import { describe, expect, test } from "bun:test";
import { paperConf, PaperCluster } from "../../../test/double/paper-cluster.ts";
import { killEverywhere, type PaperWorld } from "../../../test/double/plan-kills.ts";
import { decodeNextKey, decodeTold, encodeNextKey, encodeTold, keyHash } from "./key-record.ts";
import { planRotate, type RotateFacts, rotateKeyPlan, type RotatePorts } from "./rotate-plan.ts";

const keyOf = (byte: number): string => new Uint8Array(256).fill(byte).toBase64();
const hashOf = (key: string): string => keyHash(Uint8Array.fromBase64(key));
const [oldKey, newKey] = [keyOf(1), keyOf(2)];

const { view } = new PaperCluster(paperConf(3));

/** Nodes 1 to 3, seen from node 1: each takes what the tree offers, one turn later. */
class PaperKeys {
  offered: string | undefined;
  readonly disks = new Map([1, 2, 3].map((nodeid) => [nodeid, oldKey]));
  readonly running = new Map(this.disks);
  /** Its disk takes nothing. */
  full: number | undefined;
  /** It does not reload. */
  deaf: number | undefined;
  readonly logged: string[] = [];

  turn(): void {
    for (const nodeid of this.disks.keys()) {
      if (this.offered !== undefined && nodeid !== this.full) this.disks.set(nodeid, this.offered);
    }
  }

  ports(): RotatePorts {
    return {
      cluster: {
        view: async () => view,
        turn: async () => this.turn(),
        log: async (message) => void this.logged.push(message),
      },
      key: {
        random: async () => newKey,
        told: async () =>
          new Map(
            [...this.disks].map(([nodeid, disk]) => [
              nodeid,
              { disk: hashOf(disk), running: hashOf(this.running.get(nodeid) ?? "") },
            ]),
          ),
        offer: async (key) => void (this.offered = key),
        withdraw: async () => void (this.offered = undefined),
        reload: async () => {
          for (const [nodeid, disk] of this.disks)
            if (nodeid !== this.deaf) this.running.set(nodeid, disk);
        },
      },
    };
  }

  problem(key: string): string {
    const all = [...this.disks.values(), ...this.running.values()];
    if (all.some((each) => each !== key)) return "a node has another key";
    return this.offered === undefined ? "" : "the key is left in the tree";
  }
}

const facts: RotateFacts = {
  oldKey,
  members: [1, 2, 3].map((nodeid) => ({ nodeid, name: `pve${nodeid}` })),
  log: "root@pam: the cluster's key was changed",
};

function world(prepare: (keys: PaperKeys) => void = () => undefined) {
  return (): PaperWorld<RotateFacts, RotatePorts> => {
    const keys = new PaperKeys();
    prepare(keys);
    return {
      ...{ ports: keys.ports(), facts },
      passes: () => keys.turn(),
      done: () => keys.problem(newKey),
      before: () => keys.problem(oldKey),
    };
  };
}

describe("another key", () => {
  test("killed at each step: all nodes have it, or all the former one", async () => {
    const tally = await killEverywhere({ plan: rotateKeyPlan, world: world() });
    expect(tally.completed).toBeGreaterThan(10);
    expect(tally.undone).toBeGreaterThan(10);
  });

  test("that a node cannot write goes back, and the node is named", async () => {
    const full = (keys: PaperKeys): void => void (keys.full = 2);
    const tally = await killEverywhere({ plan: rotateKeyPlan, world: world(full), isUndone: true });
    expect(tally.completed).toBe(0);
  });

  test("days later nothing is taken back of a cluster that has a third key by then", async () => {
    const keys = new PaperKeys();
    for (const each of [keys.disks, keys.running])
      for (const nodeid of each.keys()) each.set(nodeid, keyOf(9));
    const told: string[] = [];
    const step = rotateKeyPlan.steps.find(({ name }) => name === "use");
    await step?.undo?.({ ...facts, newKey }, keys.ports(), {
      signal: new AbortController().signal,
      tell: (text) => void told.push(text),
      isRepeated: true,
    });
    expect([keys.offered, told]).toEqual([
      undefined,
      ["the cluster has another key by now: it is left as it is"],
    ]);
  });
});

describe("planned", () => {
  const same = { disk: hashOf(oldKey), running: hashOf(oldKey) };
  const told = new Map([1, 2, 3].map((nodeid) => [nodeid, same]));
  const plan = (change: object = {}, cluster = new PaperCluster(paperConf(3))) =>
    planRotate(cluster.ports(), { oldKey, isJoining: false, told, ...change }, "root@pam").then(
      ({ facts: planned }) => planned.members.map(({ name }) => name).join(),
      (error: unknown) => (error instanceof Error ? error.message : "no error"),
    );

  test("for all nodes of a cluster whose keys are the same", async () => {
    expect(await plan()).toBe("pve1,pve2,pve3");
  });

  test("is refused with nothing changed, and the node is named", async () => {
    expect(await plan({ oldKey: undefined })).toContain("uses no key of /etc/corosync/authkey");
    expect(await plan({ isJoining: true })).toContain("a node is joining");
    expect(await plan({ told: new Map([...told].slice(0, 2)) })).toStartWith(
      "pve3 takes no key from the tree",
    );
    const other = new Map([...told, [2, { ...same, running: "0".repeat(32) }] as const]);
    expect(await plan({ told: other })).toStartWith("/etc/corosync/authkey of pve2 is not the key");
    const cluster = new PaperCluster(paperConf(3));
    cluster.on.delete(3);
    expect(await plan({}, cluster)).toContain("pve3 is offline");
  });
});

test("what lies in the tree is taken in its time only, and nonsense never", () => {
  const key = new Uint8Array(256).fill(3);
  const text = encodeNextKey(key.toBase64(), 100);
  expect(decodeNextKey(text, 100)).toEqual(key);
  expect(decodeNextKey(text, 101)).toBeUndefined();
  for (const junk of ["", "{", encodeNextKey("AAAA", 200), encodeNextKey("?", 200)]) {
    expect(decodeNextKey(junk, 1)).toBeUndefined();
  }
  const told = { disk: keyHash(key), running: keyHash(new Uint8Array(1)) };
  expect(decodeTold(encodeTold(told))).toEqual(told);
  for (const junk of [undefined, new Uint8Array(2000), new TextEncoder().encode(`{"disk":"x"}`)]) {
    expect(decodeTold(junk)).toBeUndefined();
  }
});
