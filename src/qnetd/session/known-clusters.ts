// What the vote server remembers of clusters beyond their connections, and the lines of its log about what happens to them: a node that
// is lost, a split, a vote given, refused or taken back. Pure; it decides nothing. Nothing is stored: a restart forgets who is absent.
import { textOfByteString } from "../../bytes.ts";
import type { Client } from "../vote/algorithm.ts";
import { type CertificateNames, lower } from "../pki/certificate-name.ts";
import type { Cluster } from "../vote/cluster.ts";
import { logAction, type VoteServerAction } from "./events.ts";
import type { AlgorithmName } from "./message.ts";
import { NodeSet, nodesText } from "../vote/node-set.ts";
import { sentence, standingOf } from "./standing.ts";

/**
 * Clusters that are remembered when nobody of them is connected, and nodes of one. Without a certificate anybody can invent some: of
 * those the ones that were connected for the shortest time go first.
 */
export const knownMax = { verified: 256, unverified: 64, nodes: 64 } as const;
const unverifiedMsMax = 86_400_000;
/** Partitions that one line names. */
const partitionsToldMax = 4;
const listCharactersMax = 100;
/** What is said of another cluster of the same name is shown for so long. */
const namesakeMsMax = 600_000;

export interface AbsentNode {
  readonly nodeId: number;
  /** Undefined: it has not been connected since the server started. */
  readonly absentMs: number | undefined;
  /** Where it was connected from; "": unknown. */
  readonly address: string;
}

/** What an operator should look at. */
export interface Concern {
  readonly kind: "absent" | "split" | "mixed" | "namesake" | "noVote";
  readonly text: string;
}

export interface AbsentCluster {
  readonly name: string;
  /** Undefined, as the time: it has a certificate, and has not been connected since the server started. */
  readonly algorithm: AlgorithmName | undefined;
  /** Since its last node left. */
  readonly absentMs: number | undefined;
  readonly nodes: readonly AbsentNode[];
}

export interface ObserveCall {
  readonly now: number;
  readonly out: VoteServerAction[];
  addressOf(client: Client): string;
}

interface KnownNode {
  address: string;
  /** Undefined: it is connected. */
  leftAt: number | undefined;
  /** The last that was said of its vote. */
  told: { readonly standing: "yes" | "no"; readonly text: string } | undefined;
}

interface Known {
  readonly name: string;
  /** The object and its revision that were looked at. */
  seen: { readonly cluster: Cluster; readonly revision: number } | undefined;
  isVerified: boolean;
  algorithm: AlgorithmName;
  connectedAt: number;
  /** For how long it was connected, all times together. */
  livedMs: number;
  /** Undefined: somebody is connected. */
  absentAt: number | undefined;
  readonly nodes: Map<number, KnownNode>;
  configured: readonly number[];
  split: string;
  mixed: string;
  namesake: { readonly text: string; readonly at: number } | undefined;
}

export class KnownClusters {
  /** By name: those with connected nodes, and those without, the first that went first. */
  readonly #connected = new Map<string, Known>();
  readonly #absent = new Map<string, Known>();
  /** Clusters that have a certificate, as text. */
  #issued: readonly string[] = [];

  /** All certificates that the authority has issued now. Whose was taken away is waited for no more. */
  issued(certificates: readonly CertificateNames[]): void {
    const names = certificates.flatMap(({ commonName, alternativeNames }) =>
      alternativeNames.length > 0 ? alternativeNames : [commonName ?? ""],
    );
    const before = new Set(this.#issued.map(lower));
    this.#issued = names.filter((name) => name !== "" && !name.includes("*"));
    for (const name of this.#issued) before.delete(lower(name));
    for (const name of [...this.#absent.keys()]) {
      if (before.has(lower(textOfByteString(name)))) this.#absent.delete(name);
    }
  }

  /** After a step that may have changed the cluster. */
  observe(cluster: Cluster, call: ObserveCall): void {
    const known = this.#of(cluster, call.now);
    if (known === undefined) return;
    if (known.seen?.cluster === cluster && known.seen.revision === cluster.revision) return;
    known.seen = { cluster, revision: cluster.revision };
    for (const client of cluster.clients) this.#arrived(known, client, call);
    this.#lost(known, cluster, call);
    for (const client of cluster.clients) this.#voted(known, client, call);
    this.#partitions(known, cluster, call);
    if (cluster.clients.length === 0) this.#vanished(known, call);
  }

  /** A client from another address with the id of a connected node was refused; returns a sentence for the log. */
  duplicateNode(
    cluster: Cluster,
    {
      nodeId,
      own,
      other,
    }: { readonly nodeId: number; readonly own: string; readonly other: string },
    now: number,
  ): string {
    const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/, "");
    const text =
      `node ${nodeId} is connected from ${plain(own)}, and ${plain(other)} asks to be it too: if these are two clusters of one name, ` +
      "give one of them another totem.cluster_name";
    const known = this.#connected.get(cluster.name);
    if (known !== undefined) known.namesake = { text, at: now };
    return text;
  }

  /** Who is missing of a cluster that is connected, and what its operator should look at. */
  missing(
    cluster: Cluster,
    now: number,
  ): { readonly absent: readonly AbsentNode[]; readonly concerns: readonly Concern[] } {
    const known = this.#connected.get(cluster.name);
    if (known === undefined) return { absent: [], concerns: [] };
    const absent = absentOf(known, configuredOf(cluster), now);
    const concerns: Concern[] = [];
    const add = (kind: Concern["kind"], text: string): void => void concerns.push({ kind, text });
    const { split, mixed, namesake } = known;
    if (absent.length > 0) {
      add("absent", `${nodesText(absent.map(({ nodeId }) => nodeId))} not connected`);
    }
    if (split !== "") add("split", `split into ${split}`);
    if (mixed !== "") add("mixed", mixed);
    if (namesake !== undefined && now - namesake.at < namesakeMsMax) {
      add("namesake", namesake.text);
    }
    const hasNone = cluster.clients.every((client) => standingOf(client) === "no");
    if (hasNone) add("noVote", "no node has the vote");
    return { absent, concerns };
  }

  /** The clusters of which nobody is connected any more, the last first; then those that have not come since the start. */
  absent(now: number): readonly AbsentCluster[] {
    this.#expire(now);
    const left = [...this.#absent.values()].toReversed().map((known) => ({
      name: textOfByteString(known.name),
      algorithm: known.algorithm,
      absentMs: now - (known.absentAt ?? now),
      nodes: absentOf(known, known.configured, now),
    }));
    const seen = new Set(
      [...this.#connected.keys(), ...this.#absent.keys()].map((name) =>
        lower(textOfByteString(name)),
      ),
    );
    const unseen = this.#issued
      .filter((name) => !seen.has(lower(name)))
      .slice(0, knownMax.verified)
      .map((name) => ({ name, algorithm: undefined, absentMs: undefined, nodes: [] }));
    return [...left, ...unseen];
  }

  #of(cluster: Cluster, now: number): Known | undefined {
    const known = this.#connected.get(cluster.name) ?? this.#absent.get(cluster.name);
    const [first] = cluster.clients;
    if (known !== undefined || first === undefined) return known;
    const made: Known = {
      name: cluster.name,
      seen: undefined,
      isVerified: false,
      algorithm: first.algorithm,
      connectedAt: now,
      livedMs: 0,
      absentAt: undefined,
      nodes: new Map(),
      configured: [],
      split: "",
      mixed: "",
      namesake: undefined,
    };
    this.#connected.set(cluster.name, made);
    return made;
  }

  #arrived(known: Known, client: Client, call: ObserveCall): void {
    const { now } = call;
    known.isVerified ||= client.isVerified;
    if (known.absentAt !== undefined) {
      log(known, "notice", `is back after ${duration(now - known.absentAt)}`, call);
      known.absentAt = undefined;
      known.connectedAt = now;
      this.#absent.delete(known.name);
      this.#connected.set(known.name, known);
    }
    known.algorithm = client.algorithm;
    const node = known.nodes.get(client.nodeId);
    if (node?.leftAt !== undefined) {
      const text = `node ${client.nodeId} is connected again after ${duration(now - node.leftAt)}`;
      log(known, "notice", text, call);
    }
    if (node !== undefined && node.leftAt === undefined) return;
    known.nodes.set(client.nodeId, {
      address: call.addressOf(client),
      leftAt: undefined,
      told: undefined,
    });
  }

  #lost(known: Known, cluster: Cluster, call: ObserveCall): void {
    const connected = new Set(cluster.clients.map(({ nodeId }) => nodeId));
    const configured = new Set(configuredOf(cluster));
    for (const [nodeId, node] of known.nodes) {
      if (connected.has(nodeId)) continue;
      if (node.leftAt === undefined) {
        node.leftAt = call.now;
        const left = connected.size === 0 ? "nobody" : nodesText([...connected].slice(0, 32));
        const text = `node ${nodeId} is not connected any more; connected: ${left}`;
        log(known, "warning", text, call);
      }
      // Taken out of the configuration: nobody waits for it.
      if (configured.size > 0 && !configured.has(nodeId)) known.nodes.delete(nodeId);
    }
    const absent = [...known.nodes].filter(([, { leftAt }]) => leftAt !== undefined);
    for (const [nodeId] of absent.slice(0, Math.max(0, absent.length - knownMax.nodes))) {
      known.nodes.delete(nodeId);
    }
    if (configured.size > 0) known.configured = [...configured].slice(0, knownMax.nodes);
  }

  #voted(known: Known, client: Client, call: ObserveCall): void {
    const node = known.nodes.get(client.nodeId);
    const standing = standingOf(client);
    // Every change of the ring has a moment without a vote.
    if (node === undefined || standing === "waiting") return;
    const { told } = node;
    const text = sentence(client);
    // A vote that is kept for another reason, when a partition has become the only one, is logged too.
    const isTold = standing === "yes" ? told?.text === text : told?.standing === "no";
    if (isTold) return;
    node.told = { standing, text };
    if (standing === "yes") return log(known, "notice", text, call);
    const before = told?.standing === "yes" ? "the vote is taken back. " : "";
    log(known, "warning", `${before}${text}`, call);
  }

  #partitions(known: Known, cluster: Cluster, call: ObserveCall): void {
    const split = splitOf(cluster.clients.map(({ members }) => members));
    if (split !== known.split && cluster.clients.length > 0) {
      if (split !== "") log(known, "warning", `is split into ${split}`, call);
      else log(known, "notice", "is not split any more", call);
    }
    known.split = split;
    const lists = splitOf(cluster.clients.map(({ config }) => config));
    const mixed =
      lists === ""
        ? ""
        : `its nodes are configured apart, ${lists}: these seem to be two clusters of one name; give one of them another totem.cluster_name`;
    if (mixed !== "" && mixed !== known.mixed) log(known, "warning", mixed, call);
    known.mixed = mixed;
  }

  #vanished(known: Known, call: ObserveCall): void {
    if (known.absentAt !== undefined) return;
    known.absentAt = call.now;
    known.livedMs += call.now - known.connectedAt;
    log(known, "warning", "no node is connected any more", call);
    this.#connected.delete(known.name);
    this.#absent.set(known.name, known);
    this.#expire(call.now);
    const { isVerified } = known;
    const alike = [...this.#absent.values()].filter((each) => each.isVerified === isVerified);
    if (alike.length <= (isVerified ? knownMax.verified : knownMax.unverified)) return;
    const forgotten = isVerified
      ? alike[0]
      : alike.reduce((least, each) => (each.livedMs < least.livedMs ? each : least));
    this.#absent.delete(forgotten?.name ?? "");
  }

  #expire(now: number): void {
    for (const { name, isVerified, absentAt = now } of this.#absent.values()) {
      if (!isVerified && now - absentAt >= unverifiedMsMax) this.#absent.delete(name);
    }
  }
}

function log(
  known: Known,
  level: "notice" | "warning",
  text: string,
  { out }: Pick<ObserveCall, "out">,
): void {
  const line = `cluster "${textOfByteString(known.name)}": ${text}`;
  out.push(logAction(level, line, known.isVerified));
}

/** As the nodes with the newest configuration say. */
function configuredOf({ clients }: Cluster): readonly number[] {
  let newest: Client | undefined;
  for (const client of clients) {
    if (client.config.size === 0) continue;
    const isNewer = (client.configVersion ?? 0) > (newest?.configVersion ?? -1);
    if (newest === undefined || isNewer) newest = client;
  }
  return newest?.config.ids ?? [];
}

function absentOf(known: Known, configured: readonly number[], now: number): AbsentNode[] {
  const ids = new NodeSet([...configured.slice(0, knownMax.nodes), ...known.nodes.keys()]).ids;
  const isConnected = (nodeId: number): boolean => {
    const node = known.nodes.get(nodeId);
    return node !== undefined && node.leftAt === undefined;
  };
  return ids
    .filter((nodeId) => !isConnected(nodeId))
    .toSorted((a, b) => a - b)
    .map((nodeId) => {
      const { leftAt, address = "" } = known.nodes.get(nodeId) ?? {};
      return { nodeId, absentMs: leftAt === undefined ? undefined : now - leftAt, address };
    });
}

/** "{1} and {2, 3}" when the lists have no node in common, else "": lists that overlap are on their way to each other. */
function splitOf(lists: readonly NodeSet[]): string {
  const distinct = new Map(lists.filter(({ size }) => size > 0).map((list) => [list.key, list]));
  if (distinct.size < 2) return "";
  const seen = new Set<number>();
  for (const { ids } of distinct.values()) {
    for (const nodeId of ids) {
      if (seen.has(nodeId)) return "";
      seen.add(nodeId);
    }
  }
  const texts = [...distinct.values()]
    .slice(0, partitionsToldMax)
    .map(({ text }) =>
      text.length > listCharactersMax ? `${text.slice(0, listCharactersMax)} …}` : text,
    );
  const more = distinct.size - texts.length;
  return `${texts.join(" and ")}${more > 0 ? ` and ${more} more` : ""}`;
}

/** "35 s", "12 min", "5 h", "3 days". */
export function duration(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}
