// All routes of a node's network API, a line for each resource, and who is let in (pvecm.md §4.2, §4.3).
import { clusterRoutes } from "../api/cluster-routes.ts";
import type { Authenticate, Route } from "../api/route.ts";
import { identity } from "../version.ts";
import { clusterAddress } from "./certificates.ts";
import type { NodeParts } from "./node/parts.ts";

export interface NodeRoutes {
  readonly routes: readonly Route[];
  readonly authenticate: Authenticate;
}

/** `more`: of parts that have a state of their own. */
export function nodeRoutes(
  { tree, directoryName: nodeName }: NodeParts,
  more: readonly Route[],
): NodeRoutes {
  const { version, commit } = identity;
  const address = () => clusterAddress(tree, nodeName);
  return {
    routes: [...clusterRoutes({ files: tree, nodeName, version, commit, address }), ...more],
    // Until there is somebody who knows users.
    authenticate: async () => ({ ok: false, reason: "No ticket" }),
  };
}
