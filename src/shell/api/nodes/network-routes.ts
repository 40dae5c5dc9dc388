// GET /nodes/{node}/network: the network interfaces of a node's machine, of which a dialogue makes links of a cluster (pvecm.md §4.2).
import { join } from "node:path";
import * as v from "valibot";
import { type NetworkInterface, networkInterfaces } from "../../machine/interfaces.ts";
import { presentInterfaces } from "../../machine/present-interfaces.ts";
import { readTextFile } from "../../machine/text-file.ts";
import * as parameter from "../parameters.ts";
import { anyUser, type Caller, type Route, route } from "../route.ts";
import { mayAudit, node, type NodeSource, wrong } from "./node-source.ts";

const types = [
  ...["bridge", "bond", "eth", "alias", "vlan", "fabric", "OVSBridge", "OVSBond", "OVSPort"],
  ...["OVSIntPort", "vnet", "any_bridge", "any_local_bridge", "include_sdn"],
] as const;

const text = v.optional(v.string());
const flag = v.optional(v.boolean());
const interfaceFields = {
  type: v.string(),
  ...{ exists: flag, active: flag, autostart: flag, priority: v.optional(v.number()) },
  families: v.array(v.picklist(["inet", "inet6"])),
  ...{ method: text, address: text, netmask: text, cidr: text, gateway: text },
  ...{ method6: text, address6: text, netmask6: v.optional(v.number()) },
  ...{ cidr6: text, gateway6: text, mtu: text, comments: text, comments6: text },
  options: v.optional(v.array(v.string())),
  options6: v.optional(v.array(v.string())),
};

export function networkRoutes(source: NodeSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/network",
      description: "The network interfaces of the machine of a node.",
      permission: anyUser,
      parameters: { ...node, type: parameter.optional(parameter.oneOf(types)) },
      returns: v.array(v.looseObject({ iface: v.string(), ...interfaceFields })),
      handle: async ({ parameters: { type }, caller }) =>
        (await interfacesOf(source)).filter((each) => isAsked(each, type) && maySee(each, caller)),
    }),
    route({
      method: "GET",
      path: "/nodes/{node}/network/{iface}",
      description: "One network interface of the machine of a node.",
      permission: mayAudit,
      parameters: {
        ...node,
        iface: parameter.formatted(
          20,
          /^[a-zA-Z][a-zA-Z0-9_.-]{1,19}(?::\d+)?$/,
          "invalid format - value does not look like a valid network interface name",
        ),
      },
      returns: v.looseObject(interfaceFields),
      handle: async ({ parameters }) => {
        const found = (await interfacesOf(source)).find(({ iface }) => iface === parameters.iface);
        if (found === undefined) throw wrong("iface", "interface does not exist");
        const { iface: _, ...fields } = found;
        return fields;
      },
    }),
  ];
}

async function interfacesOf({ places }: NodeSource): Promise<readonly NetworkInterface[]> {
  const [configured, present] = await Promise.all([
    readTextFile(join(places.root, "etc/network/interfaces")),
    presentInterfaces(places.sys),
  ]);
  return networkInterfaces(configured ?? "", present);
}

function isAsked({ type }: NetworkInterface, asked: (typeof types)[number] | undefined): boolean {
  if (asked === undefined || asked === "include_sdn") return true;
  if (asked === "any_bridge" || asked === "any_local_bridge") return type === "bridge";
  return type === asked;
}

/** Bridges are shown to who may put guests on them. */
function maySee({ type, iface }: NetworkInterface, caller: Caller): boolean {
  if (type !== "bridge") return true;
  const path = `/sdn/zones/localnetwork/${iface}`;
  return caller.may(path, "SDN.Audit") || caller.may(path, "SDN.Use");
}
