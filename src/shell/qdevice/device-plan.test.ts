// Set-up and removal of a quorum device, killed at each step and in its middle, on a cluster of paper.
import { describe, expect, test } from "bun:test";
import { equalBytes } from "../../bytes.ts";
import { createAuthority, createIdentity } from "../../qnetd/pki/issue.ts";
import { voterFlags } from "../../node/quorum/message.ts";
import { failure, success } from "../../result.ts";
import { killEverywhere, type PaperWorld } from "../../../test/double/plan-kills.ts";
import { NodeRefusal } from "../api/client.ts";
import type { NodeStatus } from "../api/status.ts";
import { readConfFacts } from "../conf/device.ts";
import { ClusterLock, corosyncConfLock } from "../operation/cluster-lock.ts";
import { Operations } from "../operation/operations.ts";
import type { OperationStore } from "../operation/operation-store.ts";
import { bindPlan } from "../operation/plan.ts";
import { treeAuthority, treeDirectory, treeIdentity } from "./device-identity.ts";
import {
  changedByOthers,
  DeviceFailure,
  type DevicePorts,
  deviceRemovalPlan,
  type DeviceRemovalFacts,
  type DeviceSetupFacts,
  deviceSetupFacts,
  deviceSetupPlan,
} from "./device-plan.ts";
import { deviceInvitedPlan, type InvitedPorts } from "./invited-plan.ts";
import { encodeToken } from "../../qnetd/enrol/enrolment-token.ts";

const conf = `totem {
  version: 2
  cluster_name: paper
  config_version: 7
}
quorum {
  provider: corosync_votequorum
  two_node: 1
}
nodelist {
  node {
    name: n1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.0.1
  }
  node {
    name: n2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.0.0.2
  }
}
`;
const device = { host: "10.0.0.9", port: 5403, algorithm: "ffsplit", tls: "required" } as const;
const bytes = (text: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(text, "latin1"));
const authority = await createAuthority(101, new Date(0));
const own = await createIdentity({
  ...{ authority, commonName: "paper", serial: 103, from: new Date(0) },
});
const identity = { ...own, authority: authority.certificate };
const lockPath = `priv/lock/${corosyncConfLock}`;

/** A tree, and two nodes that do what its corosync.conf says a second later. */
class PaperCluster {
  nowMs = 0;
  givesVotes = true;
  isQuorate = true;
  readonly files = new Map<string, Uint8Array>([["corosync.conf", bytes(conf)]]);
  readonly directories = new Set<string>();
  #lockedAt = 0;
  #writtenAt = 0;

  get conf(): string {
    return Buffer.from(this.files.get("corosync.conf") ?? bytes("")).toString("latin1");
  }

  /** What the nodes use. */
  get isVoting(): boolean {
    const facts = readConfFacts(this.conf);
    return (
      facts.ok &&
      facts.value.device !== undefined &&
      this.files.has(treeIdentity) &&
      this.givesVotes &&
      this.nowMs - this.#writtenAt >= 1000
    );
  }

  async read(path: string): Promise<Uint8Array> {
    const found = this.files.get(path);
    if (found === undefined) throw new NodeRefusal("ENOENT", `${path}: there is none`);
    return found;
  }
  async put(path: string, data: Uint8Array): Promise<void> {
    this.#writable();
    const parent = path.split("/").slice(0, -1).join("/");
    if (parent !== "" && !this.directories.has(parent)) throw new NodeRefusal("ENOENT", parent);
    this.files.set(path, data);
  }
  async move(from: string, to: string): Promise<void> {
    const data = await this.read(from);
    this.#writable();
    this.files.delete(from);
    this.files.set(to, data);
    this.#writtenAt = this.nowMs;
  }
  async mkdir(path: string): Promise<void> {
    this.#writable();
    if (this.directories.has(path)) throw new NodeRefusal("EEXIST", path);
    this.directories.add(path);
    if (path === lockPath) this.#lockedAt = this.nowMs;
  }
  async remove(path: string): Promise<void> {
    this.#writable();
    if ([...this.files.keys()].some((name) => name.startsWith(`${path}/`))) {
      throw new NodeRefusal("ENOTEMPTY", path);
    }
    if (!this.files.delete(path) && !this.directories.delete(path)) {
      throw new NodeRefusal("ENOENT", path);
    }
  }
  async setMtime(path: string): Promise<void> {
    if (this.nowMs - this.#lockedAt > 120_000) this.directories.delete(path);
    throw new NodeRefusal("EACCES", path);
  }
  async status(): Promise<NodeStatus> {
    const facts = readConfFacts(this.conf);
    const configVersion = facts.ok ? facts.value.version : 0;
    const has = voterFlags.deviceRegistered | voterFlags.deviceAlive | voterFlags.deviceCastVote;
    const flags = this.isVoting ? has : 0;
    const status = {
      node: { nodeid: 1, name: "n1" },
      cluster: { name: "paper", configVersion },
      quorum: { quorate: this.isQuorate, voters: [1, 2].map((nodeid) => ({ nodeid, flags })) },
      nodes: [1, 2].map((nodeid) => ({ nodeid, name: `n${nodeid}`, member: true })),
    };
    return status as unknown as NodeStatus;
  }

  #writable(): void {
    if (!this.isQuorate) throw new NodeRefusal("EACCES", "no quorum");
  }
}

interface Paper<Facts> extends PaperWorld<Facts, DevicePorts> {
  readonly cluster: PaperCluster;
}

function paper<Facts>(
  facts: Facts,
  prepare: (cluster: PaperCluster) => void = () => undefined,
): Paper<Facts> {
  const cluster = new PaperCluster();
  for (const directory of ["priv", "priv/lock"]) cluster.directories.add(directory);
  prepare(cluster);
  const before = new Map(cluster.files);
  const text = withoutVersion(cluster.conf);
  const perProcess = (doomed: <T>(port: T, name: string) => T): DevicePorts => {
    const client = doomed(cluster, "client");
    const clock = {
      now: () => cluster.nowMs,
      wait: async (ms: number) => void (cluster.nowMs += ms),
    };
    const note = (): void => undefined;
    return {
      client,
      clock,
      lock: new ClusterLock({ client, name: corosyncConfLock, note, clock }),
      probe: doomed({ probe: async () => success(undefined) }, "probe").probe,
      report: { probed: note, configured: note, restored: note },
    };
  };
  return {
    cluster,
    facts,
    ports: perProcess((port) => port),
    perProcess,
    passes: (ms) => void (cluster.nowMs += ms),
    done: () => (cluster.isVoting ? litter(cluster) : "the device does not vote"),
    before: () => {
      if (withoutVersion(cluster.conf) !== text) return `corosync.conf is another: ${cluster.conf}`;
      for (const path of [treeIdentity, treeAuthority]) {
        const [now, then] = [cluster.files.get(path), before.get(path)];
        const isSame =
          now === undefined ? then === undefined : then !== undefined && equalBytes(now, then);
        if (!isSame) return `${path} is another`;
      }
      const hadDirectory = before.has(treeIdentity);
      if (cluster.directories.has(treeDirectory) !== hadDirectory)
        return "the directory is another";
      return litter(cluster);
    },
  };
}

const withoutVersion = (text: string): string =>
  text.replaceAll(/^\s+/gm, "").replace(/config_version: \d+/, "");

function litter(cluster: PaperCluster): string {
  if (cluster.directories.has(lockPath)) return "the lock is left";
  return cluster.files.has("corosync.conf.new") ? "the draft is left" : "";
}

const withoutIdentity = { cluster: "paper", device, waitMs: 10_000 };
const invitationText = encodeToken({
  ...{ cluster: "paper", addresses: ["10.0.0.8", "10.0.0.9"], port: 5403, expiresAt: 1 },
  ...{ fingerprint: new Uint8Array(32), secret: new Uint8Array(16) },
});
const wanted = await deviceSetupFacts({ cluster: "paper", device, waitMs: 10_000 }, identity);

function withEarlier(cluster: PaperCluster): void {
  cluster.directories.add(treeDirectory);
  cluster.files.set(treeIdentity, bytes("earlier")).set(treeAuthority, bytes("earlier ca"));
}

describe("killed at each step, and resumed", () => {
  test("set-up: the device votes, or all is as before", async () => {
    const tally = await killEverywhere({ plan: deviceSetupPlan, world: () => paper(wanted) });
    expect(tally.completed).toBeGreaterThan(50);
    expect(tally.undone).toBeGreaterThan(30);
  });

  test("set-up with a server that gives no vote: all is as before, an earlier certificate too", async () => {
    const noVotes = (cluster: PaperCluster): void => {
      withEarlier(cluster);
      cluster.givesVotes = false;
    };
    const tally = await killEverywhere({
      plan: deviceSetupPlan,
      world: () => paper(wanted, noVotes),
      isUndone: true,
    });
    expect(tally.completed).toBe(0);
    expect(tally.undone).toBeGreaterThan(100);
  });

  test("set-up by an invitation: one request alone is ever sent, and all is as before when it is refused", async () => {
    const world = (isRefused: boolean) => () => {
      const made = paper(wanted);
      const { setup, token } = { setup: withoutIdentity, token: invitationText };
      // As the server: whoever has asked with one request gets the same answer to it, and to no other.
      let used: string | undefined;
      let requests = 0;
      const enrol: InvitedPorts["enrol"] = {
        request: async () => {
          requests += 1;
          return { key: own.key, request: bytes(`request ${requests}`) };
        },
        ask: async ({ cluster }, request) => {
          used ??= request.toBase64();
          if (isRefused || used !== request.toBase64()) return failure(`${cluster}: it is used up`);
          const { certificate, authority: its } = identity;
          return success({ certificate, authority: its, address: device.host });
        },
      };
      return {
        ...made,
        facts: { token, setup },
        ports: { ...made.ports, enrol },
        perProcess: (doomed: <T>(port: T, name: string) => T): InvitedPorts => ({
          ...(made.perProcess?.(doomed) ?? made.ports),
          enrol: doomed(enrol, "enrol"),
        }),
      };
    };
    const tally = await killEverywhere({ plan: deviceInvitedPlan, world: world(false) });
    expect(tally.completed).toBeGreaterThan(50);
    expect(tally.undone).toBeGreaterThan(30);
    const refused = await killEverywhere({
      ...{ plan: deviceInvitedPlan, world: world(true), isUndone: true },
    });
    expect(refused.completed).toBe(0);
  });

  test("removal: the device is gone with certificate and lock, or all is as before", async () => {
    const tally = await killEverywhere({
      plan: deviceRemovalPlan,
      world: () => {
        const world = paper<DeviceRemovalFacts>({}, configured);
        const { cluster } = world;
        return {
          ...world,
          done: () => {
            const facts = readConfFacts(cluster.conf);
            const isGone = facts.ok && facts.value.device === undefined;
            const isClean =
              !cluster.files.has(treeIdentity) && !cluster.directories.has(treeDirectory);
            return isGone && isClean ? litter(cluster) : "something is left of the device";
          },
        };
      },
    });
    expect(tally.completed).toBeGreaterThan(30);
    expect(tally.undone).toBeGreaterThan(5);
  });
});

test("a removal that goes on days later leaves a device that was set up meanwhile", async () => {
  const { cluster, ports, facts } = paper<DeviceRemovalFacts>({}, configured);
  const files = new Map(cluster.files);
  const told: string[] = [];
  const context = {
    signal: new AbortController().signal,
    tell: (text: string) => void told.push(text),
    ...{ isRepeated: true, isLate: true },
  };
  const { steps } = bindPlan(deviceRemovalPlan, ports);
  const run = async (name: string): Promise<unknown> =>
    steps.find((each) => each.name === name)?.run(facts, context);
  await expect(run("configure")).rejects.toThrow("its time is over");
  await run("certificate");
  expect(told).toEqual(["there is a device again: its certificate stays"]);
  expect(cluster.files.get(treeIdentity)).toBe(files.get(treeIdentity));
  expect(files.has(treeIdentity)).toBe(true);
  expect(cluster.conf).toContain("10.0.0.9");
});

function configured(cluster: PaperCluster): void {
  withEarlier(cluster);
  const section =
    "  device {\n    model: net\n    net {\n      algorithm: ffsplit\n      host: 10.0.0.9\n      tls: on\n    }\n    votes: 1\n  }\n";
  cluster.files.set("corosync.conf", bytes(conf.replace("  two_node: 1\n", section)));
}

/** Without a disk: nobody is killed here. */
const nowhere: OperationStore = {
  lock: () => success({ [Symbol.dispose]: () => undefined }),
  record: () => success(undefined),
  persist: () => undefined,
  forget: () => undefined,
  setAside: () => undefined,
  leftover: () => success(undefined),
  dismissLeftover: () => undefined,
};

describe("what stands in the way", () => {
  const run = (world: Paper<DeviceSetupFacts>, ports: Partial<DevicePorts> = {}) =>
    new Operations({ store: nowhere, pause: async () => undefined }).run(
      deviceSetupPlan,
      { ...world.ports, ...ports },
      world.facts,
      { tell: () => undefined },
    );

  test("no vote server: nothing is touched", async () => {
    const world = paper(wanted);
    const end = await run(world, { probe: async () => failure("nobody is there") });
    expect(end).toMatchObject({ kind: "undone", reason: "nobody is there" });
    expect(end.kind === "undone" && end.cause).toBeInstanceOf(DeviceFailure);
    expect([world.before(), world.cluster.conf]).toEqual(["", conf]);
  });

  test("corosync.conf of somebody else in the meantime: left as it is, and said", async () => {
    const world = paper(wanted, (cluster) => void (cluster.givesVotes = false));
    const { cluster } = world;
    const report = {
      ...world.ports.report,
      configured: () => {
        const text = cluster.conf.replace("10.0.0.2", "10.0.0.3");
        cluster.files.set("corosync.conf", bytes(text));
      },
    };
    const end = await run(world, { report });
    expect(end).toMatchObject({ kind: "byHand", leftover: { obstacle: changedByOthers } });
    expect(cluster.conf).toContain("10.0.0.9");
    // It is used with the device, which needs it.
    expect(cluster.files.has(treeIdentity)).toBe(true);
  });

  test("the quorum is lost while votes are waited for: what is left to do is said", async () => {
    const world = paper(wanted, (cluster) => void (cluster.givesVotes = false));
    const report = {
      ...world.ports.report,
      configured: () => void (world.cluster.isQuorate = false),
    };
    expect(await run(world, { report })).toMatchObject({
      kind: "byHand",
      leftover: {
        reason: "this node does not get the device's vote",
        obstacle: "cfs-lock 'file-corosync_conf' error: no quorum!",
        left: ["corosync.conf still has the device: remove it with `quorate qdevice remove`"],
      },
    });
  });

  test("a second set-up while the first has the lock is refused by the device that is there then", async () => {
    const world = paper(wanted, configured);
    expect(await run(world)).toMatchObject({
      kind: "undone",
      reason: "a quorum device is configured already",
    });
    expect(world.before()).toBe("");
  });
});
