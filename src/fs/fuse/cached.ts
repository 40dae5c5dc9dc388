// Whose attributes the kernel may keep, and until when. All that it keeps of a node rests on its attributes: it uses a name only with them, and
// pages only while size and time are those that it knew. So a change is seen everywhere once they are withdrawn, which takes no lock of the
// kernel's. In a cluster the ring thread withdraws them with the next change of the tree, before any member can call that change stable,
// hence before its writer has an answer (world.ts, Receipts). Alone, whoever makes a change withdraws them within the same turn.
// What the kernel is told while attributes are withdrawn it ignores, and the process that asked goes on with size and pages of before; and who
// reads pages while another process is told of a new size may get old bytes to the new size. So nothing is kept, no page either, and
// nothing withdrawn, before the kernel has had the present state for a while: ignoring that again does no harm.
import type { Receipts } from "../../world.ts";
import type { Node, Told } from "./nodes.ts";
import { type Attributes, encodeAttributesInvalid } from "./reply.ts";

/** A second, as with libfuse (pmxcfs.md §2.2): if this process is stopped, the kernel believes nothing for longer. */
const VALID_S = 1;
/** From an answer until the process that asked has surely gone on. */
const SETTLED_MS = 250;
const FORGOTTEN_AT = 2048;
/** How long a reader that has asked for attributes may take until it asks for the content; what a peer has replaced is kept as long. */
const SUPERSEDED_MS = 2000;

export interface CachedAttributesOptions {
  /** Undefined where no change comes but by this thread. */
  readonly receipts: Receipts | undefined;
  /** Milliseconds of a clock that does not jump. */
  readonly now: () => number;
}

export class CachedAttributes {
  readonly #options: CachedAttributesOptions;
  /** By node id, the withdrawal that waits for it, or waited. Alone: 0. */
  readonly #withdrawals = new Map<number, number>();

  /** Nodes whose content is another than the kernel was told of, oldest first. */
  readonly #superseded: { readonly node: Node; readonly told: Told; readonly at: number }[] = [];

  constructor(options: CachedAttributesOptions) {
    this.#options = options;
  }

  /** Whether the kernel has had these for a while. */
  isSettled({ told }: Node, attributes: Attributes): boolean {
    if (told === undefined || !isSame(told.attributes, attributes)) return false;
    return this.#options.now() - told.at >= SETTLED_MS;
  }

  /**
   * Seconds for which the kernel may keep attributes that it asked for, made just now from the tree as it is; 0: it asks again.
   * `content`: of a file.
   */
  validS(node: Node, attributes: Attributes, content: Uint8Array | undefined): number {
    const { told } = node;
    if (told === undefined || !isSame(told.attributes, attributes)) {
      node.told = { attributes, at: this.#options.now(), content };
      return 0;
    }
    if (told.content !== content) node.told = { ...told, content };
    if (!this.isSettled(node, attributes)) return 0;
    const { receipts } = this.#options;
    if (receipts === undefined) {
      this.#withdrawals.set(node.id, 0);
      return VALID_S;
    }
    const known = this.#withdrawals.get(node.id);
    if (known === undefined || !receipts.isWaiting(known)) {
      const withdrawal = receipts.withdraw(encodeAttributesInvalid(node.id));
      if (withdrawal === undefined) return 0;
      this.#withdrawals.set(node.id, withdrawal);
      if (this.#withdrawals.size > FORGOTTEN_AT) this.#forgetDone(receipts);
    }
    // What came before the withdrawal was there may be missing in the tree, and withdraws nothing.
    return receipts.hasPassed(receipts.mark()) ? VALID_S : 0;
  }

  /**
   * After a change by others. Returns, alone, the message that withdraws what the kernel keeps; undefined: it keeps nothing, or the ring
   * thread does it.
   */
  changed(node: Node): Uint8Array | undefined {
    this.#supersede(node);
    if (this.#options.receipts !== undefined) return undefined;
    return this.#withdrawals.delete(node.id) ? encodeAttributesInvalid(node.id) : undefined;
  }

  #supersede(node: Node): void {
    const { told } = node;
    const now = this.#options.now();
    for (let oldest = this.#superseded[0]; oldest !== undefined; oldest = this.#superseded[0]) {
      if (now - oldest.at < SUPERSEDED_MS) break;
      this.#superseded.shift();
      if (oldest.node.told === oldest.told) oldest.node.told = undefined;
    }
    if (told?.content !== undefined) this.#superseded.push({ node, told, at: now });
  }

  #forgetDone(receipts: Receipts): void {
    for (const [nodeid, withdrawal] of this.#withdrawals) {
      if (!receipts.isWaiting(withdrawal)) this.#withdrawals.delete(nodeid);
    }
  }
}

function isSame(a: Attributes, b: Attributes): boolean {
  return a.size === b.size && a.time === b.time && a.timeNs === b.timeNs && a.mode === b.mode;
}
