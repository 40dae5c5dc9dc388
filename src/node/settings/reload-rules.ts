// What a running node takes from a changed corosync.conf, and what only its next start does (services.md §4.9, §5.2, §5.4).
// Pure. Refuses a file as a whole or takes all of it that can change; it never takes a value that the services would ignore.
import { keysAfterReload } from "./configuration-keys.ts";
import type {
  CryptoSettings,
  LinkSettings,
  NodeEntry,
  NodeSettings,
  QuorumSettings,
} from "./settings.ts";

export type ReloadCheck =
  | {
      readonly ok: true;
      /** To be put in force: of `next`, with the values of `running` where they cannot change. */
      readonly settings: NodeSettings;
      /** What is different, one short text each; config_version itself is not among them. */
      readonly changes: readonly string[];
      /** Keys of corosync.conf whose new values are not taken. */
      readonly needsRestart: readonly string[];
    }
  | { readonly ok: false; readonly reason: string };

type Scalar = string | number | boolean | undefined;

/** Quorum's modes that votequorum reads at its start only. */
const startOnly = [
  ["waitForAll", "quorum.wait_for_all"],
  ["lastManStanding", "quorum.last_man_standing"],
  ["lastManStandingWindowMs", "quorum.last_man_standing_window"],
  ["autoTieBreaker", "quorum.auto_tie_breaker"],
  ["autoTieBreakerNode", "quorum.auto_tie_breaker_node"],
  ["expectedVotesTracking", "quorum.expected_votes_tracking"],
  ["allowDownscale", "quorum.allow_downscale"],
  ["provider", "quorum.provider"],
] as const satisfies readonly (readonly [keyof QuorumSettings, string])[];

/** `running`: in force; `next`: as the file says now, read for this node. */
export function checkReload(running: NodeSettings, next: NodeSettings): ReloadCheck {
  if (next.nodeid !== running.nodeid) {
    const reason = `corosync.conf calls this node ${next.nodeid}, it runs as node ${running.nodeid}: the nodeid of a running node cannot change. Correct the file, or restart this node`;
    return { ok: false, reason };
  }
  const reason = movedLink(running, next);
  if (reason !== undefined) return { ok: false, reason };
  const needsRestart: string[] = [];
  const keep = <T>(isSame: boolean, key: string, old: T, value: T): T => {
    if (isSame) return value;
    needsRestart.push(key);
    return old;
  };
  const settings: NodeSettings = {
    ...next,
    clusterName: keep(
      running.clusterName === next.clusterName,
      "totem.cluster_name",
      running.clusterName,
      next.clusterName,
    ),
    name: keep(
      running.name === next.name,
      "nodelist.node.name of this node",
      running.name,
      next.name,
    ),
    transport: keep(
      running.transport === next.transport,
      "totem.transport",
      running.transport,
      next.transport,
    ),
    ipVersion: keep(
      running.ipVersion === next.ipVersion,
      "totem.ip_version",
      running.ipVersion,
      next.ipVersion,
    ),
    links: linksInForce(running.links, next.links, needsRestart),
    tuning: {
      ...next.tuning,
      netMtu: keep(
        running.tuning.netMtu === next.tuning.netMtu,
        "totem.netmtu",
        running.tuning.netMtu,
        next.tuning.netMtu,
      ),
    },
    quorum: quorumInForce(running.quorum, next.quorum, needsRestart),
    ...(next.configuration === undefined
      ? {}
      : { configuration: keysAfterReload(running.configuration ?? [], next.configuration) }),
  };
  return { ok: true, settings, changes: changesOf(running, settings), needsRestart };
}

/** corosync announces another port and stays on the old one: two sides on two ports would not reach each other. */
function linksInForce(
  running: readonly LinkSettings[],
  next: readonly LinkSettings[],
  needsRestart: string[],
): LinkSettings[] {
  return next.map((link) => {
    const old = running.find(({ number }) => number === link.number);
    if (old === undefined || old.port === link.port) return link;
    needsRestart.push(`totem.interface.${link.number}.mcastport`);
    return { ...link, port: old.port };
  });
}

function quorumInForce(
  running: QuorumSettings,
  next: QuorumSettings,
  needsRestart: string[],
): QuorumSettings {
  for (const [name, key] of startOnly) if (running[name] !== next[name]) needsRestart.push(key);
  const { provider, waitForAll, lastManStanding, lastManStandingWindowMs } = running;
  const { autoTieBreaker, autoTieBreakerNode, expectedVotesTracking, allowDownscale } = running;
  return {
    ...next,
    ...{ provider, waitForAll, lastManStanding, lastManStandingWindowMs },
    ...{ autoTieBreaker, autoTieBreakerNode, expectedVotesTracking, allowDownscale },
  };
}

/** corosync refuses a file that gives a link of a node another address: so does everybody, or the ring would fall apart. */
function movedLink(running: NodeSettings, next: NodeSettings): string | undefined {
  for (const node of next.nodes) {
    const before = running.nodes.find(({ nodeid }) => nodeid === node.nodeid);
    for (const [link, address] of node.addresses.entries()) {
      const old = before?.addresses[link];
      if (old === undefined || address === undefined || old === address) continue;
      return `node ${node.nodeid} has another address for link ${link} (${address}, was ${old}): the address of a link cannot change at run-time. Remove the link in one change of corosync.conf and add it with the new address in the next, while another link carries the ring; or stop all nodes`;
    }
  }
  return undefined;
}

function changesOf(before: NodeSettings, after: NodeSettings): string[] {
  const changes = nodeChanges(before.nodes, after.nodes);
  const say = (isSame: boolean, text: string): void => void (isSame || changes.push(text));
  const from = (name: string, old: Scalar, value: Scalar): void =>
    say(old === value, `${name} ${shown(old)} -> ${shown(value)}`);
  from("token timeout (ms)", before.tuning.tokenMs, after.tuning.tokenMs);
  // Most other timeouts, and the heartbeats of the links, follow from the token's.
  if (before.tuning.tokenMs === after.tuning.tokenMs) {
    say(same(before.tuning, after.tuning), "timeouts and limits of totem");
    say(same(before.links, after.links), "link settings");
  }
  from("link_mode", before.linkMode, after.linkMode);
  from("knet_pmtud_interval (ms)", before.pmtudIntervalMs, after.pmtudIntervalMs);
  from("knet_mtu", before.knetMtu, after.knetMtu);
  from("block_unlisted_ips", before.blockUnlistedIps, after.blockUnlistedIps);
  say(same(before.compression, after.compression), "compression");
  say(sameCrypto(before.crypto, after.crypto), "key or crypto");
  from("expected_votes", before.quorum.expectedVotes, after.quorum.expectedVotes);
  from("quorum.votes", before.quorum.votes, after.quorum.votes);
  from("two_node", before.quorum.twoNode, after.quorum.twoNode);
  const [old, device] = [before.quorum.device, after.quorum.device];
  if (old === undefined && device !== undefined) changes.push("quorum device added");
  else if (old !== undefined && device === undefined) changes.push("quorum device removed");
  else say(same(old, device), "quorum device changed");
  return changes;
}

function nodeChanges(before: readonly NodeEntry[], after: readonly NodeEntry[]): string[] {
  const label = ({ nodeid, name }: NodeEntry): string =>
    name === "" ? `node ${nodeid}` : `node ${nodeid} (${name})`;
  const changes: string[] = [];
  for (const node of after) {
    const old = before.find(({ nodeid }) => nodeid === node.nodeid);
    if (old === undefined) changes.push(`${label(node)} added`);
    else if (old.votes !== node.votes) {
      changes.push(`${label(node)}: votes ${old.votes} -> ${node.votes}`);
    } else if (!same(old, node)) changes.push(`${label(node)} changed`);
  }
  for (const node of before) {
    if (!after.some(({ nodeid }) => nodeid === node.nodeid)) changes.push(`${label(node)} removed`);
  }
  return changes;
}

/** Whether packets are protected as before. */
export function sameCrypto(a: CryptoSettings, b: CryptoSettings): boolean {
  if (a.cipher !== b.cipher || a.hash !== b.hash || a.key.length !== b.key.length) return false;
  return a.key.every((byte, at) => byte === b.key[at]);
}

/** Plain data without bytes; absent and undefined members are the same. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function shown(value: Scalar): string {
  return value === undefined ? "unset" : String(value);
}
