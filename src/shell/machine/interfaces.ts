// The network interfaces of this machine: what /etc/network/interfaces configures, in the words of the original's API (pvecm.md §4.2), and what
// the system has. Pure.
import { isIP } from "node:net";

export type InterfaceType = "eth" | "bridge" | "bond" | "vlan" | "alias" | "unknown";

/** As the original's API calls it. */
export interface NetworkInterface {
  readonly iface: string;
  readonly type: InterfaceType;
  readonly exists?: boolean;
  readonly active?: boolean;
  readonly autostart?: boolean;
  /** The order of the file. */
  readonly priority?: number;
  readonly families: readonly ("inet" | "inet6")[];
  readonly method?: string;
  readonly method6?: string;
  readonly address?: string;
  readonly netmask?: string;
  readonly cidr?: string;
  readonly gateway?: string;
  readonly address6?: string;
  readonly netmask6?: number;
  readonly cidr6?: string;
  readonly gateway6?: string;
  readonly mtu?: string;
  readonly comments?: string;
  readonly comments6?: string;
  /** Options without a field of their own. */
  readonly options?: readonly string[];
  readonly options6?: readonly string[];
  readonly [option: string]: unknown;
}

/** What the running system has of an interface. */
export interface PresentInterface {
  readonly name: string;
  readonly isPhysical: boolean;
  readonly isUp: boolean;
  readonly isBridge: boolean;
  readonly isBond: boolean;
  /** "192.0.2.1/24". */
  readonly cidrs: readonly string[];
}

const interfacesMax = 4096;
/** Those that stand in the file under another name than in the API, and those that are the same. */
const fieldOf: Readonly<Record<string, string>> = {
  mtu: "mtu",
  ovs_mtu: "mtu",
  "bond-slaves": "slaves",
  bond_slaves: "slaves",
  slaves: "slaves",
  "bond-mode": "bond_mode",
  bond_mode: "bond_mode",
  "bond-miimon": "bond_miimon",
  bond_miimon: "bond_miimon",
  "bond-primary": "bond-primary",
  "bond-xmit-hash-policy": "bond_xmit_hash_policy",
  bond_xmit_hash_policy: "bond_xmit_hash_policy",
  "bridge-ports": "bridge_ports",
  bridge_ports: "bridge_ports",
  "bridge-stp": "bridge_stp",
  bridge_stp: "bridge_stp",
  "bridge-fd": "bridge_fd",
  bridge_fd: "bridge_fd",
  "bridge-vids": "bridge_vids",
  bridge_vids: "bridge_vids",
  "bridge-vlan-aware": "bridge_vlan_aware",
  bridge_vlan_aware: "bridge_vlan_aware",
  "vlan-raw-device": "vlan-raw-device",
  "vlan-id": "vlan-id",
};
const bondModes = [
  "balance-rr",
  "active-backup",
  "balance-xor",
  "broadcast",
  "802.3ad",
  "balance-tlb",
  "balance-alb",
];

/** One interface while the file is read. */
interface Draft {
  readonly fields: Map<string, unknown>;
  readonly families: ("inet" | "inet6")[];
  priority: number | undefined;
  isAutomatic: boolean;
}

/** The interfaces but the loopback, by name. `text`: of /etc/network/interfaces; "" where there is none. */
export function networkInterfaces(
  text: string,
  present: readonly PresentInterface[],
): readonly NetworkInterface[] {
  const drafts = readDrafts(text);
  const known = new Map(present.map((each) => [each.name, each]));
  // A machine that is configured otherwise has its addresses shown, for they are what links of a cluster are made of.
  for (const { name, isPhysical, cidrs } of present) {
    if (isPhysical || (cidrs.length > 0 && !drafts.has(name))) draftOf(drafts, name);
  }
  drafts.delete("lo");
  return [...drafts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, draft]) => finished(name, draft, known.get(name)));
}

function readDrafts(text: string): Map<string, Draft> {
  const drafts = new Map<string, Draft>();
  let current: { readonly draft: Draft; readonly suffix: "" | "6" } | undefined;
  let priority = 2;
  for (const line of text.replace(/\\\n/g, " ").split("\n")) {
    const words = line.trim().split(/\s+/);
    const [word = ""] = words;
    if (word === "") continue;
    if (word === "auto" || /^allow-(?:auto|hotplug|ovs)$/.test(word)) {
      for (const name of words.slice(1)) draftOf(drafts, name).isAutomatic = true;
      current = undefined;
    } else if (word === "iface") {
      const [, name = "", family = "inet", method = "manual"] = words;
      current = undefined;
      if (name === "" || drafts.size > interfacesMax) continue;
      const draft = draftOf(drafts, name);
      draft.priority ??= priority++;
      const suffix = family === "inet6" ? "6" : "";
      draft.families.push(family === "inet6" ? "inet6" : "inet");
      draft.fields.set(`method${suffix}`, method);
      current = { draft, suffix };
    } else if (/^(?:mapping|source|source-directory|no-auto-down|rename)$/.test(word)) {
      current = undefined;
    } else if (current !== undefined) {
      takeOption(current.draft, current.suffix, line.trim());
    }
  }
  return drafts;
}

function draftOf(drafts: Map<string, Draft>, name: string): Draft {
  const known = drafts.get(name);
  if (known !== undefined) return known;
  const fresh = { fields: new Map(), families: [], priority: undefined, isAutomatic: false };
  drafts.set(name, fresh);
  return fresh;
}

function takeOption({ fields }: Draft, suffix: "" | "6", line: string): void {
  if (line.startsWith("#")) {
    const key = `comments${suffix}`;
    const before = fields.get(key);
    fields.set(key, `${typeof before === "string" ? before : ""}${line.slice(1)}\n`);
    return;
  }
  const [, key = "", value = ""] = /^(\S+)\s+(.*)$/.exec(line) ?? [];
  if (/^(?:address|netmask|gateway|broadcast)$/.test(key)) {
    fields.set(`${key}${suffix}`, value);
    return;
  }
  const field = Object.hasOwn(fieldOf, key) ? fieldOf[key] : undefined;
  if (field === undefined) {
    const options = fields.get(`options${suffix}`);
    fields.set(`options${suffix}`, [...(Array.isArray(options) ? options : []), line]);
  } else fields.set(field, fieldValue(field, value));
}

function fieldValue(field: string, value: string): unknown {
  switch (field) {
    case "slaves":
    case "bridge_ports":
      return value
        .split(/\s+/)
        .filter((name) => name !== "none" && name !== "")
        .toSorted()
        .join(" ");
    case "bridge_stp":
      return /^(?:on|yes)$/i.test(value) ? "on" : "off";
    case "bridge_vlan_aware":
      return true;
    case "bond_mode":
      return bondModes[Number(value)] ?? value;
    default:
      return value;
  }
}

function finished(
  name: string,
  { fields, families, priority, isAutomatic }: Draft,
  present: PresentInterface | undefined,
): NetworkInterface {
  const type = typeOf(name, fields, present);
  if (type === "bridge") {
    if (!fields.has("bridge_stp")) fields.set("bridge_stp", "off");
    if (!fields.has("bridge_fd")) fields.set("bridge_fd", "0");
  }
  const [, raw = "", id = ""] = /^(.+)\.(\d{1,4})$/.exec(name) ?? [];
  if (type === "vlan" && raw !== "") {
    fields.set("vlan-raw-device", fields.get("vlan-raw-device") ?? raw);
    fields.set("vlan-id", fields.get("vlan-id") ?? id);
  }
  settleAddress(
    fields,
    "",
    present?.cidrs.find((cidr) => !cidr.includes(":")),
  );
  settleAddress(
    fields,
    "6",
    present?.cidrs.find((cidr) => cidr.includes(":")),
  );
  if (!fields.has("method")) fields.set("method", "manual");
  if (!fields.has("method6")) fields.set("method6", "manual");
  return {
    ...Object.fromEntries(fields),
    iface: name,
    type,
    families: families.length === 0 ? ["inet"] : [...new Set(families)],
    ...(priority === undefined ? {} : { priority }),
    ...(isAutomatic ? { autostart: true } : {}),
    ...(present?.isPhysical === true ? { exists: true } : {}),
    ...(present?.isUp === true ? { active: true } : {}),
  };
}

function typeOf(
  name: string,
  fields: ReadonlyMap<string, unknown>,
  present: PresentInterface | undefined,
): InterfaceType {
  if (fields.has("bridge_ports") || present?.isBridge === true) return "bridge";
  if (fields.has("slaves") || /^bond\d+$/.test(name) || present?.isBond === true) return "bond";
  if (/:\d+$/.test(name)) return "alias";
  if (/\.\d{1,4}$/.test(name) || fields.has("vlan-raw-device")) return "vlan";
  return present?.isPhysical === true || /^(?:eth\d|en|ib|nic\d)/.test(name) ? "eth" : "unknown";
}

/** Address, prefix and both as one, from what the file says, else from what the system has. */
function settleAddress(
  fields: Map<string, unknown>,
  suffix: "" | "6",
  running: string | undefined,
): void {
  const given = fields.get(`address${suffix}`);
  const text = typeof given === "string" ? given : running;
  if (text === undefined) return;
  const [address = "", ownLength] = text.split("/");
  if (isIP(address) !== (suffix === "" ? 4 : 6)) return;
  const mask = fields.get(`netmask${suffix}`);
  const length = prefixLength(ownLength ?? (typeof mask === "string" ? mask : ""));
  fields.set(`address${suffix}`, address);
  if (length === undefined) return;
  fields.set(`netmask${suffix}`, suffix === "" ? String(length) : length);
  fields.set(`cidr${suffix}`, `${address}/${length}`);
}

/** Of "24" or "255.255.255.0"; undefined: neither. */
function prefixLength(mask: string): number | undefined {
  if (/^\d{1,3}$/.test(mask)) return Number(mask);
  if (isIP(mask) !== 4) return undefined;
  const bits = mask
    .split(".")
    .map((byte) => Number(byte).toString(2).padStart(8, "0"))
    .join("");
  return /^1*0*$/.test(bits) ? (bits.indexOf("0") < 0 ? 32 : bits.indexOf("0")) : undefined;
}
