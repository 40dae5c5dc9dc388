// What an operator may ask about votes (services.md §4.11): the checks before a change is sent, and the answer once it is
// delivered. A refused change is never sent; a refusal says why and what would be accepted.
import type { ServiceAction } from "../member/service.ts";
import { calculate, type Ledger } from "./ledger.ts";
import { reconfigureParams, type VoteMessage } from "./message.ts";

type Reconfigure = Extract<VoteMessage, { readonly kind: "reconfigure" }>;

interface Pending {
  readonly id: number;
  readonly message: Reconfigure;
}

const pendingMax = 64;
const votesMax = 0xffff;

export class Operator {
  readonly #ledger: Ledger;
  #pending: Pending[] = [];

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** The message to send, or undefined after a refusal. */
  expectedVotes(id: number, votes: number, out: ServiceAction[]): Reconfigure | undefined {
    if (!isVotes(votes) || votes === 0) {
      return refuse(id, `expected votes must be a whole number from 1 to ${votesMax}`, out);
    }
    const { quorum, total } = calculate(this.#ledger, true, votes, false);
    if (votes < total) {
      const reason = `expected votes ${votes} refused: ${total} votes are present already, use at least ${total}`;
      return refuse(id, reason, out);
    }
    if (this.#ledger.isQuorate && quorum > total) {
      const reason = `expected votes ${votes} refused: quorum would become ${quorum} and the ${total} votes present would not reach it, use at most ${largestFor(total)}`;
      return refuse(id, reason, out);
    }
    return this.#ask(id, reconfigureParams.expectedVotes, this.#ledger.us.nodeid, votes, out);
  }

  votes(id: number, nodeid: number, votes: number, out: ServiceAction[]): Reconfigure | undefined {
    const voter = this.#ledger.voters.get(nodeid);
    if (voter === undefined) return refuse(id, `node ${nodeid} is not known here`, out);
    if (!isVotes(votes)) {
      return refuse(id, `votes must be a whole number from 0 to ${votesMax}`, out);
    }
    const before = voter.votes;
    voter.votes = votes;
    const { quorum, total } = calculate(this.#ledger, true, 0);
    voter.votes = before;
    if (quorum < Math.floor(total / 2) || quorum > total) {
      const reason = `${votes} votes for node ${nodeid} refused: quorum would be ${quorum} of ${total} votes present`;
      return refuse(id, reason, out);
    }
    return this.#ask(id, reconfigureParams.votes, nodeid, votes, out);
  }

  cancelWaitForAll(id: number, out: ServiceAction[]): Reconfigure | undefined {
    return this.#ask(id, reconfigureParams.cancelWaitForAll, this.#ledger.us.nodeid, 0, out);
  }

  /** A change was delivered: ours is answered. */
  heard(sender: number, message: Reconfigure, out: ServiceAction[]): void {
    if (sender !== this.#ledger.us.nodeid) return;
    const at = this.#pending.findIndex(
      (entry) =>
        entry.message.param === message.param &&
        entry.message.nodeid === message.nodeid &&
        entry.message.value === message.value,
    );
    const entry = this.#pending[at];
    if (entry === undefined) return;
    this.#pending.splice(at, 1);
    out.push({ kind: "replied", id: entry.id, ok: true, reason: "" });
  }

  refuseAll(reason: string, out: ServiceAction[]): void {
    for (const { id } of this.#pending) refuse(id, reason, out);
    this.#pending = [];
  }

  #ask(
    id: number,
    param: number,
    nodeid: number,
    value: number,
    out: ServiceAction[],
  ): Reconfigure | undefined {
    if (this.#pending.length >= pendingMax) {
      return refuse(id, "too many changes of votes are on their way, try again", out);
    }
    const message: Reconfigure = { kind: "reconfigure", nodeid, value, param };
    this.#pending.push({ id, message });
    return message;
  }
}

/** Largest expected votes whose quorum `total` votes still reach. */
function largestFor(total: number): number {
  return total * 2 - 1;
}

function isVotes(votes: number): boolean {
  return Number.isInteger(votes) && votes >= 0 && votes <= votesMax;
}

function refuse(id: number, reason: string, out: ServiceAction[]): undefined {
  out.push({ kind: "replied", id, ok: false, reason });
  return undefined;
}
