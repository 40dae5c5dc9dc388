// A member that was removed while it was off starts as if it were one, and hears nobody: the others read none of its packets. Several such may even be
// quorate together. So whoever lacks others asks those over their API whether it is a member still, and says what it is told. What it
// hears changes nothing here: an operator decides.
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { systemClock } from "../../../deadlines.ts";
import { membershipAnswer, type MembershipAnswer } from "../../answers/membership.ts";
import type { NodeEntry } from "../../../node/settings/settings.ts";
import { formerText, noMemberText } from "../../change/former-members.ts";
import { authorityPaths } from "../../certificates/cluster-certificates.ts";
import { membershipProof } from "../../leave/membership-route.ts";
import { apiPort, RemoteNode } from "../../remote/remote-node.ts";
import { trustAuthority } from "../../remote/trust.ts";
import type { NodeParts } from "../node/parts.ts";

/** From the start until it is looked at first: a ring has formed by then, where there is one. */
const firstMs = 20_000;
const lookMs = 60_000;
/** Of each address. */
const callMs = 5000;
/** In one look. */
const addressesMax = 32;

export interface RemovalWatchPorts {
  /** It runs as a member, and not all nodes of its corosync.conf are in its ring. */
  readonly lacksOthers: () => boolean;
  /** The first certain answer; undefined: nobody gave one. Never rejects. */
  readonly ask: () => Promise<MembershipAnswer | undefined>;
  /** Answers how it is called off. */
  readonly after: (waitMs: number, then: () => void) => () => void;
  /** For the log, when what is known has changed. */
  readonly tell: (text: string) => void;
}

export class RemovalWatch {
  readonly #ports: RemovalWatchPorts;
  #stop: () => void;
  #isStopped = false;
  #problem = "";

  constructor(ports: RemovalWatchPorts) {
    this.#ports = ports;
    this.#stop = ports.after(firstMs, () => void this.#look());
  }

  /** Why this node is no member any more, a sentence with what to do; "": it is, as far as it knows. */
  get problem(): string {
    return this.#ports.lacksOthers() ? this.#problem : "";
  }

  stop(): void {
    this.#isStopped = true;
    this.#stop();
  }

  async #look(): Promise<void> {
    const answer = this.#ports.lacksOthers() ? await this.#ports.ask() : undefined;
    if (this.#isStopped) return;
    // Nobody's answer says nothing new; a ring with all others is the best of answers.
    if (answer !== undefined || !this.#ports.lacksOthers()) {
      const problem = answer === undefined ? "" : removedText(answer);
      if (problem !== "" && problem !== this.#problem) this.#ports.tell(problem);
      this.#problem = problem;
    }
    this.#stop = this.#ports.after(lookMs, () => void this.#look());
  }
}

/** "" of a member. */
export function removedText({ node, isMember, former }: MembershipAnswer): string {
  if (isMember) return "";
  const how = former === undefined ? "it was removed while it was off" : formerText(former);
  return `${noMemberText}, says ${node}: ${how}. The others read none of its packets. To use it alone, or to let it join again: stop it, \`quorate leave --local\`, start it`;
}

/** Of a running node. */
export function removalPorts(parts: NodeParts): RemovalWatchPorts {
  const { mode, cluster, log } = parts;
  return {
    lacksOthers: () => mode === "cluster" && missingNodes(cluster).length > 0,
    ask: () => askOthers(parts),
    after: (waitMs, then) => systemClock.after(waitMs, then),
    tell: (text) => log("error", text),
  };
}

function missingNodes({ settings, quorum }: NodeParts["cluster"]): readonly NodeEntry[] {
  const { nodeid, nodes } = settings;
  const here = new Set([nodeid, ...(quorum?.members ?? [])]);
  return nodes.filter((node) => !here.has(node.nodeid));
}

async function askOthers({ options, cluster, tree }: NodeParts) {
  const { nodeid, name } = cluster.settings;
  const authority = tree.read(authorityPaths.certificate);
  if (!authority.ok) return undefined;
  let trust: ReturnType<typeof trustAuthority>;
  let proof: string;
  try {
    trust = trustAuthority(new X509Certificate(authority.value));
    proof = membershipProof(new Uint8Array(readFileSync(options.paths.authkey)), name, nodeid);
  } catch {
    return undefined; // Without authority or key nobody can be asked; what is wrong with them is said elsewhere.
  }
  const hosts = missingNodes(cluster).flatMap(({ addresses }) =>
    addresses.filter((address) => address !== undefined),
  );
  for (const host of [...new Set(hosts)].slice(0, addressesMax)) {
    const node = new RemoteNode({ host, port: options.api?.port ?? apiPort, trust, callMs });
    const asked = { node: name, nodeid, proof };
    const answer = await node.post("/api/v1/cluster/membership", asked, membershipAnswer);
    if (answer.ok && answer.value.isCertain) return answer.value;
  }
  return undefined;
}
