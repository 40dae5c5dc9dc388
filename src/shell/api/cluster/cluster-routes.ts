// The routes about the cluster as a whole: version, status, and those of its files beside (pvecm.md §4.2).
import type { LogLine } from "../../../fs/plugin/clusterlog.ts";
import * as v from "valibot";
import { apiVersion, versionSchema } from "../api-version.ts";
import { membersOf } from "../cluster-facts.ts";
import { anyUser, privileged, type Route, route } from "../route.ts";
import { type ConfigSource, configRoutes } from "./config-routes.ts";
import { shownDatacenter } from "./datacenter-config.ts";
import { clusterLogRoute } from "./log-route.ts";
import { datacenterOf, optionsRoutes } from "./options-routes.ts";
import { resourcesRoutes } from "./resources-routes.ts";

export interface ClusterSource extends ConfigSource {
  /** Of this program: "0.1.0", and its commit, hex or a word. */
  readonly version: string;
  readonly commit: string;
  /** Under which others reach this node; undefined: unknown. */
  readonly address: () => string | undefined;
  /** Of the cluster log, newest first. */
  readonly logged: () => Iterable<LogLine>;
}

const statusSchema = v.array(
  v.variant("type", [
    v.object({
      ...{ type: v.literal("cluster"), id: v.string(), name: v.string(), nodes: v.number() },
      ...{ version: v.number(), quorate: v.boolean() },
    }),
    v.object({
      ...{ type: v.literal("node"), id: v.string(), name: v.string(), nodeid: v.number() },
      ...{ ip: v.optional(v.string()), local: v.boolean(), online: v.boolean(), level: v.string() },
    }),
  ]),
);

/** All below /cluster that reads or sets what is in the tree, and /version. */
export function clusterRoutes(source: ClusterSource): readonly Route[] {
  const { files } = source;
  return [
    route({
      method: "GET",
      path: "/version",
      description: "The version of the API, and of quorate.",
      permission: anyUser,
      parameters: {},
      returns: v.object({ ...versionSchema.entries, console: v.optional(v.string()) }),
      handle: () => {
        const shown = shownDatacenter(datacenterOf(files))["console"];
        return { ...apiVersion(source), ...(typeof shown === "string" ? { console: shown } : {}) };
      },
    }),
    route({
      method: "GET",
      path: "/cluster/status",
      description: "The cluster and its nodes; on a standalone node only the node.",
      permission: privileged("/", "Sys.Audit"),
      parameters: {},
      returns: statusSchema,
      handle: () => clusterStatus(source),
    }),
    ...configRoutes(source),
    ...resourcesRoutes(source),
    ...optionsRoutes(files),
    clusterLogRoute(source.logged),
  ];
}

function clusterStatus({
  files,
  nodeName,
  address,
}: ClusterSource): v.InferInput<typeof statusSchema> {
  const { cluster, nodelist = {} } = membersOf(files);
  const node = (name: string, nodeid: number, ip: string | undefined, isOnline: boolean) => ({
    type: "node" as const,
    id: `node/${name}`,
    name,
    nodeid,
    ...(ip === undefined ? {} : { ip }),
    local: name === nodeName,
    online: isOnline,
    level: "",
  });
  if (cluster === undefined) return [node(nodeName, 0, address(), true)];
  const { name, nodes, version, quorate } = cluster;
  return [
    { type: "cluster", id: "cluster", name, nodes, version, quorate: quorate === 1 },
    ...Object.entries(nodelist).map(([each, { id, ip, online }]) =>
      node(each, id, ip, online === 1),
    ),
  ];
}
