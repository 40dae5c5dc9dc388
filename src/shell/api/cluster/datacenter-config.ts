// datacenter.cfg of the tree: one `key: value` a line, notes as lines that begin with #. Which keys there are and what they may hold is data, of which
// the route's parameters are made (pvecm.md §4.7). What is not known here stays in the file. Pure.
import { isIP } from "node:net";
import { byteString } from "../../../bytes.ts";
import { decodeText, encodeText } from "../../users/text-code.ts";
import {
  booleanOf,
  parseProperties,
  type Properties,
  type PropertyFormat,
} from "./property-string.ts";

export type DatacenterOption =
  | {
      readonly kind: "text";
      readonly max: number;
      readonly pattern?: RegExp;
      readonly words?: string;
    }
  | { readonly kind: "words"; readonly words: readonly string[] }
  | { readonly kind: "number"; readonly min: number }
  | { readonly kind: "boolean" }
  | { readonly kind: "properties"; readonly format: PropertyFormat }
  /** Words between semicolons. */
  | { readonly kind: "tags" };

const keyboards =
  "da de de-ch en-gb en-us es fi fr fr-be fr-ca fr-ch hu is it ja lt mk nl no pl pt pt-br sl sv tr";
const languages =
  "ar ca da de en es eu fa fr hr he it ja ka kr nb nl nn pl pt_BR ru sl sv tr ukr zh_CN zh_TW";
const tag = "[a-zA-Z0-9_][a-zA-Z0-9_+.-]*";
export const tagsPattern = new RegExp(`^${tag}(?:;${tag})*$`);
const color = `${tag}:[0-9a-fA-F]{6}(?::[0-9a-fA-F]{6})?`;
const cidr = /^[0-9a-fA-F.:]+\/\d{1,3}$/;
const rate = { type: "number", min: 0 } as const;
const anyText = { type: "string", charactersMax: 1024 } as const;
const yesNo = { type: "boolean" } as const;
const percent = { type: "number", min: 0, max: 100 } as const;
const wayOfData = {
  type: { type: "string", words: ["secure", "insecure"], isDefault: true, isRequired: true },
  network: { type: "string", pattern: cidr },
} as const;
const onOff = { type: "string", words: ["always", "never"] } as const;
const vmidBound = { type: "integer", min: 100, max: 1_000_000_000 } as const;
const properties = (format: PropertyFormat): DatacenterOption => ({ kind: "properties", format });

export const datacenterOptions: Readonly<Record<string, DatacenterOption>> = {
  bwlimit: properties({
    ...{ default: rate, restore: rate, migration: rate, clone: rate, move: rate },
  }),
  console: { kind: "words", words: ["applet", "vv", "html5", "xtermjs"] },
  "consent-text": { kind: "text", max: 64 * 1024 },
  crs: properties({
    ha: { type: "string", words: ["basic", "static", "dynamic"] },
    "ha-rebalance-on-start": yesNo,
    "ha-auto-rebalance": yesNo,
    "ha-auto-rebalance-threshold": percent,
    "ha-auto-rebalance-method": { type: "string", words: ["bruteforce", "topsis"] },
    "ha-auto-rebalance-hold-duration": rate,
    "ha-auto-rebalance-margin": percent,
  }),
  description: { kind: "text", max: 64 * 1024 },
  email_from: {
    kind: "text",
    max: 254,
    pattern: /^(?:[^\s@]+@[^\s@]+)?$/,
    words: "invalid format - value does not look like a valid email address",
  },
  fencing: { kind: "words", words: ["watchdog", "hardware", "both"] },
  ha: properties({
    shutdown_policy: {
      ...{ type: "string", isRequired: true },
      words: ["freeze", "failover", "conditional", "migrate"],
    },
  }),
  http_proxy: { kind: "text", max: 1024, pattern: /^http:\/\/.*$/ },
  keyboard: { kind: "words", words: keyboards.split(" ") },
  language: { kind: "words", words: languages.split(" ") },
  location: properties({
    name: { type: "string", charactersMax: 128 },
    latitude: { type: "number", min: -90, max: 90, isRequired: true },
    longitude: { type: "number", min: -180, max: 180, isRequired: true },
  }),
  mac_prefix: {
    kind: "text",
    max: 17,
    pattern: /^[a-f0-9][02468ace](?::[a-f0-9]{2}){0,2}(?::[a-f0-9]?)?$/i,
    words: "invalid format - value is not a valid unicast MAC address prefix",
  },
  max_workers: { kind: "number", min: 1 },
  migration: properties(wayOfData),
  migration_unsecure: { kind: "boolean" },
  "next-id": properties({ lower: vmidBound, upper: vmidBound }),
  notify: properties({
    "package-updates": { type: "string", words: ["auto", "always", "never"] },
    ...{ "target-package-updates": anyText, fencing: onOff, "target-fencing": anyText },
    ...{ replication: onOff, "target-replication": anyText },
  }),
  "registered-tags": { kind: "tags" },
  replication: properties(wayOfData),
  "tag-style": properties({
    shape: { type: "string", words: ["full", "circle", "dense", "none"] },
    "color-map": { type: "string", pattern: new RegExp(`^${color}(?:;${color})*$`) },
    ordering: { type: "string", words: ["config", "alphabetical"] },
    "case-sensitive": yesNo,
  }),
  u2f: properties({ appid: anyText, origin: anyText }),
  "user-tag-access": properties({
    "user-allow": { type: "string", words: ["none", "list", "existing", "free"] },
    "user-allow-list": { type: "string", pattern: tagsPattern },
  }),
  webauthn: properties({
    ...{ rp: anyText, origin: anyText, id: anyText, "allow-subdomains": yesNo },
  }),
};

/** Why a value is none of this option, as the refusal of a parameter says it; "": it is one. */
export function optionFault(name: string, option: DatacenterOption, value: string): string {
  switch (option.kind) {
    case "properties": {
      const read = parseProperties(option.format, value);
      if (!read.ok) return `invalid format - ${read.reason}`;
      return propertiesFault(name, read.value);
    }
    case "tags":
      return tagsPattern.test(value) ? "" : "value does not match the regex pattern";
    case "text":
      // Each is one line of the file, but the notes.
      if (name !== "description" && /[\n\r]/.test(value)) return "value may not have several lines";
      return option.pattern === undefined || option.pattern.test(value)
        ? ""
        : (option.words ?? "value does not match the regex pattern");
    case "words":
      return option.words.includes(value)
        ? ""
        : `value '${value.slice(0, 64)}' does not have a value in the enumeration '${option.words.join(", ")}'`;
    case "number":
      if (!/^\d{1,15}$/.test(value))
        return `type check ('integer') failed - got '${value.slice(0, 64)}'`;
      return Number(value) < option.min ? `value must have a minimum value of ${option.min}` : "";
    case "boolean":
      return booleanOf(value) === undefined ? "type check ('boolean') failed" : "";
  }
  return option satisfies never;
}

/** What the parts of a value must be together. */
function propertiesFault(name: string, values: Properties): string {
  const { network, lower = "100", upper = "1000000" } = values;
  if (typeof network === "string" && isIP(network.replace(/\/.*$/, "")) === 0) {
    return "invalid format - format error\nnetwork: value does not look like a valid CIDR network";
  }
  return name === "next-id" && Number(lower) > Number(upper)
    ? `lower (${String(lower)}) <= upper (${String(upper)}) boundary rule broken`
    : "";
}

/** Values as they stand in the file, by key; `description` from its notes. */
export type DatacenterValues = ReadonlyMap<string, string>;

/** `bytes`: the file; none: it is not there. Lines that are none are left out, and so would be lost by a change. */
export function readDatacenter(bytes: Uint8Array): DatacenterValues {
  const text = byteString(bytes);
  const values = new Map<string, string>();
  let notes = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) {
      notes += `${decodeText(line.slice(1))}\n`;
      continue;
    }
    const [, key, value = ""] = /^\s*(\S+?):\s*(.*?)\s*$/.exec(line) ?? [];
    if (key !== undefined) values.set(key, new TextDecoder().decode(Buffer.from(value, "latin1")));
  }
  if (notes !== "") values.set("description", notes);
  return values;
}

export function writeDatacenter(values: DatacenterValues): Uint8Array {
  const notes = (values.get("description") ?? "")
    .replace(/\n+$/, "")
    .split("\n")
    .map((line) => `#${encodeText(line)}\n`)
    .join("");
  const lines = [...values]
    .filter(([key]) => key !== "description")
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}: ${value}\n`);
  const head = values.has("description") ? notes : "";
  return new TextEncoder().encode(`${head}\n${lines.join("")}`);
}

/** As the API answers them: parts of a value by their keys, tags as lists. A value that is none of its option is left out. */
export function shownDatacenter(values: DatacenterValues): Readonly<Record<string, unknown>> {
  const shown = [...values].flatMap(([key, value]): [string, unknown][] => {
    const option = Object.hasOwn(datacenterOptions, key) ? datacenterOptions[key] : undefined;
    if (option === undefined || optionFault(key, option, value) !== "") return [];
    return [[key, shownValue(key, option, value)]];
  });
  return { mac_prefix: "BC:24:11", ...Object.fromEntries(shown) };
}

function shownValue(key: string, option: DatacenterOption, value: string): unknown {
  switch (option.kind) {
    case "properties": {
      const read = parseProperties(option.format, value);
      if (!read.ok) return undefined;
      const list = read.value["user-allow-list"];
      return typeof list === "string"
        ? { ...read.value, "user-allow-list": list.split(";") }
        : read.value;
    }
    case "tags":
      return value.split(";");
    case "number":
      return Number(value);
    case "boolean":
      return booleanOf(value);
    case "words":
      // The applet is gone since long.
      return key === "console" && value === "applet" ? "html5" : value;
    case "text":
      return value;
  }
  return option satisfies never;
}
