// A new cluster: what is refused before anything is changed, and the plan killed at every step.
import { describe, expect, test } from "bun:test";
import { killEverywhere } from "../../../test/double/plan-kills.ts";
import { readClusterConf } from "../conf/cluster-conf.ts";
import { dryRun, dryRunText } from "../operation/dry-run.ts";
import { failure, success } from "../../result.ts";
import { createPlan, type CreatePorts } from "./create-plan.ts";
import { type CreateRequest, type CreateSurroundings, planCreation } from "./create-request.ts";

const asked: CreateRequest = {
  ...{ clusterName: "prod", links: [], nodeid: undefined, votes: undefined },
  tokenCoefficient: undefined,
};

function surroundings(over: Partial<CreateSurroundings> = {}): CreateSurroundings {
  return {
    ...{ nodeName: "pve1", mode: "standalone", conf: () => undefined, keyBytes: () => undefined },
    ownAddress: async () => success("10.0.0.1"),
    resolve: async (address) =>
      /^[0-9.]+$/.test(address) ? success([address]) : failure("ENOTFOUND"),
    isLocal: (address) => address.startsWith("10."),
    portFault: async () => "",
    others: () => [],
    confProblem: async () => "",
    ...over,
  };
}

const link = (number: number, address: string, priority = 0) => ({ number, address, priority });
const plan = (request: Partial<CreateRequest> = {}, over: Partial<CreateSurroundings> = {}) =>
  planCreation({ ...asked, ...request }, surroundings(over), "root@pam");
const refusal = (...of: Parameters<typeof plan>): Promise<string> =>
  plan(...of).then(
    (planned) => `planned: ${JSON.stringify(planned)}`,
    (error: unknown) => (error instanceof Error ? error.message : "no error"),
  );

describe("what is asked for", () => {
  test("a plan with the file that pvecm writes, and a sentence on quorum", async () => {
    const planned = await plan({ links: [link(0, "10.0.0.1"), link(1, "10.1.0.1", 5)], votes: 2 });
    const conf = readClusterConf(planned?.facts.conf ?? "");
    expect(conf.ok && conf.value).toMatchObject({
      ...{ clusterName: "prod", version: 1, secauth: "on" },
      links: [
        { number: 0, priority: 0 },
        { number: 1, priority: 5 },
      ],
      nodes: [{ name: "pve1", nodeid: 1, votes: 2 }],
    });
    expect(planned?.notes[0]).toContain("quorate alone, with its 2 votes");
    if (planned === undefined) return;
    const shown = dryRunText(dryRun(createPlan, planned.facts));
    expect(shown).toContain("2. Writing corosync key to /etc/corosync/authkey.\n");
    expect(shown).toContain("+  cluster_name: prod\n");
  });

  test("at a loopback address with a warning: nodes of one machine are a cluster too, but of no other", async () => {
    const isLocal = (): boolean => true;
    const notes = async (address: string) => {
      const planned = await plan({ links: [link(0, address)] }, { isLocal });
      return planned?.notes.join("\n");
    };
    expect(await notes("127.0.0.11")).toContain(
      "Link 0 is at 127.0.0.11, which only nodes on this very machine reach",
    );
    expect(await notes("10.0.0.1")).not.toContain("this very machine");
  });

  test("without links the node's own address; a key that is there is kept", async () => {
    const planned = await plan({}, { keyBytes: () => 256 });
    expect(planned?.facts.conf).toContain("ring0_addr: 10.0.0.1\n");
    expect(planned?.facts.isKeyNew).toBe(false);
  });

  test("the same again is nothing to do, another is refused in the original's words", async () => {
    const planned = await plan();
    const there = { mode: "cluster", conf: () => planned?.facts.conf } as const;
    expect(await plan({}, there)).toBeUndefined();
    expect(
      await plan({ nodeid: 1, votes: 1, links: [link(0, "10.0.0.1")] }, there),
    ).toBeUndefined();
    const exists = "cluster config '/etc/pve/corosync.conf' already exists";
    for (const other of [
      { clusterName: "other" },
      { nodeid: 2 },
      { votes: 3 },
      { links: [link(0, "10.0.0.2")] },
      { links: [link(0, "10.0.0.1", 7)] },
    ]) {
      expect(await refusal(other, there)).toBe(exists);
    }
    expect(await refusal({}, { mode: "cluster" })).toBe(exists);
    expect(await refusal({}, { conf: () => "totem {" })).toBe(exists);
  });

  test("what cannot be is refused with what to do", async () => {
    const long = "a".repeat(16);
    expect(await refusal({ clusterName: "a_b" })).toContain("valid node name");
    expect(await refusal({ clusterName: long })).toContain("only be 15 characters long");
    expect(await refusal({ votes: 0 })).toBe("votes: value must have a minimum value of 1");
    expect(await refusal({ nodeid: 0 })).toBe("nodeid: value must have a minimum value of 1");
    expect(await refusal({ links: [link(8, "10.0.0.1")] })).toContain("links are 0 to 7");
    expect(await refusal({ links: [link(0, "192.0.2.1")] })).toBe(
      "link0: cannot use IP '192.0.2.1', not found on local node!",
    );
    expect(await refusal({ links: [link(2, "nowhere")] })).toBe(
      "link2: cannot use 'nowhere': ENOTFOUND",
    );
    expect(await refusal({ links: [link(0, "10.0.0.1"), link(1, "10.0.0.1")] })).toContain(
      "link1: address '10.0.0.1' is that of link0 already",
    );
    expect(
      await refusal({}, { portFault: async (address, port) => `${address} ${port} in use` }),
    ).toContain("link0: 10.0.0.1 port 5405/udp cannot be used: 10.0.0.1 5405 in use");
    expect(await refusal({}, { others: () => ["corosync", "pmxcfs"] })).toContain(
      "corosync and pmxcfs run on this machine",
    );
    expect(await refusal({}, { keyBytes: () => 16 })).toContain(
      "has 128 bits, the minimum is 1024",
    );
    expect(await refusal({}, { confProblem: async () => "no" })).toBe("no");
    expect(await refusal({}, { ownAddress: async () => failure("unknown") })).toBe("unknown");
  });
});

/** A node on paper: what is on its disk, in its tree, and how it runs. */
class PaperNode {
  key: string | undefined;
  tree: string | undefined;
  disk: string | undefined;
  mode: "standalone" | "cluster" = "standalone";
  fault = "";
  finished = 0;
  logged: string[] = [];
  #keys = 0;
  readonly #canStart: boolean;

  constructor(canStart: boolean, keyBefore: string | undefined) {
    this.#canStart = canStart;
    this.key = keyBefore;
  }

  /** As a start finds it. */
  start(): void {
    this.disk ??= this.tree;
    const isMember = this.disk !== undefined;
    const isGood = this.#canStart && this.key !== undefined;
    this.mode = isMember && isGood ? "cluster" : "standalone";
    this.fault = isMember && !isGood ? "port in use" : "";
  }

  ports(): CreatePorts {
    return {
      node: {
        mode: async () => this.mode,
        startFault: async () => this.fault,
        restart: async () => this.start(),
        writable: async () => undefined,
        finish: async () => void (this.finished += 1),
        log: async (_, message) => void this.logged.push(message),
      },
      key: {
        read: async () => this.key,
        random: async () => `key${(this.#keys += 1)}`,
        write: async (key) => {
          if (this.key !== undefined) throw new Error("there is a key");
          this.key = key;
        },
        remove: async () => void (this.key = undefined),
      },
      conf: {
        inTree: async () => this.tree,
        putInTree: async (conf) => void (this.tree = conf),
        removeFromTree: async () => void (this.tree = undefined),
        onDisk: async () => this.disk,
        removeFromDisk: async () => void (this.disk = undefined),
      },
    };
  }
}

describe("killed everywhere", () => {
  for (const { title, canStart, keyBefore } of [
    { title: "a cluster is there, or the node is standalone as before", canStart: true },
    { title: "with a key of before", canStart: true, keyBefore: "old" },
    { title: "a node that cannot start as a member is standalone as before", canStart: false },
  ]) {
    test(title, async () => {
      const conf = (await plan())?.facts.conf ?? "";
      const world = () => {
        const node = new PaperNode(canStart, keyBefore);
        return {
          ports: node.ports(),
          facts: {
            ...{ clusterName: "prod", nodeName: "pve1", conf, user: "root@pam" },
            isKeyNew: keyBefore === undefined,
          },
          // Whoever was killed is started anew.
          passes: () => node.start(),
          done: () =>
            node.mode === "cluster" &&
            node.tree === conf &&
            node.key !== undefined &&
            node.finished > 0 &&
            node.logged.length > 0
              ? ""
              : `not a member: ${JSON.stringify(node)}`,
          before: () =>
            node.mode === "standalone" &&
            node.tree === undefined &&
            node.disk === undefined &&
            node.key === keyBefore
              ? ""
              : `not as before: ${JSON.stringify(node)}`,
        };
      };
      const tally = await killEverywhere({
        plan: createPlan,
        world,
        twice: true,
        isUndone: !canStart,
      });
      expect(tally.undone).toBeGreaterThan(20);
      if (canStart) expect(tally.completed).toBeGreaterThan(20);
      else expect(tally.completed).toBe(0);
    });
  }
});
