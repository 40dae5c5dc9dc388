// quorum{} of corosync.conf, with votequorum's own start-up checks (services.md §4.9, errors 45-52 of §5.3).
import type { Conf } from "../../conf.ts";
import { sectionsOf } from "../../conf.ts";
import { ConfError, integerAt, textAt } from "./conf-value.ts";
import type { NodeEntry, QuorumSettings } from "./settings.ts";

const fault = (reason: string): ConfError => new ConfError(`configuration error: ${reason}`);

/**
 * Throws ConfError where corosync's votequorum would not start. `local` undefined: it runs already, and whatever does not fit
 * together then switches off a mode, with a message (quorum/rules.ts).
 */
export function readQuorum(
  conf: Conf,
  nodes: readonly NodeEntry[],
  local: NodeEntry | undefined,
): QuorumSettings {
  const flag = (name: string): boolean => (integerAt(conf, ["quorum", name]) ?? 0) !== 0;
  const providerText = textAt(conf, ["quorum", "provider"]);
  const provider = providerText ?? "";
  // A running daemon has its provider: another word is ignored, and counts as a change that needs a restart.
  const isWord = providerText === undefined || provider === "corosync_votequorum";
  if (!isWord && local !== undefined)
    throw new ConfError("Invalid quorum provider. Should be corosync_votequorum");
  const waitForAll = integerAt(conf, ["quorum", "wait_for_all"]);
  const settings: QuorumSettings = {
    provider: provider !== "",
    expectedVotes: integerAt(conf, ["quorum", "expected_votes"]) || undefined,
    votes: integerAt(conf, ["quorum", "votes"]),
    twoNode: flag("two_node"),
    waitForAll: waitForAll === undefined ? undefined : waitForAll !== 0,
    lastManStanding: flag("last_man_standing"),
    lastManStandingWindowMs: integerAt(conf, ["quorum", "last_man_standing_window"]) || 10_000,
    autoTieBreaker: flag("auto_tie_breaker"),
    autoTieBreakerNode: textAt(conf, ["quorum", "auto_tie_breaker_node"]) ?? "lowest",
    expectedVotesTracking: flag("expected_votes_tracking"),
    allowDownscale: flag("allow_downscale"),
    device: readDevice(conf),
  };
  if (settings.provider && local !== undefined) check(settings, nodes, local);
  return settings;
}

function readDevice(conf: Conf): QuorumSettings["device"] {
  const model = textAt(conf, ["quorum", "device", "model"]) ?? "";
  if (model === "") return undefined;
  const options: Record<string, string> = {};
  const collect = (
    sections: readonly ReturnType<typeof sectionsOf>[number][],
    prefix: string,
  ): void => {
    for (const section of sections) {
      for (const item of section.items) {
        if (item.kind === "entry") options[`${prefix}${item.key}`] = item.value;
        if (item.kind === "section") collect([item], `${prefix}${item.name}.`);
      }
    }
  };
  collect(
    sectionsOf(conf, "quorum").flatMap((quorum) => sectionsOf(quorum, "device")),
    "",
  );
  return {
    model,
    votes: integerAt(conf, ["quorum", "device", "votes"]),
    timeoutMs: integerAt(conf, ["quorum", "device", "timeout"]) || 10_000,
    syncTimeoutMs: integerAt(conf, ["quorum", "device", "sync_timeout"]) || 30_000,
    options,
  };
}

function check(settings: QuorumSettings, nodes: readonly NodeEntry[], local: NodeEntry): void {
  const { device } = settings;
  const sum = nodes.reduce((total, node) => total + node.votes, 0);
  const listed = nodes.includes(local) || nodes.some((node) => node.nodeid === local.nodeid);
  if (!listed && settings.expectedVotes === undefined) {
    throw fault("nodelist or quorum.expected_votes must be configured!");
  }
  if (settings.twoNode && device !== undefined) {
    throw fault("two_node and quorum device cannot be configured at the same time!");
  }
  const waitForAll = settings.waitForAll ?? settings.twoNode;
  if (settings.autoTieBreaker && settings.lastManStanding && sum % 2 === 1 && !waitForAll) {
    throw fault("auto_tie_breaker & last_man_standing not available in odd sized cluster");
  }
  if (device === undefined) return;
  const clash = (
    [
      [settings.lastManStanding, "last_man_standing"],
      [settings.autoTieBreaker, "auto_tie_breaker"],
      [settings.allowDownscale, "allow_downscale"],
    ] as const
  ).find(([isOn]) => isOn);
  if (clash !== undefined) throw fault(`quorum.device is not compatible with ${clash[1]}`);
  if (device.votes === undefined && settings.expectedVotes !== undefined) {
    throw fault("quorum.device.votes must be specified when quorum.expected_votes is set");
  }
  if (device.votes === undefined && nodes.some((node) => node.votes !== 1)) {
    throw fault("quorum.device.votes must be specified when not all nodes votes 1");
  }
  const votes = device.votes ?? nodes.length - 1;
  const expected = settings.expectedVotes ?? sum + votes;
  if (expected - votes < 2) {
    throw fault("quorum.device.votes is too high or expected_votes is too low");
  }
}
