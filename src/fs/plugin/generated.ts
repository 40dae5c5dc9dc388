// The generated files of the root, put together from what a node knows. Spec: pmxcfs.md §3. Each text is made when it is asked for.
import { byteStringOfText } from "../../bytes.ts";
import type { StatusStore } from "../replica/status.ts";
import type { Tree } from "../tree/tree.ts";
import type { ClusterInfo } from "../tree-options.ts";
import { clusterLogText } from "./clusterlog.ts";
import { debugText } from "./debug.ts";
import { type ClusterView, membersText } from "./members.ts";
import { rrdText } from "./rrd.ts";
import { type FileCounters, versionText } from "./version.ts";
import { vmlistText } from "./vmlist.ts";

/** What the texts are made of. */
export interface GeneratedSources {
  readonly nodeid: number;
  /** Byte string. */
  readonly nodeName: string;
  /** Unix seconds. */
  readonly startTime: number;
  readonly tree: () => Tree;
  readonly files: FileCounters;
  readonly status: StatusStore;
  /** Undefined in local mode, and before it is known. */
  readonly cluster: () => ClusterInfo | undefined;
  readonly isQuorate: () => boolean;
  readonly isDebug: () => boolean;
  /** Monotonic milliseconds. */
  readonly now: () => number;
}

/** Texts as byte strings, by name, in the order in which they are listed. */
export function generatedFiles(sources: GeneratedSources): ReadonlyMap<string, () => string> {
  const { tree, status, now, isDebug } = sources;
  return new Map([
    [".version", () => version(sources)],
    [".members", () => members(sources)],
    [".vmlist", () => vmlistText(tree().guestCounters.list, tree().guests())],
    [".clusterlog", () => clusterLogText(status.logEntries())],
    [".rrd", () => rrdText(status.rrd(now()))],
    [".debug", () => debugText(isDebug())],
  ]);
}

function version(sources: GeneratedSources): string {
  const { nodeid, nodeName, startTime, tree, files, status } = sources;
  const others = status.nodesWithKeys.filter((other) => other !== nodeid);
  const nameOf = (other: number): string => {
    const name = sources.cluster()?.nodes.find((node) => node.nodeid === other)?.name;
    return byteStringOfText(name ?? String(other));
  };
  return versionText({
    startTime,
    clusterInfo: status.clusterInfo,
    guestList: tree().guestCounters.list,
    files: files.all(),
    statuses: [
      { node: nodeName, keys: status.keysOf(nodeid) },
      ...others.map((other) => ({ node: nameOf(other), keys: status.keysOf(other) })),
    ],
  });
}

function members({ nodeName, status, cluster, isQuorate }: GeneratedSources): string {
  const info = cluster();
  const view: ClusterView | undefined = info && {
    name: byteStringOfText(info.name),
    configVersion: info.configVersion,
    quorate: isQuorate(),
    nodes: info.nodes
      .toSorted((a, b) => a.nodeid - b.nodeid)
      .map(({ nodeid, name }) => ({
        nodeid,
        name: byteStringOfText(name),
        online: status.isOnline(nodeid),
        address: status.addressOf(nodeid),
      })),
  };
  return membersText({ nodeName, version: status.clusterInfo, cluster: view });
}
