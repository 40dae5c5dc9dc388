// The quorum device in corosync.conf: read, put in, taken out, as `pvecm` writes it (pvecm.md §2.1, §2.3), except that comments, order and
// unknown keys of a file written by hand stay. Pure: texts in, texts out. It must never give a text that pmxcfs reads another
// version from than it says.
import { type Result, success, failure } from "../../result.ts";
import { type Conf, type ConfItem, type ConfSection, entryAt, sectionsOf } from "../../conf.ts";
import {
  type ConfEdit,
  drop,
  entry,
  finished,
  isComment,
  parsed,
  section,
  versionOf,
} from "./conf-text.ts";

const portDefault = 5403;

/** What `quorum.device` says. */
export interface DeviceSection {
  readonly host: string;
  readonly port: number;
  readonly algorithm: "ffsplit" | "lms";
  readonly tls: "off" | "on" | "required";
  /** Undefined: left to votequorum, which gives the device one vote less than there are nodes. */
  readonly votes: number | undefined;
}

/** What setting up a device needs to know. */
export interface ConfFacts {
  readonly clusterName: string;
  readonly version: number;
  readonly nodes: readonly { readonly name: string; readonly votes: number }[];
  /** Undefined: no device is configured. */
  readonly device: { readonly model: string; readonly host: string } | undefined;
  /** Settings that exclude a device, each with what to do. */
  readonly obstacles: readonly string[];
}

/** `text` holds one character a byte. The reason names the line. */
export function readConfFacts(text: string): Result<ConfFacts> {
  const conf = parsed(text);
  if (!conf.ok) return conf;
  const version = versionOf(conf.value, text);
  if (!version.ok) return version;
  const device = sectionsOf(conf.value, "quorum").flatMap((each) => sectionsOf(each, "device"));
  const valueAt = (...path: string[]): string => entryAt(conf.value, path)?.value ?? "";
  return success({
    clusterName: valueAt("totem", "cluster_name"),
    version: version.value,
    nodes: nodesOf(conf.value),
    device:
      device.length === 0
        ? undefined
        : {
            model: valueAt("quorum", "device", "model"),
            host: valueAt("quorum", "device", "net", "host"),
          },
    obstacles: obstaclesOf(conf.value),
  });
}

/** Puts a device into a configuration without one; the version is one more. */
export function withDevice(text: string, device: DeviceSection): Result<ConfEdit> {
  const conf = parsed(text);
  if (!conf.ok) return conf;
  const quorums = sectionsOf(conf.value, "quorum");
  if (quorums.some((each) => sectionsOf(each, "device").length > 0)) {
    return failure("a quorum device is configured already");
  }
  const quorum = quorums.findLast((each) => entryAt(each, ["provider"]) !== undefined);
  if (quorum === undefined) {
    return failure(
      "corosync.conf has no quorum section with a provider: this cluster does not count votes",
    );
  }
  const notes: string[] = [];
  for (const each of quorums) {
    const isOn = entryAt(each, ["two_node"])?.value === "1";
    // Both together are a contradiction that corosync resolves by start order (pvecm.md §2.3).
    drop(each, (item) => item.kind === "entry" && item.key === "two_node");
    if (isOn) {
      notes.push(
        "quorum.two_node is removed: with a device the vote server decides between two nodes",
      );
    }
  }
  insert(quorum, deviceSection(device));
  return finished(conf.value, text, notes);
}

/** Takes the device out; the version is one more. */
export function withoutDevice(text: string): Result<ConfEdit> {
  const conf = parsed(text);
  if (!conf.ok) return conf;
  const quorums = sectionsOf(conf.value, "quorum");
  if (!quorums.some((each) => sectionsOf(each, "device").length > 0)) {
    return failure("no quorum device is configured");
  }
  for (const quorum of quorums) {
    drop(quorum, (item) => item.kind === "section" && item.name === "device");
  }
  return finished(conf.value, text, []);
}

/** The text of before under a version after `text`'s: how a change is taken back. */
export function withVersionAfter(before: string, text: string): Result<ConfEdit> {
  const [old, current] = [parsed(before), parsed(text)];
  if (!old.ok) return old;
  if (!current.ok) return current;
  return finished(old.value, text, []);
}

/** Keys and sections in alphabetical order, as the original writer has them. */
function deviceSection(device: DeviceSection): ConfSection {
  const net = section("net", [
    entry("algorithm", device.algorithm),
    entry("host", device.host),
    ...(device.port === portDefault ? [] : [entry("port", String(device.port))]),
    entry("tls", device.tls),
  ]);
  return section("device", [
    entry("model", "net"),
    net,
    ...(device.votes === undefined ? [] : [entry("votes", String(device.votes))]),
  ]);
}

/** Before the first item of a later name, and before the comment that stands above that one; else behind the last. */
function insert(into: ConfSection, added: ConfSection): void {
  const { items } = into;
  const nameOf = (item: ConfItem): string =>
    item.kind === "entry" ? item.key : item.kind === "section" ? item.name : "";
  let place = items.findIndex((item) => nameOf(item) > added.name);
  if (place < 0) place = items.findLastIndex((item) => item.kind !== "remark") + 1;
  while (isComment(items[place - 1])) place -= 1;
  items.splice(place, 0, added);
}

function nodesOf(conf: Conf): ConfFacts["nodes"] {
  return sectionsOf(conf, "nodelist").flatMap((list) =>
    sectionsOf(list, "node").map((node) => {
      const votes = entryAt(node, ["quorum_votes"])?.value ?? "1";
      return {
        name:
          entryAt(node, ["name"])?.value ??
          entryAt(node, ["ring0_addr"])?.value ??
          `node ${entryAt(node, ["nodeid"])?.value ?? "?"}`,
        votes: /^\d{1,9}$/.test(votes) ? Number(votes) : 1,
      };
    }),
  );
}

/** What votequorum switches a device off for (services.md §4.9). */
function obstaclesOf(conf: Conf): readonly string[] {
  const quorum = (key: string): string | undefined => entryAt(conf, ["quorum", key])?.value;
  const found: string[] = [];
  for (const key of ["last_man_standing", "auto_tie_breaker", "allow_downscale"]) {
    if (quorum(key) === "1") {
      found.push(`quorum.${key} excludes a quorum device: remove it from corosync.conf`);
    }
  }
  if (quorum("expected_votes") !== undefined) {
    found.push(
      "quorum.expected_votes is set: with a device it must follow from the nodelist; remove it from corosync.conf",
    );
  }
  if (quorum("provider") !== "corosync_votequorum") {
    found.push("quorum.provider is not corosync_votequorum: this cluster does not count votes");
  }
  return found;
}
