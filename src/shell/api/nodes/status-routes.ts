// GET /nodes/{node}/status and /version: what the machine of a node is and how busy it is (pvecm.md §4.2).
import * as v from "valibot";
import { apiVersion, versionSchema } from "../api-version.ts";
import { anyUser, type Route, route } from "../route.ts";
import { mayAudit, node, type NodeSource } from "./node-source.ts";

const bytes = v.pipe(v.number(), v.integer(), v.minValue(0));
const share = v.pipe(v.number(), v.minValue(0), v.maxValue(1));

const statusSchema = v.object({
  uptime: bytes,
  idle: v.number(),
  cpu: share,
  wait: share,
  loadavg: v.array(v.string()),
  kversion: v.string(),
  "current-kernel": v.object({
    sysname: v.string(),
    release: v.string(),
    version: v.string(),
    machine: v.string(),
  }),
  "boot-info": v.object({
    mode: v.picklist(["efi", "legacy-bios"]),
    secureboot: v.optional(v.boolean()),
  }),
  cpuinfo: v.object({
    model: v.string(),
    sockets: v.number(),
    cores: v.number(),
    cpus: v.number(),
    mhz: v.string(),
    flags: v.string(),
    hvm: v.boolean(),
    user_hz: v.number(),
  }),
  memory: v.object({ total: bytes, free: bytes, available: bytes, used: bytes }),
  swap: v.object({ total: bytes, free: bytes, used: bytes }),
  ksm: v.object({ shared: bytes }),
  rootfs: v.object({ total: bytes, free: bytes, avail: bytes, used: bytes }),
  pveversion: v.string(),
});

/** Clock ticks a second, the same on every Linux. */
const ticks = 100;

export function statusRoutes(source: NodeSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/status",
      description: "Processor, memory, load and kernel of the machine of a node.",
      permission: mayAudit,
      parameters: node,
      returns: statusSchema,
      handle: () => nodeStatus(source),
    }),
    route({
      method: "GET",
      path: "/nodes/{node}/version",
      description: "The version of the API of a node, and of quorate.",
      permission: anyUser,
      parameters: node,
      returns: versionSchema,
      handle: () => apiVersion(source),
    }),
  ];
}

async function nodeStatus({
  machine,
  version,
}: NodeSource): Promise<v.InferOutput<typeof statusSchema>> {
  const [load, processor, boot, shared] = await Promise.all([
    machine.load(),
    machine.processor(),
    machine.boot(),
    machine.sharedMemory(),
  ]);
  const kernel = machine.kernel();
  const { memory, space, shares } = load;
  const { swapTotal: total, swapFree: free } = memory;
  return {
    uptime: load.uptime,
    idle: 0,
    ...shares,
    loadavg: [...load.averages],
    kversion: `${kernel.sysname} ${kernel.release} ${kernel.version}`,
    "current-kernel": kernel,
    "boot-info": boot,
    cpuinfo: { ...processor, user_hz: ticks },
    memory: {
      ...{ total: memory.total, free: memory.free },
      ...{ available: memory.available, used: memory.used },
    },
    swap: { total, free, used: total - free },
    ksm: { shared },
    rootfs: {
      ...{ total: space.total, free: space.free },
      ...{ avail: space.available, used: space.used },
    },
    pveversion: `quorate/${version}`,
  };
}
