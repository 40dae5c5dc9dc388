// Cores of alerts that hear each other as by the status store: in parts, with members that come and go, and one channel that works or not. A message to a
// channel is answered a second later; what a member tells is with the others of its part at once, and again whenever the part changes.
import { AlertCore } from "../../src/shell/alert/alert-core.ts";
import type { AlertAction, AlertRules, Item, Told } from "../../src/shell/alert/events.ts";
import { encodeLedger } from "../../src/shell/alert/ledger.ts";

export interface Call {
  readonly by: number;
  readonly items: readonly Item[];
}

interface Member {
  core: AlertCore;
  isRunning: boolean;
  isDeaf: boolean;
  /** Monotonic clocks begin anywhere. */
  readonly offset: number;
  readonly seen: Set<string>;
  /** What it has heard and told, by nodeid. */
  told: Map<number, Told>;
  disk: Uint8Array | undefined;
  inFlight: { readonly items: readonly Item[]; readonly answerAt: number } | undefined;
}

export interface AlertGroupOptions extends Partial<AlertRules> {
  readonly running?: readonly number[];
  /** Members that tell nothing: originals. */
  readonly deaf?: readonly number[];
}

const secondMs = 1000;
const beginMs = 1_790_000_000_000;

export class AlertGroup {
  readonly calls: Call[] = [];
  readonly tries: Call[] = [];
  readonly logs: string[] = [];
  isWorking = true;
  readonly #nodeids: readonly number[];
  readonly #members = new Map<number, Member>();
  readonly #rules: AlertRules;
  readonly #answersLost = new Set<number>();
  #parts: readonly (readonly number[])[];
  #nowS = 0;

  constructor(nodeids: readonly number[], options: AlertGroupOptions = {}) {
    const { running = nodeids, deaf = [], ...rules } = options;
    this.#nodeids = nodeids;
    this.#parts = [nodeids];
    this.#rules = {
      ...{ delayMs: 20_000, clearMs: 60_000, repeatMs: 86_400_000, quiet: [], urgent: ["quorum"] },
      ...{ mutes: new Map(), channels: ["webhook"] },
      ...rules,
    };
    for (const nodeid of nodeids) {
      this.#members.set(nodeid, {
        core: new AlertCore(),
        isRunning: running.includes(nodeid),
        isDeaf: deaf.includes(nodeid),
        offset: nodeid * 7919,
        seen: new Set(),
        told: new Map(),
        ...{ disk: undefined, inFlight: undefined },
      });
    }
  }

  /** Nodeids of those that run, by part. */
  get parts(): readonly (readonly number[])[] {
    return this.#parts
      .map((part) => part.filter((nodeid) => this.#member(nodeid).isRunning))
      .filter((part) => part.length > 0);
  }

  part(parts: readonly (readonly number[])[]): void {
    const named = parts.flat();
    // Whom nobody names is alone.
    const rest = this.#nodeids.filter((nodeid) => !named.includes(nodeid));
    this.#parts = [...parts, ...rest.map((nodeid) => [nodeid])];
    this.#exchange();
  }

  kill(nodeid: number): void {
    const member = this.#member(nodeid);
    member.isRunning = false;
    member.inFlight = undefined;
  }

  start(nodeid: number): void {
    const member = this.#member(nodeid);
    if (member.isRunning) return;
    member.isRunning = true;
    member.core = new AlertCore();
    member.told = new Map();
    const { disk } = member;
    if (disk !== undefined)
      this.#step(nodeid, (now, out) =>
        member.core.step({ kind: "remembered", ledger: disk }, now, out),
      );
    this.#exchange();
  }

  seen(nodeid: number, id: string): void {
    this.#member(nodeid).seen.add(id);
  }

  unseen(nodeid: number, id: string): void {
    this.#member(nodeid).seen.delete(id);
  }

  unseenAll(nodeid: number): void {
    this.#member(nodeid).seen.clear();
  }

  /** The next message of this node is taken, and the node dies before it hears so. */
  answerLost(nodeid: number): void {
    this.#answersLost.add(nodeid);
  }

  run(seconds: number, everyS = 1): void {
    for (let left = seconds; left > 0; left -= everyS) {
      this.#nowS += everyS;
      for (const nodeid of this.#nodeids) {
        this.#answer(nodeid);
        this.#look(nodeid);
      }
    }
  }

  /** Who of a part sends now. */
  acting(part: readonly number[]): readonly number[] {
    return part.filter((nodeid) => this.#member(nodeid).core.isSending);
  }

  /** What is so in a part, and was told by nobody. */
  unknown(part: readonly number[]): readonly string[] {
    const last = this.lastTold();
    const isTold = (id: string): boolean => last.get(id) === "open" || last.get(id) === "still";
    if (!this.#isQuorate(part)) {
      return part.some((nodeid) => isTold(`quorum/${nodeid}`)) ? [] : ["quorum"];
    }
    const ids = [
      ...part.flatMap((nodeid) => [...this.#member(nodeid).seen]),
      ...this.#nodeids.filter((nodeid) => !part.includes(nodeid)).map((nodeid) => `node/${nodeid}`),
    ];
    return ids.filter((id) => !isTold(id));
  }

  /** Of each alert what was told last. */
  lastTold(): ReadonlyMap<string, Item["state"]> {
    return new Map(this.calls.flatMap(({ items }) => items.map(({ id, state }) => [id, state])));
  }

  #member(nodeid: number): Member {
    const member = this.#members.get(nodeid);
    if (member === undefined) throw new Error(`there is no node ${nodeid}`);
    return member;
  }

  #partOf(nodeid: number): readonly number[] {
    return this.parts.find((part) => part.includes(nodeid)) ?? [];
  }

  #isQuorate(part: readonly number[]): boolean {
    return 2 * part.length > this.#nodeids.length;
  }

  /** As in a state exchange: all tell anew what they have told. */
  #exchange(): void {
    for (const part of this.parts) {
      for (const nodeid of part) {
        const own = this.#member(nodeid).told.get(nodeid);
        if (own === undefined) continue;
        for (const other of part) {
          if (other === nodeid) continue;
          this.#member(other).told.set(nodeid, {
            sighting: own.sighting?.slice(),
            ledger: own.ledger?.slice(),
          });
        }
      }
    }
  }

  #look(nodeid: number): void {
    const { core, isRunning, isDeaf, seen, told } = this.#member(nodeid);
    if (!isRunning || isDeaf) return;
    const members = this.#partOf(nodeid);
    const isQuorate = this.#isQuorate(members);
    const ids = [
      ...(isQuorate ? [] : [`quorum/${nodeid}`]),
      ...this.#nodeids.filter((other) => !members.includes(other)).map((other) => `node/${other}`),
      ...seen,
    ];
    this.#step(nodeid, (now, out) =>
      core.step(
        {
          kind: "look",
          wallMs: beginMs + this.#nowS * secondMs,
          minute: Math.floor(this.#nowS / 60) % 10_080,
          self: { nodeid, name: `pve${nodeid}` },
          ...{ isQuorate, isSynced: isQuorate, members, reachable: members, told },
          nodes: this.#nodeids.map((each) => ({ nodeid: each, name: `pve${each}` })),
          conditions: ids.map((id) => ({ id, state: `${id} is so` })),
          rules: this.#rules,
        },
        now,
        out,
      ),
    );
  }

  #answer(nodeid: number): void {
    const member = this.#member(nodeid);
    const { inFlight, core } = member;
    if (inFlight === undefined || inFlight.answerAt > this.#nowS) return;
    member.inFlight = undefined;
    const call = { by: nodeid, items: inFlight.items };
    this.tries.push(call);
    if (this.isWorking) this.calls.push(call);
    if (this.isWorking && this.#answersLost.delete(nodeid)) {
      this.kill(nodeid);
      this.part(this.#parts.map((part) => part.filter((each) => each !== nodeid)));
      return;
    }
    const wallMs = beginMs + this.#nowS * secondMs;
    this.#step(nodeid, (now, out) =>
      this.isWorking
        ? core.step({ kind: "sent", channel: "webhook", wallMs }, now, out)
        : core.step({ kind: "failed", channel: "webhook", reason: "it does not answer" }, now, out),
    );
  }

  #step(nodeid: number, act: (now: number, out: AlertAction[]) => void): void {
    const member = this.#member(nodeid);
    const out: AlertAction[] = [];
    act(this.#nowS * secondMs + member.offset, out);
    for (const action of out) {
      switch (action.kind) {
        case "publish":
          this.#publish(nodeid, { [action.what]: action.value });
          break;
        case "store":
          member.disk = encodeLedger(action.ledger);
          break;
        case "send":
          if (member.inFlight !== undefined) throw new Error("two messages at once");
          member.inFlight = { items: action.items, answerAt: this.#nowS + 1 };
          break;
        case "log":
          this.logs.push(action.text);
          break;
      }
    }
  }

  #publish(nodeid: number, what: Partial<Told>): void {
    for (const other of this.#partOf(nodeid)) {
      const { told } = this.#member(other);
      const known = told.get(nodeid) ?? { sighting: undefined, ledger: undefined };
      told.set(nodeid, { ...known, ...what });
    }
  }
}
