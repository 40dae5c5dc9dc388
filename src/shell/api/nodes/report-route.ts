// GET /nodes/{node}/report: what an operator sends to whoever helps, as one text (pvecm.md §4.2). Parts that are not there say so; all programs
// together end within the time of a call that another node has sent on.
import { join } from "node:path";
import * as v from "valibot";
import type { Files } from "../../../fs/tree/files.ts";
import { outputOf } from "../../machine/programs.ts";
import { readTextFile } from "../../machine/text-file.ts";
import { type Route, route } from "../route.ts";
import { mayAudit, node, type NodeSource } from "./node-source.ts";

/** Of all programs together, and of one. */
const programsMsMax = 20_000;
const programMsMax = 5000;
const partBytesMax = 256 * 1024;

type Part =
  | { readonly kind: "program"; readonly command: readonly string[] }
  /** Of the machine, below its root. */
  | { readonly kind: "file"; readonly path: string }
  /** Of the tree, none of which is secret. */
  | { readonly kind: "tree"; readonly path: string }
  | { readonly kind: "status" };

const program = (...command: readonly string[]): Part => ({ kind: "program", command });
const file = (path: string): Part => ({ kind: "file", path });
const tree = (path: string): Part => ({ kind: "tree", path });

const sections: readonly { readonly title: string; readonly parts: readonly Part[] }[] = [
  {
    title: "general system info",
    parts: [
      ...[program("hostname"), program("date", "-R"), program("uname", "-a")],
      ...[file("etc/os-release"), file("etc/hosts"), program("lscpu")],
    ],
  },
  {
    title: "overall system load info",
    parts: [program("uptime"), program("free", "-h"), program("ps", "-eo", "pid,pcpu,rss,comm")],
  },
  {
    title: "info about storage",
    parts: [tree("storage.cfg"), file("etc/fstab"), program("df", "--human", "-T")],
  },
  { title: "info about virtual guests", parts: [tree(".vmlist")] },
  {
    title: "info about network",
    parts: [
      ...[program("ip", "-details", "-statistics", "address"), program("ip", "-4", "route")],
      ...[program("ip", "-6", "route"), file("etc/network/interfaces"), file("etc/resolv.conf")],
    ],
  },
  {
    title: "info about cluster",
    parts: [
      ...[{ kind: "status" } as const, tree(".members"), tree(".version")],
      ...[tree("corosync.conf"), tree("datacenter.cfg")],
    ],
  },
  { title: "info about jobs", parts: [tree("jobs.cfg"), tree("replication.cfg")] },
  { title: "info about block devices", parts: [program("lsblk", "--ascii")] },
];

export function reportRoute(source: NodeSource): Route {
  return route({
    method: "GET",
    path: "/nodes/{node}/report",
    description: "Facts about the machine of a node and its cluster, as one text.",
    permission: mayAudit,
    parameters: node,
    returns: v.string(),
    handle: () => report(source),
  });
}

async function report(source: NodeSource): Promise<string> {
  const endsAt = performance.now() + programsMsMax;
  const texts: string[] = [];
  for (const { title, parts } of sections) {
    texts.push(`\n==== ${title} ====\n`);
    for (const part of parts)
      texts.push(`\n# ${nameOf(part)}\n${await textOf(part, source, endsAt)}`);
  }
  return withoutSecrets(texts.join(""));
}

/** Passwords of mounts and proxies; keys are not among the parts. */
function withoutSecrets(text: string): string {
  return text
    .replace(/((?:pass|passwd|password|secret|token)=)[^\s,;]+/gi, "$1(masked)")
    .replace(/(:\/\/[^\s:/@]*:)[^\s@]+@/g, "$1(masked)@");
}

function nameOf(part: Part): string {
  switch (part.kind) {
    case "program":
      return part.command.join(" ");
    case "file":
      return `cat /${part.path}`;
    case "tree":
      return `cat /etc/pve/${part.path}`;
    case "status":
      return "pvecm status";
  }
  return part satisfies never;
}

async function textOf(part: Part, source: NodeSource, endsAt: number): Promise<string> {
  switch (part.kind) {
    case "program":
      return programText(part.command, source, endsAt);
    case "file":
      return ended((await readTextFile(join(source.places.root, part.path))) ?? "(not there)");
    case "tree":
      return ended(treeText(source.files, part.path));
    case "status":
      return ended(await source.statusText());
  }
  return part satisfies never;
}

async function programText(
  command: readonly string[],
  { run }: NodeSource,
  endsAt: number,
): Promise<string> {
  const waitMs = Math.min(programMsMax, endsAt - performance.now());
  if (waitMs <= 0) return "(left out: the programs before took too long)\n";
  const { text, kind, words } = await outputOf(run, command, { waitMs, bytesMax: partBytesMax });
  const notes = {
    exited: words,
    absent: words,
    enough: `(cut at ${partBytesMax} bytes)`,
    late: `(ended after ${Math.round(waitMs)} ms)`,
  };
  return ended(text) + ended(notes[kind]);
}

function treeText(files: Files, path: string): string {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : "(not there)";
}

/** With an end of line, unless it is empty. */
function ended(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
