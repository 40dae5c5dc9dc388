// The routes that read the cluster: version, status, configuration, join information, nodes (pvecm.md §3.1, §4.2). Those that change it are where
// their operations are.
import { availableParallelism, freemem, loadavg, totalmem, uptime } from "node:os";
import type { Files } from "../../../fs/tree/files.ts";
import { clusterConfOf, membersOf, nodeFingerprint } from "../cluster-facts.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, privileged, type Route, route } from "../route.ts";

export interface ClusterSource {
  readonly files: Files;
  /** Of this program: "0.1.0", and its commit, hex or a word. */
  readonly version: string;
  readonly commit: string;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** Under which others reach this node; undefined: unknown. */
  readonly address: () => string | undefined;
  /** What corosync-qdevice-tool shows of the quorum device's client on this node, at length; "": there is none. */
  readonly deviceText: () => Promise<string>;
}

/** What of Proxmox's API we speak: clients decide by it which calls there are. */
const apiRelease = { version: "9.1.0", release: "9.1" } as const;
/** Of a join (§1.13). */
export const joinApiVersion = 1;

const mayAudit = privileged("/", "Sys.Audit");

/** All of this file. */
export function clusterRoutes(source: ClusterSource): readonly Route[] {
  return [...generalRoutes(source), ...configRoutes(source), joinInformationRoute(source)];
}

function generalRoutes(source: ClusterSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/version",
      description: "The version of the API, and of quorate.",
      permission: anyUser,
      parameters: {},
      handle: () => ({
        ...apiRelease,
        repoid: /^[0-9a-f]{7,64}/.exec(source.commit)?.[0].padEnd(8, "0") ?? "00000000",
        quorate: source.version,
      }),
    }),
    route({
      method: "GET",
      path: "/cluster/status",
      description: "The cluster and its nodes; on a standalone node only the node.",
      permission: mayAudit,
      parameters: {},
      handle: () => clusterStatus(source),
    }),
    route({
      method: "GET",
      path: "/nodes",
      description: "The nodes of the cluster; load and memory of this one.",
      permission: anyUser,
      parameters: {},
      handle: () => nodeList(source),
    }),
  ];
}

function clusterStatus({ files, nodeName, address }: ClusterSource): readonly object[] {
  const { cluster, nodelist = {} } = membersOf(files);
  const node = (name: string, nodeid: number, ip: string | undefined, isOnline: boolean) => ({
    type: "node",
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
    { type: "cluster", id: "cluster", name, nodes, version, quorate },
    ...Object.entries(nodelist).map(([each, { id, ip, online }]) =>
      node(each, id, ip, online === 1),
    ),
  ];
}

function nodeList({ files, nodeName }: ClusterSource): readonly object[] {
  const { nodelist = { [nodeName]: { id: 0, online: 1 } } } = membersOf(files);
  return Object.entries(nodelist).map(([node, { online }]) => {
    const fingerprint = nodeFingerprint(files, node);
    return {
      node,
      type: "node",
      id: `node/${node}`,
      status: online === 1 ? "online" : "offline",
      level: "",
      ...(fingerprint === undefined ? {} : { ssl_fingerprint: fingerprint }),
      ...(node === nodeName ? machineLoad() : {}),
    };
  });
}

function machineLoad(): object {
  const processors = availableParallelism();
  return {
    cpu: Math.min(1, (loadavg()[0] ?? 0) / processors),
    maxcpu: processors,
    mem: totalmem() - freemem(),
    maxmem: totalmem(),
    uptime: Math.floor(uptime()),
  };
}

/** Of the device's text, what the original passes on. It means to pass "Echo reply", too, which its daemon calls otherwise (§4.2). */
const deviceKeys: Readonly<Record<string, string>> = {
  Model: "Model",
  "QNetd host": "QNetd host",
  Algorithm: "Algorithm",
  "Tie-breaker": "Tie-breaker",
  State: "State",
  "Last poll call": "Last poll call",
  "Echo reply received": "Echo reply",
};

function deviceFacts(text: string): Readonly<Record<string, string>> {
  const pairs = text.split("\n").flatMap((line) => {
    const [, label = "", value = ""] = /^([^:\t]+):\s+(.*)$/.exec(line) ?? [];
    const key = Object.hasOwn(deviceKeys, label) ? deviceKeys[label] : undefined;
    return key === undefined ? [] : [[key, value] as const];
  });
  return Object.fromEntries(pairs);
}

function configRoutes({ files, deviceText }: ClusterSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/cluster/config",
      description: "What there is below.",
      permission: mayAudit,
      parameters: {},
      handle: () => ["nodes", "totem", "join", "qdevice", "apiversion"].map((name) => ({ name })),
    }),
    route({
      method: "GET",
      path: "/cluster/config/apiversion",
      description: "The version of the calls by which a node joins.",
      permission: mayAudit,
      parameters: {},
      handle: () => joinApiVersion,
    }),
    route({
      method: "GET",
      path: "/cluster/config/nodes",
      description: "The nodelist of corosync.conf.",
      permission: mayAudit,
      parameters: {},
      handle: () =>
        (clusterConfOf(files)?.nodes ?? []).map((node) => ({ node: node["name"], ...node })),
    }),
    route({
      method: "GET",
      path: "/cluster/config/qdevice",
      description: "How the quorum device is from this node; {} without one.",
      permission: mayAudit,
      parameters: {},
      handle: async () => deviceFacts(await deviceText()),
    }),
    route({
      method: "GET",
      path: "/cluster/config/totem",
      description: "The totem section of corosync.conf; null on a standalone node.",
      permission: mayAudit,
      parameters: {},
      handle: () => clusterConfOf(files)?.totem,
    }),
  ];
}

function joinInformationRoute({ files, nodeName }: ClusterSource): Route {
  return route({
    method: "GET",
    path: "/cluster/config/join",
    description: "What a node needs to know to join; it holds no secret.",
    permission: mayAudit,
    parameters: { node: parameter.optional(parameter.nodeName()) },
    handle: ({ parameters }) => joinInformation(files, parameters.node ?? nodeName),
  });
}

/** The answer of GET /cluster/config/join (§4.2); throws ApiError where there is none. */
export function joinInformation(files: Files, preferred: string): object {
  const conf = clusterConfOf(files);
  if (conf === undefined) {
    throw new ApiError(424, "node is not in a cluster, no join info available!", {
      code: "standalone",
    });
  }
  if (!conf.nodes.some(({ name }) => name === preferred)) {
    throw new ApiError(500, `unknown node '${preferred}'`);
  }
  if (nodeFingerprint(files, preferred) === undefined) {
    throw new ApiError(500, `node '${preferred}' has no certificate yet`, {
      code: "noCertificate",
      hint: "it makes one once it is in a quorate cluster: `pvecm updatecerts` there",
    });
  }
  const { nodelist = {} } = membersOf(files);
  return {
    preferred_node: preferred,
    config_digest: conf.digest,
    nodelist: conf.nodes.map((node) => {
      const name = node["name"] ?? "";
      const fingerprint = nodeFingerprint(files, name);
      const address = nodelist[name]?.ip ?? node["ring0_addr"];
      return {
        ...node,
        ...(address === undefined ? {} : { pve_addr: address }),
        ...(fingerprint === undefined ? {} : { pve_fp: fingerprint }),
      };
    }),
    totem: conf.totem,
  };
}
