// What the routes about the cluster know: the tree's `.members` (pmxcfs.md §3.2), its corosync.conf, and the certificate of each node. Read for each
// request, so that a standalone node that becomes a member answers at once as one.
import { createHash, X509Certificate } from "node:crypto";
import * as v from "valibot";
import { byteString } from "../../bytes.ts";
import { type ConfSection, parseConf } from "../../conf.ts";
import type { Files } from "../../fs/tree/files.ts";
import { corosyncConfPath } from "../../fs/tree/rules.ts";
import { ApiError } from "./route.ts";

const membersSchema = v.object({
  nodename: v.string(),
  version: v.number(),
  cluster: v.optional(
    v.object({ name: v.string(), version: v.number(), nodes: v.number(), quorate: v.number() }),
  ),
  nodelist: v.optional(
    v.record(
      v.string(),
      v.object({ id: v.number(), online: v.number(), ip: v.optional(v.string()) }),
    ),
  ),
});

/** `.members`; `cluster` and `nodelist` are absent on a standalone node. */
export type Members = v.InferOutput<typeof membersSchema>;

export function membersOf(files: Files): Members {
  const read = files.read(".members");
  if (!read.ok) throw new ApiError(500, `the members of the cluster are not known: ${read.reason}`);
  return v.parse(membersSchema, JSON.parse(new TextDecoder().decode(read.value)));
}

/** A section's entries as the original's API has them: all values are strings. */
export type ConfValues = Readonly<Record<string, string>>;

export interface ClusterConf {
  /** SHA-1 of the file, hex. */
  readonly digest: string;
  /** In the order of the file; `name` is always there. */
  readonly nodes: readonly ConfValues[];
  /** `interface` by link number. */
  readonly totem: Readonly<Record<string, string | Readonly<Record<string, ConfValues>>>>;
}

/** The corosync.conf of the tree; undefined where there is none, as on a standalone node. */
export function clusterConfOf(files: Files): ClusterConf | undefined {
  const read = files.read(corosyncConfPath);
  if (!read.ok) return undefined;
  const parsed = parseConf(byteString(read.value));
  if (!parsed.ok) {
    throw new ApiError(
      500,
      `corosync.conf of the tree cannot be read: line ${parsed.line}: ${parsed.reason}`,
    );
  }
  const sections = (of: ConfSection, name: string) =>
    of.items.filter((item): item is ConfSection => item.kind === "section" && item.name === name);
  const totem = sections(parsed.value, "totem");
  const interfaces = totem.flatMap((section) => sections(section, "interface")).map(valuesOf);
  return {
    digest: createHash("sha1").update(read.value).digest("hex"),
    nodes: sections(parsed.value, "nodelist")
      .flatMap((list) => sections(list, "node"))
      .map(valuesOf)
      .map((node) => ({ ...node, name: node["name"] ?? node["ring0_addr"] ?? "" })),
    totem: {
      ...Object.assign({}, ...totem.map(valuesOf)),
      interface: Object.fromEntries(
        interfaces.map((values) => [values["linknumber"] ?? "0", values]),
      ),
    },
  };
}

function valuesOf(section: ConfSection): ConfValues {
  return Object.fromEntries(
    section.items.flatMap((item) => (item.kind === "entry" ? [[item.key, item.value]] : [])),
  );
}

/** The fingerprint of the certificate that a node's API shows: upper case, colons (§3.2); undefined while it has none. */
export function nodeFingerprint(files: Files, node: string): string | undefined {
  for (const name of ["pveproxy-ssl.pem", "pve-ssl.pem"]) {
    const read = files.read(`nodes/${node}/${name}`);
    if (!read.ok) continue;
    try {
      return new X509Certificate(read.value).fingerprint256;
    } catch {
      return undefined; // Half of a file is no certificate: its node does not show it either.
    }
  }
  return undefined;
}
