// Runs the epochs of one node's tree: its group, its place in the journal's queue, and whoever waits for what may be answered. Spec:
// design.md decision 3.
import type { Clock, GroupEvent, GroupPort, LogAction } from "../../world.ts";
import type { Rank } from "../replica/dcdb.ts";
import type { TreeStatus } from "../tree/files.ts";
import { Epochs } from "./epochs.ts";
import type { EpochAction, EpochEvent, Standing } from "./events.ts";
import type { Lineage } from "./lineage.ts";
import type { Lineages } from "./lost-changes.ts";
import { ownGroup } from "./message.ts";
import { OwnGroup } from "./own-group.ts";

/** Disks that were chosen for a change have so long before the others hurry, too, milliseconds. */
const chosenMs = 4;

export interface EpochHostOptions {
  readonly groups: GroupPort;
  readonly lineage: Lineage;
  /** Of the tree as it was loaded. */
  readonly version: number;
  readonly flushes: boolean;
  readonly clock: Clock;
  /** Makes it durable behind all changes so far; then `settled`. */
  readonly store: (lineage: Lineage, settled: () => void) => void;
  /** As soon as the disk can, for all changes so far: somebody waits for it. */
  readonly hurry: () => void;
  readonly onStanding: (standing: Standing) => void;
  /** A state exchange may go on. */
  readonly planAgain: () => void;
  readonly log: (line: LogAction) => void;
}

export class EpochHost {
  readonly #options: EpochHostOptions;
  readonly #core: Epochs;
  readonly #group: OwnGroup;
  #isStopped = false;
  #cancelWait: (() => void) | undefined;

  constructor(options: EpochHostOptions) {
    this.#options = options;
    const { self } = options.groups;
    this.#core = new Epochs({ ...options, self });
    this.#group = new OwnGroup(options.groups);
  }

  readonly rank: Rank = (exchange, members) => this.#core.rank(exchange, members);

  /** To be called before the tree's group is joined: who is in that one and not in ours is an original. */
  start(): void {
    this.#group.join();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWait?.();
    this.#group.leave();
  }

  groupEvent(event: GroupEvent): void {
    if (event.group !== ownGroup) return;
    this.step({ kind: "groupEvent", event });
    this.#options.planAgain();
  }

  step(event: EpochEvent): void {
    if (this.#isStopped) return;
    if (event.kind === "treeConfigured") this.#group.forgetMessages();
    const out: EpochAction[] = [];
    this.#core.step(event, out);
    for (const action of out) this.#carryOut(action);
    this.#options.onStanding(this.#core.standing());
  }

  /** As `Epochs.adopt`. */
  adopt(): Lineage {
    return this.#core.adopt();
  }

  /** To be told once that is on disk. */
  adopted(lineage: Lineage): void {
    this.step({ kind: "stored", lineage });
  }

  get lineages(): Lineages {
    return this.#core.lineages;
  }

  /** For the operator. */
  get status(): NonNullable<TreeStatus["promise"]> {
    const { held, silent } = this.#core;
    const { isAgreed } = this.#core.standing();
    return { epoch: held.mark.number, isAgreed, silent };
  }

  #carryOut(action: EpochAction): void {
    switch (action.kind) {
      case "send":
        return this.#group.send(action.message);
      case "store": {
        const { lineage } = action;
        return this.#options.store(lineage, () => this.step({ kind: "stored", lineage }));
      }
      case "hurry":
        return this.#options.hurry();
      case "wait":
        this.#cancelWait?.();
        this.#cancelWait = this.#options.clock.after(chosenMs, () => this.step({ kind: "waited" }));
        return;
      case "log":
        return this.#options.log(action);
    }
    action satisfies never;
  }
}
