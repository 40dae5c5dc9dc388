// Reads what corosync's own tools print (services.md §7). Pure: text in, values or `undefined` out, so that the golden
// outputs test them without a daemon.

export interface MemberView {
  readonly nodeid: number;
  readonly votes: number;
  readonly name: string;
}

/** How one node sees the cluster, whichever program it runs. */
export interface View {
  readonly nodeid: number;
  /** As the tools print it: representative, dot, sequence in hex. */
  readonly ring: string;
  readonly quorate: boolean;
  /** Ascending by nodeid; a quorum device is not a member. */
  readonly members: readonly MemberView[];
}

export interface QuorumStatus extends View {
  readonly provider: string;
  readonly expectedVotes: number;
  readonly totalVotes: number;
  readonly quorum: number;
  readonly flags: readonly string[];
}

/** `corosync-quorumtool -s`; undefined when the text is not a whole answer. */
export function parseQuorumStatus(text: string): QuorumStatus | undefined {
  const value = (label: string): string | undefined =>
    text.match(new RegExp(`^${label}:[ ]*(.*)$`, "m"))?.[1]?.trimEnd();
  const number = (label: string): number | undefined => {
    const digits = value(label)?.match(/^\d+/)?.[0];
    return digits === undefined ? undefined : Number(digits);
  };
  const provider = value("Quorum provider");
  const nodeid = number("Node ID");
  const ring = value("Ring ID");
  const quorate = value("Quorate");
  const expectedVotes = number("Expected votes");
  const totalVotes = number("Total votes");
  const quorum = number("Quorum");
  const members = parseMembership(text);
  if (
    provider === undefined ||
    nodeid === undefined ||
    ring === undefined ||
    !/^\d+\.[0-9a-f]+$/.test(ring) ||
    (quorate !== "Yes" && quorate !== "No") ||
    expectedVotes === undefined ||
    totalVotes === undefined ||
    quorum === undefined ||
    members === undefined
  ) {
    return undefined;
  }
  const flags = (value("Flags") ?? "").split(" ").filter((flag) => flag !== "");
  return {
    provider,
    nodeid,
    ring,
    quorate: quorate === "Yes",
    members,
    expectedVotes,
    totalVotes,
    quorum,
    flags,
  };
}

/** The membership table of `corosync-quorumtool -l` or `-s`, with or without its Qdevice column. */
export function parseMembership(text: string): readonly MemberView[] | undefined {
  const lines = text.split("\n");
  const header = lines.findIndex((line) => /^\s+Nodeid\s+(Votes\s+)?(Qdevice\s+)?Name/.test(line));
  if (header < 0) return undefined;
  const hasDevice = /Qdevice/.test(lines[header] ?? "");
  const row = hasDevice
    ? /^\s+(\d+)\s+(\d+)\s+[A-Z,]+\s+(\S+)(?: \(local\))?$/
    : /^\s+(\d+)\s+(\d+)\s+(\S+)(?: \(local\))?$/;
  const members: MemberView[] = [];
  for (const line of lines.slice(header + 1)) {
    if (line === "") break;
    const match = row.exec(line);
    if (match === null) {
      if (/^\s+0\s/.test(line)) continue;
      return undefined;
    }
    const nodeid = Number(match[1]);
    // The last row of a device: nodeid 0.
    if (nodeid !== 0) members.push({ nodeid, votes: Number(match[2]), name: match[3] ?? "" });
  }
  return members;
}

export interface LinkStatus {
  readonly link: number;
  readonly address: string;
  /** State by nodeid: "localhost", "connected", "disconnected", … */
  readonly nodes: ReadonlyMap<number, string>;
}

/** `corosync-cfgtool -s`. */
export function parseLinkStatus(
  text: string,
):
  | { readonly nodeid: number; readonly transport: string; readonly links: LinkStatus[] }
  | undefined {
  const head = /^Local node ID (\d+), transport (\S+)/m.exec(text);
  if (head === null) return undefined;
  const links: LinkStatus[] = [];
  for (const block of text.split(/^LINK ID /m).slice(1)) {
    const link = /^(\d+) /.exec(block)?.[1];
    const address = /addr\s+= (\S+)/.exec(block)?.[1];
    if (link === undefined || address === undefined) return undefined;
    const nodes = new Map<number, string>();
    for (const row of block.matchAll(/nodeid:\s+(\d+):\s+(\S.*)$/gm)) {
      nodes.set(Number(row[1]), row[2] ?? "");
    }
    links.push({ link: Number(link), address, nodes });
  }
  return { nodeid: Number(head[1]), transport: head[2] ?? "", links };
}

export interface ReachableNode {
  readonly nodeid: number;
  readonly links: readonly {
    readonly link: number;
    readonly source: string;
    readonly target: string;
    readonly connected: boolean;
    readonly mtu: number;
  }[];
}

/** `corosync-cfgtool -n`: only the nodes it can reach. */
export function parseReachable(text: string): readonly ReachableNode[] {
  return text
    .split(/^nodeid: /m)
    .slice(1)
    .map((block) => ({
      nodeid: Number(/^\d+/.exec(block)?.[0] ?? "0"),
      links: [
        ...block.matchAll(/LINK: (\d+) \S+ \((\S+?)->(\S+?)\) enabled( connected)? mtu: (\d+)/g),
      ].map((link) => ({
        link: Number(link[1]),
        source: link[2] ?? "",
        target: link[3] ?? "",
        connected: link[4] !== undefined,
        mtu: Number(link[5]),
      })),
    }));
}

/** `corosync-cmapctl`: every key with its type and text. */
export function parseMap(
  text: string,
): ReadonlyMap<string, { readonly type: string; readonly value: string }> {
  const map = new Map<string, { readonly type: string; readonly value: string }>();
  for (const line of text.split("\n")) {
    const match = /^(\S+) \((\w+)\)(?: = (.*))?$/.exec(line);
    if (match !== null) map.set(match[1] ?? "", { type: match[2] ?? "", value: match[3] ?? "" });
  }
  return map;
}

/** `corosync-cpgtool`: the members of each group, by its printed name. */
export function parseGroups(
  text: string,
): ReadonlyMap<string, readonly { readonly pid: number; readonly nodeid: number }[]> {
  const groups = new Map<string, { pid: number; nodeid: number }[]>();
  let members: { pid: number; nodeid: number }[] | undefined;
  for (const line of text.split("\n").slice(1)) {
    const row = /^\t\s*(\d+)\t\s*(\d+) \(/.exec(line);
    if (row !== null) members?.push({ pid: Number(row[1]), nodeid: Number(row[2]) });
    else if (line !== "") groups.set(line, (members = []));
  }
  return groups;
}
