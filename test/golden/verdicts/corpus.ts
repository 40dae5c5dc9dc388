// Files of corosync.conf that differ from a good one in one thing each, and the machines on which they are checked. What corosync
// makes of them is in verdicts.tsv, recorded by test/interop/verdicts.ts.

import {
  device,
  interfaceLines,
  loggingLines,
  moreLines,
  quorumLines,
  totemLines,
} from "./lines.ts";

/** What a verdict depends on beside the file. */
export interface Machine {
  readonly host: string;
  /** Beside 127.0.0.1 and ::1. */
  readonly addresses: readonly string[];
  /** Lines of /etc/hosts after "127.0.0.1 localhost"; nothing else resolves. */
  readonly hosts: readonly string[];
}

export interface Case {
  readonly name: string;
  readonly text: string;
  readonly machine: Machine;
}

export const usual: Machine = {
  host: "n1",
  addresses: ["10.77.0.1", "10.78.0.1", "fd77::1"],
  hosts: [
    "10.77.0.1 n1.lab n1",
    "10.77.0.2 n2.lab n2",
    "10.77.0.3 n3.both",
    "fd77::3 n3.both",
    "fd77::2 n2.six",
    "fd77::1 n1.six",
  ],
};

/** The machine of the files in config-errors. */
const fourth: Machine = { host: "h4", addresses: ["10.96.0.4"], hosts: [] };

interface Parts {
  readonly totem: readonly string[];
  /** Sections of totem, each as its lines. */
  readonly interfaces: readonly (readonly string[])[];
  readonly logging: readonly string[];
  readonly quorum: readonly string[];
  readonly nodes: readonly (readonly string[])[];
  /** Whole lines after all sections. */
  readonly more: readonly string[];
}

const node = (nodeid: number, ...more: string[]): string[] => [
  `name: n${nodeid}`,
  `nodeid: ${nodeid}`,
  `ring0_addr: 10.77.0.${nodeid}`,
  ...more,
];

const good: Parts = {
  totem: ["version: 2", "cluster_name: verdicts", "config_version: 1", "transport: knet"],
  interfaces: [],
  logging: ["to_stderr: yes", "to_syslog: no"],
  quorum: ["provider: corosync_votequorum"],
  nodes: [node(1), node(2)],
  more: ["system {", "sched_rr: no", "}"],
};

function text(change: Partial<Parts> = {}): string {
  const { totem, interfaces, logging, quorum, nodes, more } = { ...good, ...change };
  const lines = [
    ...["totem {", ...totem, ...interfaces.flatMap((each) => ["interface {", ...each, "}"]), "}"],
    ...["logging {", ...logging, "}", "quorum {", ...quorum, "}"],
    ...["nodelist {", ...nodes.flatMap((each) => ["node {", ...each, "}"]), "}"],
    ...more,
  ];
  return `${lines.join("\n")}\n`;
}

export const goodText = text();

/** `line` of totem replaces the one with its key, or is added. */
const withTotem = (...lines: string[]): string => {
  const keys = new Set(lines.map((line) => line.split(":")[0]));
  const kept = good.totem.filter((line) => !keys.has(line.split(":")[0]));
  return text({ totem: [...kept, ...lines] });
};
const withInterface = (...lines: string[]): string => text({ interfaces: [lines] });
const withQuorum = (...lines: string[]): string => text({ quorum: [...good.quorum, ...lines] });
const withNodes = (...nodes: (readonly string[])[]): string => text({ nodes });
const withLogging = (...lines: string[]): string => text({ logging: [...good.logging, ...lines] });
const withMore = (...lines: string[]): string => text({ more: [...good.more, ...lines] });
const named = (nodeid: number, name: string): string[] => [
  `name: ${name}`,
  `nodeid: ${nodeid}`,
  `ring0_addr: 10.77.0.${nodeid}`,
];
const at = (nodeid: number, ...addresses: string[]): string[] => [
  `name: n${nodeid}`,
  `nodeid: ${nodeid}`,
  ...addresses.map((address, link) => `ring${link}_addr: ${address}`),
];
/** Nodes that the host name does not tell apart. */
const strangers = (...addresses: string[]): string[][] =>
  addresses.map((address, index) => [
    `name: x${index + 1}`,
    `nodeid: ${index + 1}`,
    `ring0_addr: ${address}`,
  ]);

const twoLinks = [at(1, "10.77.0.1", "10.78.0.1"), at(2, "10.77.0.2", "10.78.0.2")];

const nodeCases: Readonly<Record<string, string>> = {
  "no nodes": withNodes(),
  "own node alone": withNodes(node(1)),
  "own node missing": withNodes(node(2), node(3)),
  "nodeid missing": withNodes(node(1), ["name: n2", "ring0_addr: 10.77.0.2"]),
  "nodeid 0": withNodes(node(1), ["name: n2", "nodeid: 0", "ring0_addr: 10.77.0.2"]),
  "nodeid 65535": withNodes(node(1), ["name: n2", "nodeid: 65535", "ring0_addr: 10.77.0.2"]),
  "nodeid 65536": withNodes(node(1), ["name: n2", "nodeid: 65536", "ring0_addr: 10.77.0.2"]),
  "nodeid -1": withNodes(node(1), ["name: n2", "nodeid: -1", "ring0_addr: 10.77.0.2"]),
  "nodeid twice": withNodes(node(1), ["name: n2", "nodeid: 1", "ring0_addr: 10.77.0.2"]),
  "nodeid twice, others": withNodes(node(1), node(2), [
    "name: n3",
    "nodeid: 2",
    "ring0_addr: 10.77.0.3",
  ]),
  "own nodeid missing": withNodes(["name: n1", "ring0_addr: 10.77.0.1"], node(2)),
  "own nodeid changed": withNodes(["name: n1", "nodeid: 9", "ring0_addr: 10.77.0.1"], node(2)),
  "name twice": withNodes(node(1), named(2, "n1")),
  "address twice": withNodes(node(1), at(2, "10.77.0.1")),
  "no address": withNodes(node(1), ["name: n2", "nodeid: 2"]),
  "own address missing": withNodes(["name: n1", "nodeid: 1"], node(2)),
  "empty ring0_addr": withNodes(node(1), at(2, "")),
  "own empty ring0_addr": withNodes(at(1, ""), node(2)),
  "empty ring1_addr": withNodes(at(1, "10.77.0.1", ""), at(2, "10.77.0.2", "")),
  "empty ring1_addr of the other": withNodes(node(1), at(2, "10.77.0.2", "")),
  "empty ring1_addr of ours": withNodes(at(1, "10.77.0.1", ""), node(2)),
  "empty name": withNodes(named(1, ""), node(2)),
  "two links": withNodes(...twoLinks),
  "two links, the other has one": withNodes(at(1, "10.77.0.1", "10.78.0.1"), node(2)),
  "two links, ours has one": withNodes(node(1), at(2, "10.77.0.2", "10.78.0.2")),
  "links 0 and 2": withNodes(
    [...node(1), "ring2_addr: 10.78.0.1"],
    [...node(2), "ring2_addr: 10.78.0.2"],
  ),
  "link 1 alone": withNodes(
    ["name: n1", "nodeid: 1", "ring1_addr: 10.77.0.1"],
    ["name: n2", "nodeid: 2", "ring1_addr: 10.77.0.2"],
  ),
  "different links, as many": withNodes(
    [...node(1), "ring1_addr: 10.78.0.1"],
    [...node(2), "ring2_addr: 10.78.0.2"],
  ),
  "two links without a name": withNodes(
    at(1, "10.77.0.1", "10.78.0.1"),
    at(2, "10.77.0.2", "10.78.0.2").slice(1),
  ),
  "two links, own name missing": withNodes(
    at(1, "10.77.0.1", "10.78.0.1").slice(1),
    at(2, "10.77.0.2", "10.78.0.2"),
  ),
  ring8_addr: withNodes([...node(1), "ring8_addr: 10.78.0.1"], node(2)),
  ring7_addr: withNodes(
    [...node(1), "ring7_addr: 10.78.0.1"],
    [...node(2), "ring7_addr: 10.78.0.2"],
  ),
  ring01_addr: withNodes(
    [...node(1), "ring01_addr: 10.78.0.1"],
    [...node(2), "ring01_addr: 10.78.0.2"],
  ),
  ring_addr: withNodes([...node(1), "ring_addr: 10.78.0.1"], node(2)),
  ring1_addrs: withNodes([...node(1), "ring1_addrs: 10.78.0.1"], node(2)),
  "quorum_votes 0": withNodes(node(1, "quorum_votes: 0"), node(2)),
  "quorum_votes x": withNodes(node(1, "quorum_votes: x"), node(2)),
  "unknown key": withNodes(node(1, "colour: blue"), node(2)),
  "section in a node": withNodes([...node(1), "sub {", "}"], node(2)),
  "section before a node's keys": withNodes(["sub {", "}", ...node(1)], node(2)),
  "section in the midst of a node": withNodes(
    ["name: n1", "sub {", "key: 1", "}", "nodeid: 1", "ring0_addr: 10.77.0.1"],
    node(2),
  ),
  "node by host name": withNodes(at(1, "n1.lab"), at(2, "n2.lab")),
  "unknown host name": withNodes(node(1), at(2, "no.such.host")),
  "own unknown host name": withNodes(at(1, "no.such.host"), node(2)),
  "a name of both families": withNodes(node(1), at(3, "n3.both")),
  IPv6: withNodes(at(1, "fd77::1"), at(2, "fd77::2")),
  "IPv6 by name": withNodes(at(1, "n1.six"), at(2, "n2.six")),
  "mixed families": withNodes(node(1), at(2, "fd77::2")),
  "IPv6, long": withNodes(at(1, "FD77:0:0:0:0:0:0:0001"), at(2, "fd77:0::2")),
  "short IPv4": withNodes(node(1), at(2, "10.77.2")),
  "IPv4 with a zero": withNodes(node(1), at(2, "10.77.0.02")),
  "a bracketed address": withNodes(at(1, "[fd77::1]"), at(2, "[fd77::2]")),
  wildcard: withNodes(at(1, "0.0.0.0"), node(2)),
  "nodelist twice": text({ more: [...good.more, "nodelist {", "node {", ...node(2), "}", "}"] }),
  "20 nodes": withNodes(
    ...Array.from({ length: 20 }, (_, index) => at(index + 1, `10.77.0.${index + 1}`)),
  ),
  "version 1 and ip_version": text({ totem: ["version: 1", "ip_version: ipv5"] }),
  "no version": text({ totem: good.totem.slice(1) }),
  "no quorum": text({ quorum: [] }),
  "empty provider": text({ quorum: ["provider:"] }),
  "another provider": text({ quorum: ["provider: corosync_ykd"] }),
  "uneven votes and a device": text({
    quorum: [...good.quorum, ...device()],
    nodes: [node(1, "quorum_votes: 2"), node(2)],
  }),
  "lms and atb, odd": text({
    quorum: [...good.quorum, "last_man_standing: 1", "auto_tie_breaker: 1"],
    nodes: [node(1), node(2), node(3)],
  }),
  "lms and atb, odd, wait_for_all": text({
    quorum: [...good.quorum, "last_man_standing: 1", "auto_tie_breaker: 1", "wait_for_all: 1"],
    nodes: [node(1), node(2), node(3)],
  }),
  "carriage returns": text().replaceAll("\n", "\r\n"),
  "two carriage returns": text().replaceAll("\n", "\r\r\n"),
  tabs: text().replaceAll(": ", "\t:\t"),
  "no last newline": text().trimEnd(),
  "empty file": "",
  "a comment alone": "# nothing\n",
  "byte order mark": `\u00ef\u00bb\u00bf${text()}`,
  "names without blanks": text().replaceAll(" {", "{"),
  "token from the number of nodes": text({
    totem: [...good.totem, "token: 30", "token_coefficient: 200"],
    nodes: [node(1), node(2), node(3)],
  }),
};

const machine = (change: Partial<Machine>): Machine => ({ ...usual, ...change });
const away = { addresses: [], hosts: [] };

/** Whether and as whom the machine finds itself. */
const ownCases: readonly (readonly [name: string, text: string, machine: Machine])[] = [
  ["FQDN host, short name", goodText, machine({ host: "n1.example.org" })],
  ["FQDN host, short name, address absent", goodText, machine({ host: "n1.example.org", ...away })],
  [
    "short host, FQDN name, address absent",
    withNodes(named(1, "n1.example.org"), node(2)),
    machine(away),
  ],
  [
    "FQDN host, other FQDN name, address absent",
    withNodes(named(1, "n1.example.com"), node(2)),
    machine({ host: "n1.example.org", ...away }),
  ],
  [
    "FQDN host, half of it as name, address absent",
    withNodes(named(1, "n1.example"), node(2)),
    machine({ host: "n1.example.org", ...away }),
  ],
  ["host in another case, address absent", withNodes(named(1, "N1"), node(2)), machine(away)],
  [
    "host in another case, address there",
    withNodes(named(1, "N1"), node(2)),
    machine({ hosts: [] }),
  ],
  [
    "host in another case, name in hosts",
    withNodes(named(1, "N1"), node(2)),
    machine({ addresses: [], hosts: ["127.0.0.1 n1"] }),
  ],
  ["other host, address there", goodText, machine({ host: "other" })],
  ["other host, address absent", goodText, machine({ host: "other", ...away })],
  ["host name right, address absent", goodText, machine(away)],
  [
    "both addresses there",
    goodText,
    machine({ host: "other", addresses: ["10.77.0.2", "10.77.0.1"], hosts: [] }),
  ],
  [
    "found by ring 1 alone",
    withNodes(
      ["name: x1", "nodeid: 1", "ring0_addr: 10.99.0.1", "ring1_addr: 10.78.0.1"],
      ["name: x2", "nodeid: 2", "ring0_addr: 10.99.0.2", "ring1_addr: 10.78.0.2"],
    ),
    machine({ hosts: [] }),
  ],
  [
    "name in hosts is our address",
    withNodes(named(1, "alias"), at(2, "10.99.0.2")).replace("10.77.0.1", "10.99.0.1"),
    machine({ hosts: ["10.77.0.1 alias"] }),
  ],
  [
    "name of our address by hosts",
    withNodes(named(1, "reverse"), node(2)).replace("10.77.0.1", "10.99.0.1"),
    machine({ hosts: ["10.77.0.1 reverse.lab"] }),
  ],
  [
    "own node is localhost",
    withNodes(named(1, "localhost"), node(2)).replace("10.77.0.1", "10.99.0.1"),
    machine({ hosts: [] }),
  ],
  ["own IPv6", withNodes(...strangers("fd77::1", "fd77::2")), machine({ hosts: [] })],
  [
    "own IPv6 in long spelling",
    withNodes(...strangers("FD77:0:0:0:0:0:0:0001", "fd77::2")),
    machine({ hosts: [] }),
  ],
  ["own IPv6 by name", withNodes(...strangers("n1.six", "n2.six")), machine({ host: "other" })],
  [
    "own IPv4 in short spelling",
    withNodes(...strangers("10.77.1", "10.77.0.2")),
    machine({ hosts: [] }),
  ],
  ["loopback", withNodes(...strangers("127.0.0.1", "127.0.0.2")), machine({ hosts: [] })],
  [
    "loopback, the second",
    withNodes(...strangers("127.0.0.2", "127.0.0.3")),
    machine({ hosts: [] }),
  ],
  [
    "host name as ring0_addr",
    withNodes(["nodeid: 1", "ring0_addr: n1"], ["nodeid: 2", "ring0_addr: n2"]),
    usual,
  ],
  [
    "host name as ring0_addr of another",
    withNodes(named(1, "x1"), ["name: x2", "nodeid: 2", "ring0_addr: n1"]),
    usual,
  ],
];

/** Every case once. `files`: name and text of what lies in config-errors. */
export function cases(files: readonly (readonly [string, string])[]): Case[] {
  const of = (group: string, name: string, content: string, where = usual): Case => ({
    name: `${group}: ${name}`
      .replaceAll("\u0000", "NUL")
      .replaceAll(/[^ -~]/g, "?")
      .replace(/(.)\1{40,}/g, (run) => `${run[0]}*${run.length}`),
    text: content,
    machine: where,
  });
  return [
    of("good", "as it is", goodText),
    ...totemLines.map((line) => of("totem", line, withTotem(line))),
    ...interfaceLines.map((lines) => of("interface", lines.join(", "), withInterface(...lines))),
    ...quorumLines.map((lines) => of("quorum", lines.join(", "), withQuorum(...lines))),
    ...loggingLines.map((line) => of("logging", line, withLogging(line))),
    ...moreLines.map((lines) => of("more", lines.join(" | "), withMore(...lines))),
    ...Object.entries(nodeCases).map(([name, content]) => of("nodes", name, content)),
    ...ownCases.map(([name, content, where]) => of("own", name, content, where)),
    ...files.map(([name, content]) => of("file", name, content, fourth)),
  ];
}
