// What was written through the mount and answered before every member had it: what became of it is told at close and fsync, to each handle
// that was open for writing then, as Linux tells of lost pages. Kept for each file, for its writers share what is gathered.
import type { Files, Gathered, Outcome } from "../tree/files.ts";
import type { FileHandle } from "./handles.ts";
import type { Node } from "./nodes.ts";

type Refusal = Extract<Outcome<never>, { ok: false }>;

interface Late {
  readonly gathered: Set<Gathered>;
  /** How often something was refused after it had been answered, and the last time. */
  refusals: number;
  refusal: Refusal | undefined;
  /** Losses of the tree before the first change that nobody has asked for yet; undefined: there is none. */
  since: number | undefined;
  changes: number;
}

export class LateWrites {
  readonly #files: Files;
  readonly #late = new WeakMap<Node, Late>();

  constructor(files: Files) {
    this.#files = files;
  }

  /** Of this file so far: what came before a handle was opened is not told to it. */
  refusals(node: Node): number {
    return this.#late.get(node)?.refusals ?? 0;
  }

  /** Something was written here that is not in the tree yet. */
  isGathering(node: Node): boolean {
    return (this.#late.get(node)?.gathered.size ?? 0) > 0;
  }

  /** A write was answered and is not in the tree yet. */
  gathered(node: Node, write: Gathered): void {
    const late = this.#of(node);
    if (late.gathered.has(write)) return;
    late.gathered.add(write);
    void write.done.then((outcome) => {
      late.gathered.delete(write);
      if (outcome.ok) this.changed(node);
      else refuse(late, outcome);
    });
  }

  /** A change of the file was carried out, and answered before it was durable. */
  changed(node: Node): void {
    const late = this.#of(node);
    late.since ??= this.#files.losses;
    late.changes += 1;
  }

  /** Resolves once all members have what was written; undefined: nothing was. A refusal is told to each handle once. */
  held(handle: FileHandle): Promise<Outcome<undefined>> | undefined {
    const late = this.#late.get(handle.node);
    if (late === undefined) return undefined;
    const isQuiet = late.gathered.size === 0 && late.since === undefined;
    if (isQuiet && late.refusals === handle.refusalsTold) return undefined;
    return this.#settle(handle, late, "held");
  }

  /** Resolves once a majority's disks have it, with all that this node has changed before. */
  durable(handle: FileHandle): Promise<Outcome<undefined>> {
    const late = this.#late.get(handle.node);
    return late === undefined ? this.#files.sync() : this.#settle(handle, late, "durable");
  }

  async #settle(
    handle: FileHandle,
    late: Late,
    promised: "held" | "durable",
  ): Promise<Outcome<undefined>> {
    for (const { send } of late.gathered) send();
    await Promise.all([...late.gathered].map(({ done }) => done));
    const { since, changes } = late;
    if (late.refusals === handle.refusalsTold && (since !== undefined || promised === "durable")) {
      const outcome = await this.#files.sync(promised, since);
      if (late.changes === changes) late.since = undefined;
      if (!outcome.ok) refuse(late, outcome);
    }
    if (late.refusals === handle.refusalsTold || late.refusal === undefined) return fine;
    handle.refusalsTold = late.refusals;
    return late.refusal;
  }

  #of(node: Node): Late {
    const known = this.#late.get(node);
    if (known !== undefined) return known;
    const late: Late = {
      ...{ gathered: new Set<Gathered>(), refusals: 0, refusal: undefined },
      ...{ since: undefined, changes: 0 },
    };
    this.#late.set(node, late);
    return late;
  }
}

const fine: Outcome<undefined> = { ok: true, value: undefined };

/** What came before is told with it, and not asked for again. */
function refuse(late: Late, refusal: Refusal): void {
  late.since = undefined;
  late.refusals += 1;
  late.refusal = refusal;
}
