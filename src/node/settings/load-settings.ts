// Reads corosync.conf and the key from disk and resolves host names: the host's half of read-settings.ts.
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { entryAt, sectionsOf, parseConf, type Conf, type ConfSection } from "../../conf.ts";
import { fileReasonOf } from "../../result.ts";
import { ipVersionOf, readSettings, type SettingsResult } from "./read-settings.ts";
import { cryptoWarnings, readKey } from "./key-file.ts";
import { compressionProblem } from "../compression/inflate.ts";
import { advancedOfDefaults } from "../device/advanced.ts";
import { factsOf, type Machine, thisMachine } from "./machine.ts";
import { interfaceSections } from "./read-nodes.ts";
import { resolveNames } from "./resolve.ts";
import type { NodeSettings } from "./settings.ts";

const fileBytesMax = 1024 * 1024;

export interface ConfigPaths {
  /** corosync.conf */
  readonly conf: string;
  /** Default key file; totem.keyfile overrides it. */
  readonly authkey: string;
  /** Where a service unit of corosync-qdevice has its options; it need not exist. */
  readonly deviceDefaults?: string;
}

/**
 * The settings of this node. `name`: our node name when it is not the host's (many nodes on one machine). `running`: they are for a
 * node that runs already with these, which faults that only stop a start do not stop.
 * Every failure is one sentence with the file and what to do.
 */
export async function loadSettings(
  paths: ConfigPaths,
  name?: string,
  running?: NodeSettings,
  machine: Machine = thisMachine,
): Promise<SettingsResult> {
  const text = await readText(paths.conf);
  return text.ok ? settingsOfText(text.value, paths, name, running, machine) : text;
}

/** The same of a text (bytes as characters) that is not in force yet; `paths.conf` names it in the sentences. */
export async function settingsOfText(
  text: string,
  paths: ConfigPaths,
  name?: string,
  running?: NodeSettings,
  machine: Machine = thisMachine,
): Promise<SettingsResult> {
  const conf = parseConf(text);
  if (!conf.ok) return { ok: false, reason: `${paths.conf}:${conf.line}: ${conf.reason}` };
  const key = readKey(conf.value, paths.conf, paths.authkey);
  const isStart = running === undefined;
  const version = running?.ipVersion ?? ipVersionOf(conf.value);
  const read = readSettings({
    conf: conf.value,
    file: paths.conf,
    local:
      name === undefined
        ? await factsOf(machine, conf.value, isStart)
        : { names: [name], addresses: [] },
    resolved: await resolveNames(linkNames(conf.value, isStart), version, machine.ask),
    key,
    running,
    daemon: machine,
  });
  if (!read.ok) return read;
  const { model } = read.value.compression;
  const problem = compressionProblem(model);
  if (problem !== undefined) {
    const line = entryAt(conf.value, ["totem", "knet_compression_model"])?.line ?? 0;
    const reason = `${paths.conf}:${line}: knet_compression_model is ${model}, and what the other nodes compress cannot be opened on this one: ${problem}. Install it, or choose another model on all nodes`;
    return { ok: false, reason };
  }
  const { crypto, links } = read.value;
  const warnings = await cryptoWarnings(crypto, key.ok ? key.path : undefined, links[0]?.port ?? 0);
  return withDeviceDefaults({ ...read.value, warnings }, paths.deviceDefaults);
}

/** Adds what this machine sets for its quorum device's client alone (qnetd.md §3.8). */
async function withDeviceDefaults(
  settings: NodeSettings,
  path: string | undefined,
): Promise<SettingsResult> {
  const { quorum } = settings;
  if (path === undefined || quorum.device === undefined || !existsSync(path)) {
    return { ok: true, value: settings };
  }
  const text = await readText(path);
  if (!text.ok) return text;
  const advanced = advancedOfDefaults(text.value);
  if (advanced === undefined) return { ok: true, value: settings };
  const device = { ...quorum.device, advanced };
  return { ok: true, value: { ...settings, quorum: { ...quorum, device } } };
}

async function readText(
  path: string,
): Promise<
  { readonly ok: true; readonly value: string } | { readonly ok: false; readonly reason: string }
> {
  try {
    const bytes = await readFile(path);
    if (bytes.length > fileBytesMax)
      return { ok: false, reason: `${path} is larger than 1 MiB: not a corosync.conf` };
    return { ok: true, value: bytes.toString("latin1") };
  } catch (error) {
    return {
      ok: false,
      reason: `Can't read ${path}: ${fileReasonOf(error)}. ${adviceOn(error)}`,
    };
  }
}

/** Every address of the nodelist, in file order, and at a start the multicast addresses, which corosync wants to resolve. */
function linkNames(conf: Conf, isStart: boolean): string[] {
  const texts = (sections: readonly ConfSection[], key: RegExp): string[] =>
    sections.flatMap(({ items }) =>
      items.flatMap((item) => {
        if (item.kind === "section") return texts([item], key);
        return item.kind === "entry" && key.test(item.key) ? [item.value] : [];
      }),
    );
  const nodes = texts(sectionsOf(conf, "nodelist"), /^ring\d+_addr$/);
  return isStart ? [...nodes, ...texts(interfaceSections(conf), /^mcastaddr$/)] : nodes;
}

function adviceOn(error: unknown): string {
  switch (error instanceof Error && "code" in error ? error.code : undefined) {
    case "ENOENT":
      return 'Copy it from another node of the cluster; for a new cluster write one, as the small one under "Run a node" in README.md; --root names the directory that holds etc/corosync';
    case "EACCES":
    case "EPERM":
      return "Start the node as root, or as a user who may read it";
    default:
      return "It has to be a file that can be read";
  }
}
