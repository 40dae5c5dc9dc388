// The corosync.conf of a laboratory ring (totem.md §6, services.md §5): knet, one link, names n1…nN. Both kinds of node
// read the same file, so it holds nothing that only one of them knows.

export type Crypto = "none" | "aes";

export interface RingConf {
  readonly crypto: Crypto;
  /** totem.token in milliseconds; the token coefficient of 650 ms per node above two is added by every node. */
  readonly tokenMs: number;
  readonly nodes: readonly {
    readonly name: string;
    readonly nodeid: number;
    readonly address: string;
  }[];
  /** More lines of the quorum section, as "key: value" or whole sections. */
  readonly quorumLines?: readonly string[];
  /** More lines of the totem section, as "key: value". */
  readonly totemLines?: readonly string[];
}

/** The text of corosync.conf. */
export function ringConf(conf: RingConf): string {
  const sealed = conf.crypto === "aes";
  const totem = [
    "version: 2",
    "cluster_name: interop",
    "config_version: 1",
    "transport: knet",
    `crypto_cipher: ${sealed ? "aes256" : "none"}`,
    `crypto_hash: ${sealed ? "sha256" : "none"}`,
    `token: ${conf.tokenMs}`,
    ...(conf.totemLines ?? []),
  ];
  const nodes = conf.nodes.map((node) =>
    section("node", [
      `name: ${node.name}`,
      `nodeid: ${node.nodeid}`,
      "quorum_votes: 1",
      `ring0_addr: ${node.address}`,
    ]),
  );
  return [
    section("totem", totem),
    // Real-time priority of three nodes on one small machine starves everything else there, their own clients too.
    section("system", ["sched_rr: no"]),
    section("logging", ["to_stderr: yes", "to_syslog: no", "timestamp: hires"]),
    section("quorum", ["provider: corosync_votequorum", ...(conf.quorumLines ?? [])]),
    section("nodelist", nodes.join("").trimEnd().split("\n")),
  ].join("\n");
}

/** How long a ring of `nodes` may need to notice a dead member: token and consensus timeouts (totem.md §4). */
export function lossMs(tokenMs: number, nodes: number): number {
  const effectiveMs = tokenMs + 650 * Math.max(0, nodes - 2);
  return effectiveMs + Math.trunc(1.2 * effectiveMs);
}

function section(name: string, lines: readonly string[]): string {
  return `${name} {\n${lines.map((line) => `  ${line}\n`).join("")}}\n`;
}
