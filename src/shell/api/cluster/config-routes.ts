// The routes below /cluster/config that read (pvecm.md §3.1, §4.2): nodelist, totem, quorum device, what a joining node must know. Those that change
// the configuration are where their operations are.
import * as v from "valibot";
import type { Files } from "../../../fs/tree/files.ts";
import { joinApiVersion } from "../../join/place-edits.ts";
import { clusterConfOf, membersOf, nodeFingerprint } from "../cluster-facts.ts";
import * as parameter from "../parameters.ts";
import { ApiError, privileged, type Route, route } from "../route.ts";

export interface ConfigSource {
  readonly files: Files;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** What corosync-qdevice-tool shows of the quorum device's client on this node, at length; "": there is none. */
  readonly deviceText: () => Promise<string>;
}

const mayAudit = privileged("/", "Sys.Audit");
const texts = v.record(v.string(), v.string());
/** `interface` by link number. */
const totemSchema = v.record(v.string(), v.union([v.string(), v.record(v.string(), texts)]));
const optionalText = v.optional(v.string());

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

/** All of this file. */
export function configRoutes(source: ConfigSource): readonly Route[] {
  return [...readRoutes(source), joinInformationRoute(source)];
}

function readRoutes({ files, deviceText }: ConfigSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/cluster/config",
      description: "What there is below.",
      permission: mayAudit,
      parameters: {},
      returns: v.array(v.object({ name: v.string() })),
      handle: () => ["nodes", "totem", "join", "qdevice", "apiversion"].map((name) => ({ name })),
    }),
    route({
      method: "GET",
      path: "/cluster/config/apiversion",
      description: "The version of the calls by which a node joins.",
      permission: mayAudit,
      parameters: {},
      returns: v.number(),
      handle: () => joinApiVersion,
    }),
    route({
      method: "GET",
      path: "/cluster/config/nodes",
      description: "The nodelist of corosync.conf.",
      permission: mayAudit,
      parameters: {},
      returns: v.array(v.objectWithRest({ node: v.string(), name: v.string() }, v.string())),
      handle: () =>
        (clusterConfOf(files)?.nodes ?? []).map((node) => {
          const { name = "" } = node;
          return { ...node, node: name, name };
        }),
    }),
    route({
      method: "GET",
      path: "/cluster/config/qdevice",
      description: "How the quorum device is from this node; {} without one.",
      permission: mayAudit,
      parameters: {},
      returns: texts,
      handle: async () => deviceFacts(await deviceText()),
    }),
    route({
      method: "GET",
      path: "/cluster/config/totem",
      description: "The totem section of corosync.conf; null on a standalone node.",
      permission: mayAudit,
      parameters: {},
      returns: v.nullable(totemSchema),
      handle: () => clusterConfOf(files)?.totem ?? null,
    }),
  ];
}

function joinInformationRoute({ files, nodeName }: ConfigSource): Route {
  return route({
    method: "GET",
    path: "/cluster/config/join",
    description: "What a node needs to know to join; it holds no secret.",
    permission: mayAudit,
    parameters: { node: parameter.optional(parameter.nodeName()) },
    returns: informationSchema,
    handle: ({ parameters }) => joinInformation(files, parameters.node ?? nodeName),
  });
}

const informationSchema = v.object({
  preferred_node: v.string(),
  config_digest: v.string(),
  nodelist: v.array(
    v.objectWithRest(
      { name: optionalText, pve_addr: optionalText, pve_fp: optionalText },
      v.string(),
    ),
  ),
  totem: totemSchema,
});

/** The answer of GET /cluster/config/join (§4.2); throws ApiError where there is none. */
export function joinInformation(
  files: Files,
  preferred: string,
): v.InferInput<typeof informationSchema> {
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
