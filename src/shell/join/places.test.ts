// Places of joining nodes in a tree that several members see: what corosync.conf says at each step, and what the next member makes of a
// tree that one left at any moment.
import { beforeEach, describe, expect, spyOn, test } from "bun:test";
import { formerMembersPath, readFormer, withFormer } from "../change/former-members.ts";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import type { Files } from "../../fs/tree/files.ts";
import { success } from "../../result.ts";
import { freshConf } from "../conf/fresh.ts";
import { withNode, withoutNode } from "../conf/nodes.ts";
import { readClusterConf } from "../conf/cluster-conf.ts";
import { type PlaceAsker, type PlacePorts, Places, secretHash } from "./places.ts";
import { entryOf, type PlaceRequest } from "./place-edits.ts";
import { reservationPath } from "./reservation.ts";
import { decodeTokenRecord, encodeTokenRecord, tokenPath } from "./token-record.ts";

const key = new Uint8Array(256).fill(5);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
const bytes = (words: string) => new Uint8Array(Buffer.from(words, "latin1"));

/** Members with one tree; what one of them sees of ring and clock is given. */
class Cluster {
  files = new TestingFiles();
  members = [1, 2];
  synced = [1, 2];
  isQuorate = true;
  /** Who does not run with the tree's corosync.conf. */
  lagging = "";
  seconds = 1000;
  readonly log: string[] = [];
  readonly warnings: string[] = [];
  readonly granted: [number, number][] = [];

  member(nodeid: number, change: Partial<PlacePorts> = {}): Places {
    return new Places({
      files: this.files,
      nodeid,
      ring: () => ({ isQuorate: this.isQuorate, members: this.members, synced: this.synced }),
      untilInForce: async () => this.lagging,
      resolve: async () => undefined,
      readKey: () => success(key),
      wallS: () => this.seconds,
      nowMs: () => this.seconds * 1000,
      grantVotes: async (granted, votes) => void this.granted.push([granted, votes]),
      logToCluster: (user, line) => this.log.push(`${user}: ${line}`),
      warn: (line) => this.warnings.push(line),
      ...change,
    });
  }

  get conf(): string {
    const read = this.files.read("corosync.conf");
    return read.ok ? text(read.value) : "";
  }
  get version(): number {
    const read = readClusterConf(this.conf);
    return read.ok ? read.value.version : 0;
  }
  votes(node: string): number | undefined {
    return entryOf(this.conf, node)?.votes;
  }
  async put(path: string, content: Uint8Array): Promise<void> {
    await this.files.create(path);
    await this.files.write(path, 0, content);
  }
  get hasReservation(): boolean {
    return this.files.stat(reservationPath).ok;
  }
}

function confOf(nodes: number): string {
  const fresh = freshConf({
    clusterName: "prod",
    node: { name: "pve1" },
    links: [{ number: 0, address: "10.0.0.1", priority: 0 }],
  });
  if (!fresh.ok) throw new Error(fresh.reason);
  let conf = fresh.value;
  for (let nodeid = 2; nodeid <= nodes; nodeid += 1) {
    const edit = withNode(conf, {
      name: `pve${nodeid}`,
      nodeid,
      links: new Map([[0, `10.0.0.${nodeid}`]]),
    });
    if (!edit.ok) throw new Error(edit.reason);
    conf = edit.value.text;
  }
  return conf;
}

const request: PlaceRequest = {
  node: "pve3",
  nodeid: undefined,
  votes: 1,
  links: new Map([[0, "10.0.0.3"]]),
  fallbackAddress: undefined,
  isForced: false,
  apiVersion: 1,
};
const secret = secretHash(new Uint8Array(16).fill(1));
const asker: PlaceAsker = { by: "root@pam", token: undefined, secret };

let cluster: Cluster;
beforeEach(async () => {
  cluster = new Cluster();
  await cluster.files.mkdir("priv");
  await cluster.put("corosync.conf", bytes(confOf(2)));
});

async function reserved(
  places: Places,
  change: Partial<PlaceRequest> = {},
  by: Partial<PlaceAsker> = {},
) {
  const answer = await places.reserve({ ...request, ...change }, { ...asker, ...by });
  if (answer.kind !== "reserved") throw new Error(answer.reason);
  return answer;
}

describe("a place", () => {
  test("is reserved without a vote, confirmed with its votes, and each is one change for all", async () => {
    const first = cluster.member(1);
    const before = cluster.version;
    const answer = await reserved(first);
    expect(answer.reservation).toMatchObject({ node: "pve3", nodeid: 3, votes: 1, endsAt: 1300 });
    expect(answer.key).toEqual(key);
    expect(answer.conf).toBe(cluster.conf);
    expect(cluster.votes("pve3")).toBe(0);
    expect(cluster.conf).toContain("quorum_votes: 0");
    expect(cluster.version).toBe(before + 1);
    expect(await first.tend()).toMatchObject({ kind: "wait" });
    cluster.members = [1, 2, 3];
    expect(await first.tend()).toMatchObject({ kind: "wait" });
    cluster.synced = [1, 2, 3];
    expect(await first.tend()).toEqual({ kind: "nothing" });
    expect(cluster.granted).toEqual([[3, 1]]);
    expect(cluster.votes("pve3")).toBe(1);
    expect(cluster.version).toBe(before + 2);
    expect(cluster.hasReservation).toBe(false);
    for (const name of ["lxc", "qemu-server", "openvz", "priv"]) {
      expect(cluster.files.stat(`nodes/pve3/${name}`).ok).toBe(true);
    }
    expect(cluster.log).toEqual([
      "root@pam: adding node pve3 to cluster",
      "root@pam: node pve3 has joined the cluster",
    ]);
    expect(first.state("pve3", 3, secret)).toEqual({ kind: "confirmed" });
  });

  test("of a node that does not come is removed by whoever is there, and nothing else has changed", async () => {
    const before = readClusterConf(cluster.conf);
    await reserved(cluster.member(1));
    // Its maker is gone.
    cluster.members = [2];
    const second = cluster.member(2);
    expect(await second.tend()).toMatchObject({ kind: "wait", untilMs: 1_300_000 });
    cluster.seconds = 1300;
    expect(await second.tend()).toEqual({ kind: "nothing" });
    const after = readClusterConf(cluster.conf);
    if (!before.ok || !after.ok) throw new Error("unreadable");
    expect({ ...after.value, version: 0 }).toEqual({ ...before.value, version: 0 });
    expect(after.value.version).toBe(before.value.version + 2);
    expect(cluster.hasReservation).toBe(false);
    expect(cluster.log.at(-1)).toContain("did not come into the ring in its time");
    expect(second.state("pve3", 3, secret)).toEqual({ kind: "none" });
  });

  test("is given back by the joiner that knows its secret, and by nobody else", async () => {
    const first = cluster.member(1);
    await reserved(first);
    const foreign = secretHash(new Uint8Array(16).fill(2));
    expect(await first.cancel("pve3", 3, foreign)).toEqual({ ok: true, value: { kind: "none" } });
    expect(cluster.votes("pve3")).toBe(0);
    expect(await cluster.member(2).cancel("pve3", 3, secret)).toEqual({
      ok: true,
      value: { kind: "none" },
    });
    expect(cluster.votes("pve3")).toBeUndefined();
    expect(await first.cancel("pve3", 3, secret)).toEqual({ ok: true, value: { kind: "none" } });
  });

  test("is not asked for under the cluster's lock by who does not know its secret", async () => {
    const first = cluster.member(1);
    await reserved(first);
    const locks = spyOn(cluster.files, "mkdir");
    const foreign = secretHash(new Uint8Array(16).fill(2));
    expect(await first.cancel("pve3", 3, foreign)).toEqual({ ok: true, value: { kind: "none" } });
    expect(await first.cancel("pve2", 2, foreign)).toMatchObject({ value: { kind: "confirmed" } });
    expect(locks).not.toHaveBeenCalled();
    // A tree that is still being compared says nothing of the cluster.
    cluster.synced = [];
    await first.cancel("pve3", 3, foreign);
    expect(locks).toHaveBeenCalled();
  });

  test("that is confirmed cannot be given back any more", async () => {
    const first = cluster.member(1);
    await reserved(first);
    cluster.members = cluster.synced = [1, 2, 3];
    await first.tend();
    expect(await first.cancel("pve3", 3, secret)).toEqual({
      ok: true,
      value: { kind: "confirmed" },
    });
    expect(cluster.votes("pve3")).toBe(1);
  });

  test("asked for again is the same one with its time from the beginning; asked for by others is queued", async () => {
    const first = cluster.member(1);
    const one = await reserved(first);
    cluster.seconds = 1200;
    const two = await reserved(cluster.member(2));
    expect(two.conf).toBe(one.conf);
    expect(two.reservation.endsAt).toBe(1500);
    const other = await first.reserve(
      { ...request, node: "pve4", links: new Map([[0, "10.0.0.4"]]) },
      { ...asker, secret: undefined },
    );
    expect(other).toMatchObject({
      kind: "queued",
      reason: expect.stringContaining("'pve4' is next"),
    });
  });

  test("asked for anew by the same node with other addresses takes the place of the old one", async () => {
    const first = cluster.member(1);
    await reserved(first);
    const other = await reserved(
      first,
      { links: new Map([[0, "10.0.0.33"]]) },
      { secret: undefined },
    );
    expect(other.reservation.nodeid).toBe(3);
    expect(cluster.conf).not.toContain("10.0.0.3\n");
    expect(cluster.conf.match(/name: pve3/g)?.length).toBe(1);
  });

  test("of a node that replaces a configured one gives it its votes back when it does not come", async () => {
    const conf = withNode(confOf(2), {
      name: "pve3",
      nodeid: 7,
      links: new Map([[0, "10.0.0.7"]]),
    });
    if (!conf.ok) throw new Error(conf.reason);
    await cluster.files.write("corosync.conf", 0, bytes(conf.value.text));
    const first = cluster.member(1);
    expect(await first.reserve(request, asker)).toMatchObject({
      kind: "refused",
      reason: "can't add existing node 'pve3'",
    });
    const { reservation } = await reserved(first, { isForced: true });
    expect(reservation).toMatchObject({ nodeid: 7, replacedVotes: 1 });
    expect(cluster.votes("pve3")).toBe(0);
    expect((await first.cancel("pve3", 7, secret)).ok).toBe(true);
    expect(cluster.votes("pve3")).toBe(1);
  });

  test("of a node that runs is not given to another machine of its name", async () => {
    const first = cluster.member(1);
    const twice = { ...request, node: "pve2", links: new Map([[0, "10.0.0.9"]]), isForced: true };
    const before = cluster.conf;
    expect(await first.reserve(twice, asker)).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("node 'pve2' (nodeid 2) runs in this cluster"),
    });
    expect([cluster.conf, cluster.hasReservation]).toEqual([before, false]);
    cluster.members = [1];
    expect((await reserved(first, twice)).reservation).toMatchObject({ nodeid: 2 });
  });

  test("in a cluster whose device has automatic votes leaves the device its votes", async () => {
    const device = confOf(3).replace(
      "  provider:",
      "  device {\n    model: net\n    net {\n      algorithm: lms\n      host: 10.0.0.9\n    }\n  }\n  provider:",
    );
    await cluster.files.write("corosync.conf", 0, bytes(device));
    cluster.members = [1, 2, 3];
    const first = cluster.member(1);
    await reserved(first, { node: "pve4", links: new Map([[0, "10.0.0.4"]]) });
    // corosync switches off a device with automatic votes when a node has none.
    expect(cluster.conf).toMatch(/votes: 2\n/);
    expect(cluster.votes("pve4")).toBe(0);
    expect(await first.cancel("pve4", 4, secret)).toMatchObject({ ok: true });
    expect(readClusterConf(cluster.conf)).toMatchObject({
      ok: true,
      value: { device: { votes: undefined } },
    });
  });
});

test("a place waits while a member does not run with the corosync.conf of the tree", async () => {
  cluster.lagging = "pve2 (version 1) does not run with it";
  expect(await cluster.member(1).reserve(request, asker)).toEqual({
    kind: "queued",
    reason: "pve2 (version 1) does not run with it",
  });
  expect(cluster.hasReservation).toBe(false);
});

test("a node that was removed and joins again is no former member any more", async () => {
  const first = cluster.member(1);
  await cluster.files.mkdir("priv/quorate");
  const how = "removed" as const;
  const entry = { nodeid: 3, addresses: [], at: 1, by: "root@pam", how };
  const kept = withFormer(withFormer(undefined, { ...entry, name: "pve3" }), {
    ...entry,
    name: "pve9",
  });
  await cluster.put(formerMembersPath, bytes(kept));
  await reserved(first);
  [cluster.members, cluster.synced] = [
    [1, 2, 3],
    [1, 2, 3],
  ];
  expect(await first.tend()).toEqual({ kind: "nothing" });
  const read = cluster.files.read(formerMembersPath);
  expect(readFormer(read.ok ? text(read.value) : "").map(({ name }) => name)).toEqual(["pve9"]);
});

describe("a place is refused", () => {
  const refused = async (change: Partial<PlaceRequest>) => {
    const before = cluster.conf;
    const answer = await cluster.member(1).reserve({ ...request, ...change }, asker);
    expect(answer.kind).toBe("refused");
    expect(cluster.conf).toBe(before);
    expect(cluster.hasReservation).toBe(false);
    return answer.kind === "refused" ? answer : undefined;
  };

  test("without quorum", async () => {
    cluster.isQuorate = false;
    expect((await refused({}))?.reason).toBe("cluster not ready - no quorum?");
  });

  test.each<[string, Partial<PlaceRequest>, string]>([
    [
      "an old version",
      { apiVersion: -1 },
      "error: unsupported old API version on joining node (-1), cluster node has 1 and supports >= 0. Please upgrade node before joining",
    ],
    [
      "an address of another node",
      { links: new Map([[0, "10.0.0.2"]]) },
      "corosync: address '10.0.0.2' already used on link ring0_addr by node 'pve2'",
    ],
    [
      "a missing link",
      { links: new Map([[1, "10.1.0.3"]]) },
      "corosync: link 0 exists in cluster config but wasn't specified for new node",
    ],
    [
      "no link",
      { links: new Map() },
      "no links and no fallback ip (new_node_ip) given, cannot join cluster",
    ],
    ["a name that is there", { node: "pve2" }, "can't add existing node 'pve2'"],
    ["a nodeid that is there", { nodeid: 2 }, "nodeid 2 already used by node 'pve2'"],
  ])("for %s, in the original's words", async (_, change, reason) => {
    expect((await refused(change))?.reason).toBe(reason);
  });

  test("for a corosync.conf that is wrong already, with each fault under its name", async () => {
    const wrong = cluster.conf.replace("ring0_addr: 10.0.0.2", "ring1_addr: 10.0.0.2");
    await cluster.put("corosync.conf.x", bytes(wrong));
    await cluster.files.rename("corosync.conf.x", "corosync.conf");
    const answer = await refused({});
    expect(answer?.reason).toBe("invalid corosync.conf");
    expect(answer?.errors?.["error0"]).toBe("node 'pve2' is missing address forinterface number 0");
  });

  test("when the disk of the tree refuses it", async () => {
    const full = changedFiles(cluster.files, "rename", async () => ({
      ok: false,
      errno: "EIO",
      reason: "disk full",
    }));
    const answer = await cluster.member(1, { files: full }).reserve(request, asker);
    expect(answer).toMatchObject({ kind: "refused", reason: expect.stringContaining("disk full") });
  });
});

describe("a token", () => {
  const hash = secretHash(new Uint8Array(16).fill(9));
  const record = { hash, createdAt: 900, expiresAt: 4500, by: "root@pam" };
  const stored = () => {
    const read = cluster.files.read(tokenPath(hash));
    return read.ok ? decodeTokenRecord(read.value) : undefined;
  };
  beforeEach(async () => {
    for (const path of ["priv/quorate", "priv/quorate/join-tokens"])
      await cluster.files.mkdir(path);
    await cluster.put(tokenPath(hash), encodeTokenRecord(record));
  });

  test("lets its first node in, again after a failed try, and is used up by the join", async () => {
    const first = cluster.member(1);
    await reserved(first, {}, { token: hash });
    expect(stored()).toMatchObject({ node: "pve3" });
    await first.cancel("pve3", 3, secret);
    const other = { ...request, node: "pve4", links: new Map([[0, "10.0.0.4"]]) };
    expect(await first.reserve(other, { ...asker, token: hash })).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("already taken by node 'pve3'"),
    });
    await reserved(first, {}, { token: hash });
    cluster.members = cluster.synced = [1, 2, 3];
    await first.tend();
    expect(stored()).toMatchObject({ node: "pve3", usedAt: 1000 });
    const gone = withoutNode(cluster.conf, "pve3");
    if (!gone.ok) throw new Error(gone.reason);
    await cluster.files.write(
      "corosync.conf",
      0,
      bytes(gone.value.text.padEnd(cluster.conf.length)),
    );
    expect(await first.reserve(request, { ...asker, token: hash })).toMatchObject({
      kind: "refused",
      reason: expect.stringContaining("was used by node 'pve3'"),
    });
  });

  test("that nobody made, or that has expired, lets nobody in", async () => {
    const foreign = secretHash(new Uint8Array(16).fill(3));
    const first = cluster.member(1);
    expect(await first.reserve(request, { ...asker, token: foreign })).toMatchObject({
      reason: expect.stringContaining("does not know the join token"),
    });
    cluster.seconds = 4500;
    expect(await first.reserve(request, { ...asker, token: hash })).toMatchObject({
      reason: expect.stringContaining("expired on 1970-01-01 01:15:00 UTC"),
    });
  });
});

class Killed extends Error {}

const changes = ["mkdir", "create", "write", "remove", "rename"] as const;

/** The tree with one of its calls replaced. */
function changedFiles(files: Files, name: string, call: (...words: never[]) => unknown): Files {
  return new Proxy(files, {
    get: (target, property) => {
      if (property === name) return call;
      const own: unknown = Reflect.get(target, property, target);
      return typeof own === "function" ? own.bind(target) : own;
    },
  });
}

/** The tree as a member has it that dies before its change number `endAt`, and stays dead. */
function dyingFiles(files: Files, endAt: number): Files {
  let count = 0;
  return changes.reduce<Files>(
    (inner, name) =>
      changedFiles(inner, name, async (...words) => {
        count += 1;
        if (count >= endAt) throw new Killed();
        return (files[name] as (...all: never[]) => unknown).apply(files, words);
      }),
    files,
  );
}

describe("a member that dies at any change of the tree", () => {
  /** As the lock of a dead holder is freed by the original's rule. */
  const freeLock = () => cluster.files.remove("priv/lock/file-corosync_conf");

  async function dies(endAt: number, work: (places: Places) => Promise<unknown>): Promise<boolean> {
    const dying = cluster.member(1, { files: dyingFiles(cluster.files, endAt) });
    try {
      await work(dying);
      return false;
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
      await freeLock();
      return true;
    }
  }

  async function again(): Promise<void> {
    cluster = new Cluster();
    await cluster.files.mkdir("priv");
    await cluster.put("corosync.conf", bytes(confOf(2)));
  }

  test("while it reserves: the joiner asks the next one, or nothing is left after its time", async () => {
    for (const isAskedAgain of [true, false]) {
      for (let endAt = 1; ; endAt += 1) {
        await again();
        const isDead = await dies(endAt, (places) => places.reserve(request, asker));
        cluster.members = [2];
        const second = cluster.member(2);
        if (isAskedAgain) {
          const { reservation } = await reserved(second);
          expect(reservation.nodeid).toBe(3);
          expect(cluster.votes("pve3")).toBe(0);
        } else {
          for (let turn = 0; turn < 3; turn += 1) {
            await second.tend();
            cluster.seconds += 300;
          }
          expect(cluster.votes("pve3")).toBeUndefined();
          expect(cluster.hasReservation).toBe(false);
        }
        if (!isDead) break;
      }
    }
  });

  test.each(["confirms", "removes"] as const)(
    "while it %s: the next one completes it",
    async (what) => {
      for (let endAt = 1; ; endAt += 1) {
        await again();
        await reserved(cluster.member(1));
        if (what === "confirms") cluster.members = cluster.synced = [1, 2, 3];
        const isDead = await dies(endAt, async (places) => {
          await places.tend();
          cluster.seconds += 300;
          await places.tend();
        });
        cluster.members = cluster.members.filter((nodeid) => nodeid !== 1);
        const second = cluster.member(2);
        for (let turn = 0; turn < 3; turn += 1) {
          await second.tend();
          cluster.seconds += 300;
        }
        expect(cluster.votes("pve3")).toBe(what === "confirms" ? 1 : undefined);
        expect(cluster.hasReservation).toBe(false);
        if (!isDead) break;
        expect(endAt).toBeLessThan(60);
      }
    },
  );
});
