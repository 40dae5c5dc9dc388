// GET and PUT /cluster/options: datacenter.cfg (pvecm.md §4.2, §4.7).
import * as v from "valibot";
import type { Files } from "../../../fs/tree/files.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, type Caller, privileged, type Route, route } from "../route.ts";
import { withTreeLock } from "../tree-file.ts";
import {
  type DatacenterOption,
  datacenterOptions,
  type DatacenterValues,
  optionFault,
  readDatacenter,
  shownDatacenter,
  writeDatacenter,
} from "./datacenter-config.ts";
import { guestsOf } from "./guests.ts";

const path = "datacenter.cfg";
/** The original's tools take the same. */
const lock = "file-datacenter_cfg";
/** What everybody sees. */
const publicKeys = ["console", "tag-style"];

const text = v.optional(v.string());
const parts = v.optional(
  v.record(v.string(), v.union([v.string(), v.boolean(), v.array(v.string())])),
);
/** By the kinds of `datacenterOptions`. */
const shownSchemas = {
  ...{ text, words: text, number: v.optional(v.number()), boolean: v.optional(v.boolean()) },
  ...{ properties: parts, tags: v.optional(v.array(v.string())) },
};

/** Of the tree; {} where there is none. */
export function datacenterOf(files: Files): DatacenterValues {
  const read = files.read(path);
  return readDatacenter(read.ok ? read.value : new Uint8Array(0));
}

export function optionsRoutes(files: Files): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/cluster/options",
      description: "The options of the data centre; without Sys.Audit on / only a few of them.",
      permission: anyUser,
      parameters: {},
      returns: v.looseObject({
        ...Object.fromEntries(
          Object.entries(datacenterOptions).map(([key, { kind }]) => [key, shownSchemas[kind]]),
        ),
        "allowed-tags": v.array(v.string()),
      }),
      handle: ({ caller }) => {
        const values = datacenterOf(files);
        const shown = shownDatacenter(values);
        const isAll = caller.may("/", "Sys.Audit");
        const seen = Object.entries(shown).filter(([key]) => isAll || publicKeys.includes(key));
        const tags = allowedTags(files, shown, caller);
        return { ...Object.fromEntries(seen), "allowed-tags": tags };
      },
    }),
    route({
      method: "PUT",
      path: "/cluster/options",
      description: "Sets options of the data centre, and deletes those that delete names.",
      permission: privileged("/", "Sys.Modify"),
      needsQuorum: true,
      parameters: {
        ...Object.fromEntries(
          Object.entries(datacenterOptions).map(([key, option]) => [
            key,
            parameter.optional(optionParameter(key, option)),
          ]),
        ),
        delete: parameter.optional(
          parameter.formatted(
            4096,
            /^[a-z][a-z0-9_-]+(?:[,; ]+[a-z][a-z0-9_-]+)*$/i,
            "invalid format - value does not look like a list of option names",
          ),
        ),
      },
      returns: v.null(),
      handle: async ({ parameters }) => {
        await change(files, parameters);
        return null;
      },
    }),
  ];
}

/** Text of its form; what is a number or a boolean is written as it came. */
function optionParameter(key: string, option: DatacenterOption) {
  const max = option.kind === "text" ? option.max : 4096;
  return v.pipe(
    v.union(
      [
        v.string(),
        v.pipe(v.number(), v.transform(String)),
        v.pipe(
          v.boolean(),
          v.transform((value) => (value ? "1" : "0")),
        ),
      ],
      "type check ('string') failed",
    ),
    v.string(),
    v.maxLength(max, `value may only be ${max} characters long`),
    v.check((value) => !value.includes("\0"), "value may not contain NUL"),
    v.check(
      (value) => optionFault(key, option, value) === "",
      ({ input }) => optionFault(key, option, input),
    ),
  );
}

async function change(files: Files, given: Readonly<Record<string, unknown>>): Promise<void> {
  const locked = await withTreeLock(files, lock, async (held) => {
    const values = new Map(datacenterOf(held));
    for (const [key, value] of Object.entries(given)) {
      if (typeof value === "string" && Object.hasOwn(datacenterOptions, key))
        values.set(key, value);
    }
    const deleted = typeof given["delete"] === "string" ? given["delete"].split(/[,; ]+/) : [];
    for (const key of deleted) values.delete(key);
    settle(values);
    const written = await held.replace(path, writeDatacenter(values));
    if (!written.ok) throw new ApiError(500, written.reason);
  });
  if (!locked.ok) throw new ApiError(500, locked.reason);
}

/** What was renamed, and what is so anyway. */
function settle(values: Map<string, string>): void {
  const unsecure = values.get("migration_unsecure");
  if (unsecure !== undefined && !values.has("migration")) {
    values.set("migration", /^(?:1|on|yes|true)$/i.test(unsecure) ? "insecure" : "secure");
    values.delete("migration_unsecure");
  }
  if (values.get("console") === "applet") values.set("console", "html5");
  if (values.get("mac_prefix")?.toUpperCase() === "BC:24:11") values.delete("mac_prefix");
}

/** The tags that a caller may set, sorted. */
function allowedTags(
  files: Files,
  shown: Readonly<Record<string, unknown>>,
  caller: Caller,
): readonly string[] {
  const access = shown["user-tag-access"];
  const rule = v.safeParse(
    v.object({
      "user-allow": v.optional(v.string(), "free"),
      "user-allow-list": v.optional(v.array(v.string()), []),
    }),
    access ?? {},
  );
  if (!rule.success) return [];
  const { "user-allow": allow, "user-allow-list": list } = rule.output;
  const registered = Array.isArray(shown["registered-tags"]) ? shown["registered-tags"] : [];
  const isPrivileged = caller.may("/", "Sys.Modify");
  const tags = new Set<string>();
  if (isPrivileged || allow !== "none") for (const tag of list) tags.add(tag);
  if (isPrivileged || allow === "free" || allow === "existing") {
    for (const { vmid, tags: own } of guestsOf(files)) {
      if (!isPrivileged && !caller.may(`/vms/${vmid}`, "VM.Audit")) continue;
      for (const tag of own) tags.add(tag);
    }
  }
  for (const tag of registered) {
    if (typeof tag !== "string") continue;
    if (isPrivileged) tags.add(tag);
    else tags.delete(tag);
  }
  return [...tags].toSorted();
}
