// The cluster as a joining node asks it: a quorate member by our routes, a member of Proxmox by its own (pvecm.md §3.3). Any of the addresses
// that are known will do.
import * as v from "valibot";
import {
  grantAnswer,
  originalGrantAnswer,
  placeAnswer,
  probeAnswer,
  situationAnswer,
} from "../answers/join.ts";
import { readClusterConf } from "../conf/cluster-conf.ts";
import type { Remote, RemoteFault } from "../remote/remote-answer.ts";
import { apiPort, type Parameters, RemoteNode, type Session } from "../remote/remote-node.ts";
import { trustAuthorityFingerprint, trustFingerprint } from "../remote/trust.ts";
import { joinApiVersion } from "./place-edits.ts";
import type { Situation } from "./preflight.ts";
import type { ProbeOffer } from "./probe-server.ts";

/** How the cluster is reached and what this node may show it. */
export interface Introduction {
  /** Best first. */
  readonly hosts: readonly string[];
  /** Undefined: 8006. */
  readonly port?: number | undefined;
  /** Hex: of the certificate that is shown, or of the authority that issued it. */
  readonly trust: { readonly kind: "certificate" | "authority"; readonly fingerprint: string };
  readonly session?: Session | undefined;
  /** Hex. */
  readonly token?: string | undefined;
}

export interface Wish {
  readonly node: string;
  readonly nodeid?: number | undefined;
  readonly votes: number;
  readonly isForced: boolean;
  readonly links: ReadonlyMap<number, string>;
}

const text = v.pipe(v.string(), v.maxLength(1024 * 1024));
export type CheckAnswer = Situation & {
  readonly version: string;
  /** The member's clock minus ours, milliseconds. */
  readonly offsetMs: number;
  readonly effect: string;
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  readonly notes?: readonly string[] | undefined;
  readonly fault?: string | undefined;
  readonly errors?: Readonly<Record<string, string>> | undefined;
};

/** What the joining node gets. `conf`, `key`: base64. `leftS`: within which it must be a member. */
export type Grant = v.InferOutput<typeof grantAnswer>;

export type StateAnswer = v.InferOutput<typeof placeAnswer>;

const originalJoinSchema = v.looseObject({
  preferred_node: text,
  nodelist: v.pipe(v.array(v.record(text, v.union([text, v.number()]))), v.maxLength(256)),
  totem: v.record(text, v.unknown()),
});

/** No time limit on the member's side: an original has none. */
const originalLeftS = 300;

export class ClusterSide {
  readonly #introduction: Introduction;
  readonly #nodes: readonly RemoteNode[];
  #answered: RemoteNode | undefined;
  /** A member of Proxmox: it has none of our routes. */
  #isOriginal = false;

  constructor(introduction: Introduction, isOriginal = false) {
    this.#introduction = introduction;
    this.#isOriginal = isOriginal;
    const { hosts, port = apiPort, trust, session } = introduction;
    const fingerprint = new Uint8Array(Buffer.from(trust.fingerprint.replaceAll(":", ""), "hex"));
    const judge =
      trust.kind === "certificate"
        ? trustFingerprint(fingerprint)
        : trustAuthorityFingerprint(fingerprint);
    this.#nodes = hosts.map(
      (host) =>
        new RemoteNode({ host, port, trust: judge, ...(session === undefined ? {} : { session }) }),
    );
  }

  get isOriginal(): boolean {
    return this.#isOriginal;
  }

  /** Our own address on the connection of the last answer. */
  get ownAddress(): string | undefined {
    return this.#answered?.ownAddress;
  }

  async check(wish: Wish): Promise<Remote<CheckAnswer>> {
    const { token } = this.#introduction;
    const answer = await this.#post(
      this.#ours("check"),
      { ...placeOf(wish), token },
      situationAnswer,
    );
    if (answer.ok) {
      // Of the exchange with the member that answered, not of the silence of others.
      const middle = this.#answered?.answerMiddleMs ?? Date.now();
      return { ok: true, value: { ...answer.value, offsetMs: answer.value.wallMs - middle } };
    }
    // An original's proxy knows no such path; a token is of no use to it.
    const isForeign =
      answer.kind === "malformed" ||
      (answer.kind === "refused" && [404, 501].includes(answer.status ?? 0));
    if (!isForeign || token !== undefined) return answer;
    this.#isOriginal = true;
    return this.#checkOriginal();
  }

  async probe(wish: Wish): Promise<Remote<ProbeOffer>> {
    const { token } = this.#introduction;
    return this.#post(
      this.#ours("probe"),
      { ...linksOf(wish), node: wish.node, token },
      probeAnswer,
    );
  }

  /** `secret`: this node's own, hex. */
  async reserve(wish: Wish, secret: string): Promise<Remote<Grant>> {
    const { token } = this.#introduction;
    if (!this.#isOriginal) {
      return this.#post(this.#ours("reserve"), { ...placeOf(wish), token, secret }, grantAnswer);
    }
    const { node, ...place } = placeOf(wish);
    const answer = await this.#post(
      `/api2/json/cluster/config/nodes/${node}`,
      place,
      originalGrantAnswer,
    );
    if (!answer.ok) return answer;
    const { corosync_authkey: key, corosync_conf: conf, warnings: notes = [] } = answer.value;
    const known = readClusterConf(conf);
    const nodeid = known.ok
      ? known.value.nodes.find((each) => each.name === wish.node)?.nodeid
      : undefined;
    if (nodeid === undefined) {
      return {
        ok: false,
        kind: "malformed",
        reason: "the cluster's answer has no corosync.conf with this node",
      };
    }
    return {
      ok: true,
      value: {
        conf: Buffer.from(conf, "utf8").toString("base64"),
        key: Buffer.from(key, "latin1").toString("base64"),
        ...{ nodeid, notes, leftS: originalLeftS },
      },
    };
  }

  /** What became of this node's place. */
  state(node: string, nodeid: number, secret: string): Promise<Remote<StateAnswer>> {
    return this.#post("/api/v1/join/state", { node, nodeid, secret }, placeAnswer);
  }

  /** Gives the place back; "confirmed": too late, this node is a member. */
  async cancel(node: string, nodeid: number, secret: string): Promise<Remote<StateAnswer>> {
    if (!this.#isOriginal)
      return this.#post("/api/v1/join/cancel", { node, nodeid, secret }, placeAnswer);
    const path = `/api2/json/cluster/config/nodes/${node}`;
    const removed = await this.#first((each) => each.delete(path, {}, v.unknown()));
    return removed.ok ? { ok: true, value: { state: "none" } } : removed;
  }

  async #checkOriginal(): Promise<Remote<CheckAnswer>> {
    const read = await this.#first((node) =>
      node.get("/api2/json/cluster/config/join", {}, originalJoinSchema),
    );
    if (!read.ok) return read;
    const version = await this.#first((node) =>
      node.get("/api2/json/cluster/config/apiversion", {}, v.number()),
    );
    const theirs = version.ok ? version.value : 0;
    if (theirs < joinApiVersion - 1 || theirs > joinApiVersion + 1) {
      const reason = `error: incompatible join API version on cluster (${theirs}), local node has ${joinApiVersion} and supports >= ${joinApiVersion - 1}. Make sure all cluster nodes are up-to-date.`;
      return { ok: false, kind: "refused", reason };
    }
    const { nodelist, totem, preferred_node: node } = read.value;
    const links = new Set<number>();
    const nodes = nodelist.map((entry) => {
      const addresses: Record<string, string> = {};
      for (const [key, value] of Object.entries(entry)) {
        const link = /^ring([0-7])_addr$/.exec(key)?.[1];
        if (link === undefined) continue;
        addresses[link] = String(value);
        links.add(Number(link));
      }
      return {
        name: String(entry["name"] ?? ""),
        nodeid: Number(entry["nodeid"] ?? 0),
        votes: Number(entry["quorum_votes"] ?? 1),
        addresses,
      };
    });
    const cluster = totem["cluster_name"];
    return {
      ok: true,
      value: {
        cluster: typeof cluster === "string" ? cluster : "",
        ...{ node, nodes, version: "" },
        links: [...links]
          .toSorted((a, b) => a - b)
          .map((link) => ({ number: link, port: 5405 + link })),
        offsetMs: this.#answered?.clockOffsetMs ?? 0,
        effect:
          "this member is Proxmox's own: the votes of this node count from now on, so until it is in the ring one node less may fail",
      },
    };
  }

  #ours(what: string): string {
    return this.#introduction.token === undefined
      ? `/api/v1/join/${what}`
      : `/api/v1/join/token/${what}`;
  }

  #post<Value>(
    path: string,
    parameters: Parameters,
    schema: v.GenericSchema<unknown, Value>,
  ): Promise<Remote<Value>> {
    return this.#first((node) => node.post(path, parameters, schema));
  }

  /** The first member that answers; a refusal is an answer. */
  async #first<Value>(call: (node: RemoteNode) => Promise<Remote<Value>>): Promise<Remote<Value>> {
    const known = this.#answered;
    const before = known === undefined ? undefined : await call(known);
    if (before !== undefined && !isElsewhere(before)) return before;
    const others = this.#nodes.filter((node) => node !== known);
    const found = await firstReached(others);
    if (found.ok) {
      const answer = await call(found.value);
      if (!isElsewhere(answer)) this.#answered = found.value;
      return answer;
    }
    return before ?? found;
  }
}

/** Nobody who can answer for the cluster is at that address. */
function isElsewhere(answer: Remote<unknown>): answer is { readonly ok: false } & RemoteFault {
  return !answer.ok && ["unreachable", "timeout", "tls", "untrusted"].includes(answer.kind);
}

/** Asks all at once, so that nobody waits for an address that a firewall makes silent. A fault: what each of them has answered. */
async function firstReached(nodes: readonly RemoteNode[]): Promise<Remote<RemoteNode>> {
  const [only] = nodes;
  if (only !== undefined && nodes.length === 1) return { ok: true, value: only };
  const faults: RemoteFault[] = [];
  const reached = Promise.withResolvers<Remote<RemoteNode>>();
  const asked = nodes.map(async (node) => {
    const answer = await node.get("/api2/json/access/ticket", {}, v.unknown());
    if (isElsewhere(answer)) faults.push(answer);
    else reached.resolve({ ok: true, value: node });
  });
  void Promise.all(asked).then(() => {
    const [first = noAddress] = faults;
    const reasons = faults.slice(0, faultsToldMax).map(({ reason }) => reason);
    reached.resolve({ ...first, reason: reasons.join("; ") || first.reason });
  }, reached.reject);
  return reached.promise;
}

const faultsToldMax = 4;
const noAddress: RemoteFault = {
  ok: false,
  kind: "unreachable",
  reason: "no address of the cluster is known",
};

function linksOf({ links }: Wish): Record<string, string> {
  return Object.fromEntries([...links].map(([link, address]) => [`link${link}`, address]));
}

function placeOf(wish: Wish) {
  const { node, nodeid, votes, isForced: force } = wish;
  return { node, nodeid, votes, force, apiversion: joinApiVersion, ...linksOf(wish) };
}
