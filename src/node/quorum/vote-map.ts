// votequorum's keys of the configuration map (services.md §6.1): which of them have been set since start, since the original sets most
// of them only when their mode is, or was, in use. Pure.
import type { VoteMap } from "../member/events.ts";
import type { NodeSettings } from "../settings/settings.ts";
import type { Ledger } from "./ledger.ts";
import type { Rules } from "./rules.ts";

const tieBreakerTypes = { lowest: 1, highest: 2, list: 3 } as const;

export class VoteMapKeys {
  #hasWaitForAll: boolean;
  #hasTieBreaker: boolean;
  #hasDevice: boolean;
  /** The device's share of the expected votes by the file, which the original's barrier does not have. */
  #deviceShare: number;

  constructor(rules: Rules, settings: NodeSettings) {
    this.#hasWaitForAll = rules.waitForAll;
    this.#hasTieBreaker = settings.quorum.autoTieBreaker;
    this.#hasDevice = settings.quorum.device !== undefined;
    this.#deviceShare = deviceShareOf(rules, settings);
  }

  /** The original sets the tie breaker's type whenever it reads the configuration again. */
  reconfigured(rules: Rules, settings: NodeSettings): void {
    this.#hasWaitForAll ||= rules.waitForAll;
    this.#hasTieBreaker = true;
    this.#deviceShare = deviceShareOf(rules, settings);
    this.#hasDevice ||= settings.quorum.device !== undefined;
  }

  /** Somebody's word that was delivered; the node that was asked reads its configuration again as well. */
  waitForAllCancelled(): void {
    this.#hasWaitForAll = true;
    this.#hasTieBreaker = true;
  }

  view(ledger: Ledger, hasAskedMasterWins: boolean): VoteMap {
    const { rules, trackingBarrier, lowest, highest } = ledger;
    const { tieBreaker } = rules;
    const isByFile = ledger.barrier === rules.expectedVotes;
    return {
      twoNode: rules.twoNode,
      expectedVotesBarrier: ledger.barrier - (isByFile ? this.#deviceShare : 0),
      ...(ledger.hasEnds ? { ends: { lowest, highest } } : {}),
      ...(this.#hasWaitForAll ? { isWaitingForAll: ledger.isWaiting } : {}),
      ...(rules.expectedVotesTracking ? { trackingBarrier } : {}),
      ...(this.#hasTieBreaker
        ? { tieBreaker: tieBreaker === undefined ? 0 : tieBreakerTypes[tieBreaker.kind] }
        : {}),
      ...(this.#hasDevice ? { isDeviceAllowed: rules.isDeviceAllowed } : {}),
      ...(hasAskedMasterWins ? { masterWins: ledger.masterWins } : {}),
    };
  }
}

function deviceShareOf(rules: Rules, settings: NodeSettings): number {
  return settings.quorum.expectedVotes === undefined ? rules.deviceVotes : 0;
}
