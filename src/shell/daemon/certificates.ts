// The certificate that a running node shows on the network: the tree's, seen to and renewed while the tree can be written (pvecm.md §4.5), and until
// there is one a certificate of its own making. A change in the tree is shown at once; whoever is connected stays.
import { readFileSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { join } from "node:path";
import type { ConfigurationTree } from "../../fs/fs.ts";
import type { Files } from "../../fs/tree/files.ts";
import type { Cluster } from "../../node/thread/cluster.ts";
import { reasonOf } from "../../result.ts";
import { membersOf } from "../api/cluster-facts.ts";
import {
  authorityPaths,
  type CertificatePorts,
  ensureCertificates,
  nodeCertificatePaths,
} from "../certificates/cluster-certificates.ts";
import { presentedIdentity } from "../certificates/presented-identity.ts";
import { type PemIdentity, selfSignedIdentity } from "../certificates/self-signed.ts";
import type { NodePaths } from "../paths.ts";

/** Between two looks at how long the certificate still serves, and at the node's address. */
const lookMs = 3_600_000;
/** How long the others leave it to the lowest member to make an authority: its key takes seconds of a processor, on each node that makes one. */
const turnMs = 30_000;
/** After one that failed although there is quorum: at first the tree joins its group, or an operation holds the lock. */
const retryMs = 2000;
/** What fails for longer is told. */
const patienceMs = 30_000;

export interface NodeCertificatesOptions {
  readonly paths: NodePaths;
  readonly tree: ConfigurationTree;
  readonly cluster: Cluster;
  /** Of this node in the tree. */
  readonly nodeName: string;
  readonly log: (level: "notice" | "warning", text: string) => void;
}

export class NodeCertificates {
  readonly #options: NodeCertificatesOptions;
  #shown: PemIdentity | undefined;
  #present: (identity: PemIdentity) => void = () => undefined;
  #looking: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;
  #hasWaited = false;
  #isAgain = false;
  /** Of `performance.now()`; undefined: the last look did what it should. */
  #failedSince: number | undefined;
  #fault = "";
  #ensureFault = "";
  /** All was well, or made so, and the tree was not replaced since; the next look comes by its time. */
  #isSeenTo = false;

  constructor(options: NodeCertificatesOptions) {
    this.#options = options;
  }

  /** What is shown; undefined before the start. */
  get shown(): PemIdentity | undefined {
    return this.#shown;
  }

  /** What is wrong with the certificate, a sentence with what to do; "": nothing. */
  get fault(): string {
    return this.#fault === "" ? this.#ensureFault : this.#fault;
  }

  /** The one to show now. `present` is called with each that takes its place. Throws when not even one of its own making can be kept. */
  async start(present: (identity: PemIdentity) => void): Promise<PemIdentity> {
    const { tree, cluster } = this.#options;
    const first = this.#fromTree() ?? (await this.#ownMaking());
    this.#shown = first;
    this.#present = present;
    const own = new Set<string>([
      ...Object.values(nodeCertificatePaths(this.#options.nodeName)),
      authorityPaths.certificate,
    ]);
    tree.onChanged((changed) => {
      if (changed !== undefined && !changed.some((path) => own.has(path))) return;
      if (changed === undefined) this.#isSeenTo = false;
      this.#show();
      // The authority that this node has left to another.
      if (changed?.includes(authorityPaths.certificate) === true) this.#look();
    });
    // There may have been a change while the first was made.
    this.#show();
    // Not at each change of the membership: looking takes a lock of the cluster, which is a write on all nodes.
    cluster.onQuorum(({ quorate }) => {
      if (quorate && !this.#isSeenTo) this.#look();
    });
    this.#look();
    return this.#shown ?? first;
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #fromTree(): PemIdentity | undefined {
    const { tree, nodeName, log } = this.#options;
    const { identity, fault } = presentedIdentity(tree, nodeName);
    if (fault !== "" && fault !== this.#fault) log("warning", fault);
    this.#fault = fault;
    return identity;
  }

  #ownMaking(): Promise<PemIdentity> {
    const { paths, nodeName } = this.#options;
    return selfSignedIdentity({
      path: paths.selfSigned,
      name: nodeName,
      alternativeNames: [...new Set(["localhost", nodeName, hostname(), ...ownAddresses()])],
      now: Date.now(),
    });
  }

  /** Certificate and key are two files: between their changes they are no pair, and the former stay. */
  #show(): void {
    const identity = this.#fromTree();
    if (identity === undefined || this.#isStopped) return;
    const isSame =
      identity.certificate === this.#shown?.certificate && identity.key === this.#shown.key;
    if (isSame) return;
    this.#shown = identity;
    try {
      this.#present(identity);
    } catch (error) {
      // The former one is shown on.
      this.#fault = `the certificate in /etc/pve/nodes/${this.#options.nodeName} does not serve: ${reasonOf(error)}`;
      this.#options.log("warning", this.#fault);
    }
  }

  /** Sees to the certificates, one look at a time; the next comes by itself. */
  #look(): void {
    if (this.#isStopped) return;
    if (this.#looking !== undefined) {
      // Quorum that comes while the look before it is ending in vain.
      this.#isAgain = true;
      return;
    }
    this.#isAgain = false;
    clearTimeout(this.#timer);
    if (this.#isAnothersTurn()) {
      this.#hasWaited = true;
      this.#timer = setTimeout(() => this.#look(), turnMs);
      return;
    }
    this.#looking = this.#ensure()
      .catch((error: unknown) => reasonOf(error))
      .then((reason) => this.#looked(reason));
  }

  #looked(reason: string): void {
    const { cluster, log } = this.#options;
    this.#looking = undefined;
    if (this.#isStopped) return;
    if (this.#isAgain) return this.#look();
    const isQuorate = cluster.quorum?.quorate === true;
    this.#isSeenTo = isQuorate && reason === "";
    // Without quorum nothing is wrong: this is called again when there is some.
    const isFine = reason === "" || !isQuorate;
    this.#failedSince = isFine ? undefined : (this.#failedSince ?? performance.now());
    this.#timer = setTimeout(() => this.#look(), isFine ? lookMs : retryMs);
    const isLasting =
      this.#failedSince !== undefined && performance.now() - this.#failedSince > patienceMs;
    const fault = isLasting ? `the certificates of this node were not seen to: ${reason}` : "";
    if (fault !== "" && fault !== this.#ensureFault) log("warning", fault);
    this.#ensureFault = fault;
  }

  /** There is no authority, and a member with a lower nodeid is there to make one; once only. */
  #isAnothersTurn(): boolean {
    const { tree, nodeName } = this.#options;
    if (this.#hasWaited || tree.stat(authorityPaths.certificate).ok) return false;
    const { nodelist = {} } = membersOf(tree);
    const own = nodelist[nodeName]?.id ?? 0;
    return Object.values(nodelist).some(({ id, online }) => online === 1 && id < own);
  }

  /** "" or why it could not. */
  async #ensure(): Promise<string> {
    const { cluster, tree, nodeName, paths, log } = this.#options;
    if (cluster.quorum?.quorate !== true) return "";
    const done = await ensureCertificates(certificatePorts({ files: tree, nodeName, paths }));
    if (!done.ok) return done.reason;
    if (done.value.reason !== "") {
      log("notice", `this node has a new certificate in the tree: ${done.value.reason}`);
    }
    return "";
  }
}

/** What `ensureCertificates` needs to know of this node; for operations too. */
export function certificatePorts(of: {
  readonly files: Files;
  readonly nodeName: string;
  readonly paths: NodePaths;
}): CertificatePorts {
  const { files, nodeName, paths } = of;
  return {
    files,
    nodeName,
    domain: searchDomain(join(paths.root, "etc/resolv.conf")),
    address: clusterAddress(files, nodeName),
    now: () => Date.now(),
  };
}

/** Under which the cluster knows this node, else an address of this machine. */
export function clusterAddress(files: Files, nodeName: string): string | undefined {
  return membersOf(files).nodelist?.[nodeName]?.ip ?? ownAddresses()[0];
}

function searchDomain(path: string): string {
  try {
    const lines = readFileSync(path, "utf8").split("\n");
    const found = lines.map((line) => /^(?:search|domain)\s+([A-Za-z0-9.-]+)/.exec(line)?.[1]);
    return (found.findLast((domain) => domain !== undefined) ?? "").replace(/\.$/, "");
  } catch {
    return ""; // There is none.
  }
}

/** Addresses of this machine under which others may reach it, IPv4 first. */
function ownAddresses(): readonly string[] {
  const all = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return all
    .toSorted((a, b) => Number(a.family === "IPv6") - Number(b.family === "IPv6"))
    .map(({ address }) => address);
}
