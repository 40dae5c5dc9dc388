// A new cluster of this node alone, as a plan (pvecm.md §1.1): key, corosync.conf in the tree, and a start as a member of it. It is decided
// once the node runs as a member; until then all can be taken back, and the node is standalone again.
import * as v from "valibot";
import type { Plan, Step } from "../operation/plan.ts";

const text = v.pipe(v.string(), v.maxLength(8192));

const facts = v.object({
  clusterName: text,
  nodeName: text,
  /** corosync.conf, one character a byte. */
  conf: v.pipe(v.string(), v.maxLength(1024 * 1024)),
  /** There was none, so one is made. */
  isKeyNew: v.boolean(),
  /** base64; once it is chosen. */
  key: v.optional(text),
  /** "root@pam" */
  user: text,
});
export type CreateFacts = v.InferOutput<typeof facts>;

/** Methods reject with a sentence. */
export interface CreatePorts {
  readonly node: {
    mode(): Promise<"standalone" | "cluster">;
    /** Why this process runs standalone although it has the configuration of a member, a sentence; "" when it does not. */
    startFault(): Promise<string>;
    /** The node begins anew; on a real node it only rejects, as its process ends: the next one goes on. */
    restart(reason: string): Promise<void>;
    /** Resolves when the tree can be written. */
    writable(signal: AbortSignal): Promise<void>;
    /** What a member has of its own in the tree: its directories and certificate. */
    finish(tell: (text: string) => void): Promise<void>;
    /** A line for the cluster log. */
    log(user: string, message: string): Promise<void>;
  };
  /** The cluster's key on this machine. */
  readonly key: {
    /** base64; undefined: there is none. */
    read(): Promise<string | undefined>;
    /** 256 random bytes, base64. */
    random(): Promise<string>;
    /** For its owner alone, never over another one. */
    write(key: string): Promise<void>;
    remove(): Promise<void>;
  };
  /** corosync.conf, one character a byte. */
  readonly conf: {
    inTree(): Promise<string | undefined>;
    putInTree(conf: string): Promise<void>;
    removeFromTree(): Promise<void>;
    onDisk(): Promise<string | undefined>;
    removeFromDisk(): Promise<void>;
  };
}

type CreateStep = Step<CreateFacts, CreatePorts>;

const choose: CreateStep = {
  name: "choose",
  text: ({ isKeyNew }) =>
    isKeyNew
      ? "Corosync Cluster Engine Authentication key generator."
      : "Keep the key in /etc/corosync/authkey",
  run: async (known, ports, { tell }) => {
    if (known.isKeyNew) {
      tell("Gathering 2048 bits for key from /dev/urandom.");
      return { ...known, key: await ports.key.random() };
    }
    const key = await ports.key.read();
    if (key === undefined)
      throw new Error("/etc/corosync/authkey is gone: create the cluster again");
    return { ...known, key };
  },
};

const key: CreateStep = {
  name: "key",
  text: ({ isKeyNew }) =>
    isKeyNew ? "Writing corosync key to /etc/corosync/authkey." : "It is this cluster's key",
  run: async (known, ports) => {
    const present = await ports.key.read();
    if (present === known.key) return;
    if (present !== undefined) {
      throw new Error("/etc/corosync/authkey was written by somebody else meanwhile");
    }
    await ports.key.write(known.key ?? "");
  },
  undo: async (known, ports) => {
    // As a member it would run on without its files: what is taken back was the configuration, so it starts standalone.
    if ((await ports.node.mode()) === "cluster") {
      await ports.node.restart(`the creation of the cluster ${known.clusterName} is undone`);
    }
    if (known.isKeyNew && (await ports.key.read()) === known.key) await ports.key.remove();
  },
  byHand: () => "remove /etc/corosync/authkey, and start the node again",
};

const conf: CreateStep = {
  name: "conf",
  text: () => "Writing corosync config to /etc/pve/corosync.conf",
  run: async (known, ports) => {
    const present = await ports.conf.inTree();
    if (present === known.conf) return;
    if (present !== undefined) throw new Error(existsText);
    await ports.conf.putInTree(known.conf);
  },
  undo: async (known, ports, { signal }) => {
    await ports.node.writable(signal);
    // From the tree last: while it has the file a start makes the other one of it.
    if ((await ports.conf.onDisk()) === known.conf) await ports.conf.removeFromDisk();
    if ((await ports.conf.inTree()) === known.conf) await ports.conf.removeFromTree();
  },
  byHand: () =>
    "remove corosync.conf from the tree (quorate fs rm --force corosync.conf) and /etc/corosync/corosync.conf",
  changes: (known) => [{ path: "etc/pve/corosync.conf", before: "", after: known.conf }],
};

const restart: CreateStep = {
  name: "restart",
  text: () => "Restart corosync and cluster filesystem",
  commits: true,
  run: async (known, ports, { signal }) => {
    if ((await ports.node.mode()) === "standalone") {
      await refuseFault(ports);
      await ports.node.restart(`it is the first member of the cluster ${known.clusterName}`);
      await refuseFault(ports);
    }
    await ports.node.writable(signal);
  },
};

async function refuseFault({ node }: CreatePorts): Promise<void> {
  const fault = await node.startFault();
  if (fault !== "") throw new Error(`this node could not start as a member: ${fault}`);
}

const finish: CreateStep = {
  name: "finish",
  text: () => "(re)generate node files",
  run: async (known, ports, { tell, signal }) => {
    await ports.node.writable(signal);
    await ports.node.finish(tell);
    await ports.node.log(
      known.user,
      `created cluster ${known.clusterName} with node ${known.nodeName}`,
    );
  },
  byHand: () => "pvecm updatecerts",
};

export const existsText = "cluster config '/etc/pve/corosync.conf' already exists";

export const createPlan: Plan<CreateFacts, CreatePorts> = {
  kind: "create",
  facts,
  timeMsMax: 180_000,
  steps: [choose, key, conf, restart, finish],
};
