// GET /cluster/resources and /nodes: nodes, guests and storages of the cluster with what they tell of themselves (pvecm.md §4.2), and
// GET /cluster/nextid, the next number for a guest. Each caller sees what it may audit.
import * as v from "valibot";
import { byteString, textOfByteString } from "../../../bytes.ts";
import type { Files } from "../../../fs/tree/files.ts";
import { parseUserConfig, type PoolEntry } from "../../users/user-config.ts";
import { membersOf, nodeFingerprint } from "../cluster-facts.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, type Caller, type Route, route } from "../route.ts";
import { shownDatacenter } from "./datacenter-config.ts";
import { guestsOf, type KnownGuest, takenVmids } from "./guests.ts";
import { Measures } from "./measured.ts";
import { datacenterOf } from "./options-routes.ts";
import { knownStorages } from "./storage-config.ts";

export interface ResourceSource {
  readonly files: Files;
  /** Of this node in the tree. */
  readonly nodeName: string;
}

const number = v.optional(v.number());
const text = v.optional(v.string());
const use = {
  ...{ cpu: number, maxcpu: number, mem: number, maxmem: number },
  ...{ disk: number, maxdisk: number, uptime: number },
};
const nodeFields = {
  node: v.string(),
  status: v.picklist(["online", "offline", "unknown"]),
  level: text,
  ...use,
};
const nodeSchema = v.object({
  id: v.string(),
  type: v.literal("node"),
  ...nodeFields,
  ssl_fingerprint: text,
});
const resourceSchema = v.variant("type", [
  v.object({ id: v.string(), type: v.literal("pool"), pool: v.string() }),
  v.object({ id: v.string(), type: v.literal("node"), ...nodeFields }),
  v.object({
    id: v.string(),
    type: v.picklist(["qemu", "lxc", "openvz"]),
    ...{ vmid: v.number(), node: v.string(), status: v.string(), name: text },
    ...{ template: v.optional(v.boolean()), lock: text, tags: text, pool: text, ...use },
    ...{ netin: number, netout: number, diskread: number, diskwrite: number },
  }),
  v.object({
    id: v.string(),
    type: v.literal("storage"),
    ...{ storage: v.string(), node: v.string(), plugintype: v.string(), status: v.string() },
    ...{ shared: v.boolean(), content: text, disk: number, maxdisk: number },
  }),
]);
type Resource = v.InferOutput<typeof resourceSchema>;
type GuestResource = Extract<Resource, { readonly vmid: number }>;
const defaultRange = { lower: 100, upper: 1_000_000 };

export function resourcesRoutes(source: ResourceSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/cluster/resources",
      description: "Nodes, guests and storages of the cluster, as far as the caller may see them.",
      permission: anyUser,
      parameters: {
        type: parameter.optional(parameter.oneOf(["vm", "storage", "node", "sdn"])),
      },
      returns: v.array(resourceSchema),
      handle: ({ parameters: { type }, caller }) => resources(source, type, caller),
    }),
    route({
      method: "GET",
      path: "/nodes",
      description:
        "The nodes of the cluster, with load and memory of those that the caller may see.",
      permission: anyUser,
      parameters: {},
      returns: v.array(nodeSchema),
      handle: ({ caller }) =>
        nodeResources(source, new Measures(source.files), caller).map((each) => {
          const fingerprint = nodeFingerprint(source.files, each.node);
          return fingerprint === undefined ? each : { ...each, ssl_fingerprint: fingerprint };
        }),
    }),
    nextIdRoute(source.files),
  ];
}

function resources(
  source: ResourceSource,
  type: "vm" | "storage" | "node" | "sdn" | undefined,
  caller: Caller,
): Resource[] {
  const measures = new Measures(source.files);
  const isAsked = (kind: typeof type): boolean => type === undefined || type === kind;
  const pools = seenPools(source, caller);
  return [
    ...(type === undefined ? [...pools.keys()].map(poolResource) : []),
    ...(isAsked("vm") ? guestResources({ ...source, pools }, measures, caller) : []),
    ...(isAsked("node") ? nodeResources(source, measures, caller) : []),
    ...(isAsked("storage") ? storageResources(source, measures, caller) : []),
  ];
}

function nodesOf({ files, nodeName }: ResourceSource) {
  const { nodelist = { [nodeName]: { id: 0, online: 1 } } } = membersOf(files);
  return Object.entries(nodelist).map(([name, { online }]) => ({ name, isOnline: online === 1 }));
}

function nodeResources(source: ResourceSource, measures: Measures, caller: Caller) {
  return nodesOf(source).map(({ name, isOnline }) => {
    const measured = measures.node(name);
    const { level = "", cpu, mem, disk, uptime, ...most } = measured ?? {};
    const now = measured !== undefined && isOnline ? { cpu, mem, disk, uptime } : {};
    return {
      id: `node/${name}`,
      type: "node" as const,
      node: name,
      status: isOnline ? ("online" as const) : ("offline" as const),
      level,
      ...(caller.may(`/nodes/${name}`, "Sys.Audit") ? { ...most, ...now } : {}),
    };
  });
}

type SeenPools = ReadonlyMap<string, PoolEntry>;

/** Of user.cfg, by name. */
function seenPools({ files }: ResourceSource, caller: Caller): SeenPools {
  const read = files.read("user.cfg");
  const { pools } = parseUserConfig(read.ok ? byteString(read.value) : "");
  const seen = [...pools].filter(([name]) => caller.may(`/pool/${name}`, "Pool.Audit"));
  return new Map(seen.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function poolResource(name: string): Resource {
  const pool = textOfByteString(name);
  return { id: `/pool/${pool}`, type: "pool", pool };
}

function guestResources(
  { files, pools }: ResourceSource & { readonly pools: SeenPools },
  measures: Measures,
  caller: Caller,
): Resource[] {
  const poolOf = new Map(
    [...pools].flatMap(([name, { vms }]) =>
      [...vms].map((vmid): [string, string] => [vmid, textOfByteString(name)]),
    ),
  );
  return guestsOf(files)
    .filter(({ vmid }) => caller.may(`/vms/${vmid}`, "VM.Audit"))
    .map((guest) => {
      const pool = poolOf.get(String(guest.vmid));
      const resource = guestResource(guest, measures);
      return pool === undefined ? resource : { ...resource, pool };
    });
}

function guestResource(guest: KnownGuest, measures: Measures): GuestResource {
  const { vmid, node, type, lock, tags } = guest;
  const measured = measures.guest(vmid);
  const name = measured?.name || guest.name;
  return {
    ...{ id: `${type}/${vmid}`, type, vmid, node, status: "unknown", template: guest.isTemplate },
    ...measured,
    name: name === "" ? undefined : name,
    ...(lock === "" ? {} : { lock }),
    ...(tags.length === 0 ? {} : { tags: tags.join(";") }),
  };
}

function storageResources(source: ResourceSource, measures: Measures, caller: Caller): Resource[] {
  const read = source.files.read("storage.cfg");
  const storages = knownStorages(read.ok ? new TextDecoder().decode(read.value) : "");
  return storages
    .filter(({ id }) => caller.may(`/storage/${id}`, "Datastore.Audit"))
    .flatMap(({ id, type, content, isShared, nodes }) =>
      nodesOf(source)
        .filter(({ name }) => nodes.length === 0 || nodes.includes(name))
        .map(({ name }): Resource => {
          const measured = measures.storage(name, id);
          return {
            ...{ id: `storage/${name}/${id}`, type: "storage", storage: id, node: name },
            ...{ plugintype: type, status: measured === undefined ? "unknown" : "available" },
            ...{ shared: isShared, ...measured, ...(content === "" ? {} : { content }) },
          };
        }),
    );
}

function nextIdRoute(files: Files): Route {
  return route({
    method: "GET",
    path: "/cluster/nextid",
    description: "The next free number for a guest; with vmid whether that one is free.",
    permission: anyUser,
    parameters: { vmid: parameter.optional(parameter.vmid()) },
    returns: v.number(),
    handle: ({ parameters: { vmid } }) => {
      const taken = takenVmids(files);
      if (vmid !== undefined) {
        if (!taken.has(vmid)) return vmid;
        throw new ApiError(400, "Parameter verification failed.", {
          errors: { vmid: `VM ${vmid} already exists` },
        });
      }
      const { lower, upper } = rangeOf(files);
      // Among as many numbers as there are guests, and one more, one is free.
      const last = Math.min(upper, lower + taken.size + 1);
      for (let id = lower; id < last; id += 1) if (!taken.has(id)) return id;
      throw new ApiError(500, `unable to get any free VMID in range [${lower}, ${upper}]`);
    },
  });
}

/** Of `next-id` in datacenter.cfg. */
function rangeOf(files: Files): { readonly lower: number; readonly upper: number } {
  const bound = v.optional(v.pipe(v.string(), v.transform(Number)));
  const read = v.safeParse(
    v.object({ lower: bound, upper: bound }),
    shownDatacenter(datacenterOf(files))["next-id"] ?? {},
  );
  if (!read.success) return defaultRange;
  const { lower = defaultRange.lower, upper = defaultRange.upper } = read.output;
  return { lower, upper };
}
