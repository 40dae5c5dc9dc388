// What a person looks at first, at one moment and in one answer: is it quorate, who is there, how are the links, what is to be done (pvecm.md §5.9 A).
import { type Overview, overviewAnswer } from "../../answers/ring.ts";
import type { RingSnapshot } from "../../../node/thread/bridge.ts";
import type { Cluster } from "../../../node/thread/cluster.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import * as parameter from "../parameters.ts";
import { type Route, route } from "../route.ts";
import { quorumFacts } from "./quorum.ts";
import { deviceFacts, linkFacts, nodeFacts } from "./ring.ts";
import { mayAudit } from "./v1-rules.ts";

export interface OverviewSource {
  readonly mode: "standalone" | "cluster";
  readonly cluster: Cluster;
  readonly monitor: Pick<Monitor, "look">;
  /** Of this node in the tree. */
  readonly nodeName: string;
  readonly version: string;
  /** Unix seconds. */
  readonly startedAt: number;
  readonly wallMs: () => number;
  readonly warnings: (snapshot: RingSnapshot) => Promise<readonly string[]>;
  /** Why nothing can be changed, a sentence; "": it can. */
  readonly treeRefusal: () => string;
  readonly certificates: () => Overview["certificates"];
  readonly operations: () => Pick<Overview, "operation" | "leftover">;
}

/** Of this node; and of any node of the cluster, which that node answers: what it sees, how long it runs, what it lacks. */
export function overviewRoutes(source: OverviewSource): readonly Route[] {
  const shared = {
    method: "GET",
    isOurs: true,
    permission: mayAudit,
    returns: overviewAnswer,
    handle: () => overviewFacts(source),
  } as const;
  return [
    route({
      ...shared,
      path: "/overview",
      description:
        "This node and its cluster at one moment: quorum, nodes, links, quorum device, warnings, what runs.",
      parameters: {},
    }),
    route({
      ...shared,
      path: "/nodes/{node}/overview",
      description: "The same as /overview of any node of the cluster, which that node answers.",
      parameters: { node: parameter.nodeName() },
    }),
  ];
}

async function overviewFacts(source: OverviewSource) {
  const { mode, cluster, monitor, nodeName, version, startedAt } = source;
  const snapshot = await monitor.look();
  const { clusterName, configVersion, crypto } = cluster.settings;
  const reason = source.treeRefusal();
  return {
    at: source.wallMs(),
    ...{ node: nodeName, version, startedAt },
    cluster: { name: clusterName, configVersion, encrypted: crypto.cipher !== "none" },
    warnings: [...(await source.warnings(snapshot))],
    quorum: quorumFacts({ mode, cluster }, snapshot),
    nodes: nodeFacts(cluster, snapshot),
    links: linkFacts(cluster, snapshot),
    ...deviceFacts(cluster, snapshot),
    tree: { isWritable: reason === "", reason },
    certificates: source.certificates(),
    ...source.operations(),
  };
}
