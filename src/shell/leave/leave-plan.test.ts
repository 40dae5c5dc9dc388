// A node leaves its cluster, killed at each step on paper.
import { describe, expect, test } from "bun:test";
import { killEverywhere, type PaperWorld } from "../../../test/double/plan-kills.ts";
import { isSame } from "../change/conf-stage.ts";
import { formerMembersPath, formerOf } from "../change/former-members.ts";
import { bindPlan } from "../operation/plan.ts";
import type { ClusterView } from "../change/ports.ts";
import { tokensDirectory } from "../join/token-record.ts";
import { type LeaveFacts, leavePlan, type LeavePorts, planLeave } from "./leave-plan.ts";

const node = (id: number): string =>
  `  node {\n    name: n${id}\n    nodeid: ${id}\n    quorum_votes: 1\n    ring0_addr: 10.0.0.${id}\n  }\n`;
const confOf = (...ids: readonly number[]): string =>
  `totem {\n  cluster_name: paper\n  config_version: 3\n  version: 2\n}\n\nnodelist {\n${ids.map(node).join("\n")}}\n\nquorum {\n  provider: corosync_votequorum\n}\n`;

const former = {
  ...{ name: "n3", nodeid: 3, addresses: ["10.0.0.3"], at: 1 },
  ...({ by: "root@pam", how: "left" } as const),
};

/** Node 3 of three, and what is on its disk. */
class PaperNode {
  conf: string;
  members: readonly number[];
  isAlone = false;
  order: "none" | "ready" | "go" = "none";
  isRefusing = false;
  backup = "backup";
  readonly files = new Map<string, string>();
  readonly log: string[] = [];

  constructor(ids: readonly number[] = [1, 2, 3]) {
    this.conf = confOf(...ids);
    this.members = ids;
    this.files.set(`${tokensDirectory}/0123456789abcdef`, "{}");
    for (const id of ids) this.files.set(`nodes/n${id}/qemu-server/${id}00.conf`, "cores: 1\n");
  }

  /** As a start does it: who is named by corosync.conf is a member. */
  start(): void {
    if (this.isAlone) return;
    const isNamed = this.conf.includes("name: n3\n");
    if (this.order === "go" || (this.order === "ready" && !isNamed)) this.isAlone = true;
    else if (!isNamed) throw new Error("the node cannot start: corosync.conf does not name it");
  }

  ports(): LeavePorts {
    const asMember = (): void => {
      if (this.isAlone) throw new Error("this node is standalone");
    };
    return {
      cluster: {
        view: async (): Promise<ClusterView> => ({
          ...{ self: 3, configVersion: 3, quorate: true, totalVotes: this.members.length },
          ...{ quorum: 2, members: this.members, links: [] },
          versions: [],
          refusal: this.isRefusing ? "it does not name this node" : "",
        }),
        turn: async () => {
          this.isRefusing = !this.conf.includes("name: n3\n");
        },
        conf: async () => {
          asMember();
          return this.conf;
        },
        putConf: async (text) => {
          asMember();
          this.conf = text;
        },
        locked: (_, work) => work(),
        kill: async () => undefined,
        addressFault: async () => "",
        log: async (message) => void this.log.push(message),
      },
      tree: {
        list: async (path) => {
          const below = [...this.files.keys()].filter((name) => name.startsWith(`${path}/`));
          const names = below.map((name) => name.slice(path.length + 1));
          return [...new Set(names.map((name) => name.replace(/\/.*/, "/")))];
        },
        read: async (path) => this.files.get(path),
        put: async (path, text) => void this.files.set(path, text),
        remove: async (path) => void this.files.delete(path),
        move: async () => undefined,
        makeDirectory: async () => undefined,
      },
      leaving: {
        order: async () => {
          if (this.order === "none") this.order = "ready";
        },
        go: async () => void (this.order = "go"),
        cancel: async () => void (this.order = "none"),
        backup: async () => this.backup,
        settle: async () => {
          this.order = "none";
          return this.backup;
        },
        isAlone: async () => this.isAlone,
      },
      restart: async () => this.start(),
    };
  }
}

function world(ids?: readonly number[]) {
  return (): PaperWorld<LeaveFacts, LeavePorts> & { readonly paper: PaperNode } => {
    const paper = new PaperNode(ids);
    const others = paper.members.filter((id) => id !== 3);
    const facts = {
      ...{ name: "n3", nodeid: 3, before: paper.conf, stamp: 1 },
      after: others.length === 0 ? "" : confOf(...others),
      others: others.map((id) => `n${id}`),
      ...(others.length === 0 ? {} : { former }),
    };
    return {
      paper,
      facts,
      ports: paper.ports(),
      // A kill of the process, whatever it was, is followed by a start.
      passes: () => paper.start(),
      done: () => {
        const isOut = others.length === 0 || isSame(paper.conf, confOf(...others));
        const own = [...paper.files.keys()].filter((path) => path.startsWith("nodes/")).join();
        const kept = formerOf(paper.files.get(formerMembersPath), "n3")?.how;
        if (others.length > 0 && kept !== "left") return "the others do not know that it left";
        if (!paper.isAlone || !isOut) return "the node has not left";
        if ([...paper.files.keys()].some((path) => path.startsWith(tokensDirectory)))
          return "a join token of the cluster is left";
        if (own !== "nodes/n3/qemu-server/300.conf") return `the tree has ${own}`;
        return paper.order === "none" ? "" : "the order is left";
      },
      before: () =>
        !paper.isAlone &&
        isSame(paper.conf, facts.before) &&
        paper.order === "none" &&
        !paper.files.has(formerMembersPath)
          ? ""
          : "the node is not as before",
    };
  };
}

/** Seconds on a machine of its own; on a busy one much longer. */
const quadraticMs = 300_000;

describe("a node that leaves", () => {
  test(
    "killed at each step: it is standalone and out of corosync.conf, or all is as before",
    async () => {
      const tally = await killEverywhere({ plan: leavePlan, world: world(), twice: true });
      expect(tally.completed).toBeGreaterThan(100);
      expect(tally.undone).toBeGreaterThan(20);
    },
    quadraticMs,
  );

  test("the only node of its cluster as well", async () => {
    const tally = await killEverywhere({ plan: leavePlan, world: world([3]), twice: true });
    expect(tally.completed).toBeGreaterThan(50);
    expect(tally.undone).toBeGreaterThan(5);
  });

  test("the others' guests stay in its tree when there is no backup of it", async () => {
    const { paper, ports, facts } = world()();
    paper.backup = "";
    const told: string[] = [];
    const step = bindPlan(leavePlan, ports).steps.find(({ name }) => name === "tree");
    await step?.run(facts, {
      signal: new AbortController().signal,
      tell: (text) => void told.push(text),
      isRepeated: false,
    });
    expect(paper.files.size).toBe(3);
    expect(told.join()).toContain("there is no backup of the tree: the directories of n1, n2 stay");
  });

  test("what is planned: corosync.conf without it, and what it means for quorum", async () => {
    const paper = new PaperNode();
    const { facts, notes } = await planLeave(paper.ports(), 5, "root@pam");
    expect(facts).toMatchObject({ name: "n3", nodeid: 3, others: ["n1", "n2"], stamp: 5 });
    expect(facts.former).toEqual({ ...former, at: 5 });
    expect(facts.after).toContain("config_version: 4");
    expect(facts.after).not.toContain("n3");
    expect(notes[0]).toBe("Then the other nodes have 2 votes, 2 of them needed; 2 are here.");
    const alone = await planLeave(new PaperNode([3]).ports(), 5, "root@pam");
    expect(alone.facts.after).toBe("");
  });

  test("not while the others would have no quorum without it", async () => {
    const paper = new PaperNode();
    paper.members = [1, 3];
    await expect(planLeave(paper.ports(), 5, "root@pam")).rejects.toThrow(
      "the other nodes would have no quorum without n3: 1 of their 2 votes are here, 2 are needed",
    );
  });
});
