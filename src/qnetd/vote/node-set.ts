// A list of nodes as clients send it (qnetd.md §1.4): the order kept for the tools, everything else compared as a set.

export class NodeSet {
  static readonly empty = new NodeSet([]);

  /** Distinct, in the order of the message. */
  readonly ids: readonly number[];
  readonly #set: ReadonlySet<number>;
  #key: string | undefined;

  constructor(ids: readonly number[]) {
    this.#set = new Set(ids);
    this.ids = [...this.#set];
  }

  get size(): number {
    return this.ids.length;
  }
  has(nodeId: number): boolean {
    return this.#set.has(nodeId);
  }
  isWithin(other: NodeSet): boolean {
    return this === other || this.ids.every((nodeId) => other.has(nodeId));
  }
  equals(other: NodeSet): boolean {
    return this.size === other.size && this.isWithin(other);
  }
  isDisjointFrom(other: NodeSet): boolean {
    return !this.ids.some((nodeId) => other.has(nodeId));
  }
  with(nodeId: number): NodeSet {
    return this.has(nodeId) ? this : new NodeSet([...this.ids, nodeId]);
  }
  /** 0 when empty, which is no node id. */
  get lowest(): number {
    return this.ids.reduce((a, b) => (a === 0 || b < a ? b : a), 0);
  }
  get highest(): number {
    return this.ids.reduce((a, b) => Math.max(a, b), 0);
  }
  /** Equal for equal sets. */
  get key(): string {
    this.#key ??= this.ids.toSorted((a, b) => a - b).join();
    return this.#key;
  }
  /** For people: "{1, 2}", ascending. */
  get text(): string {
    return `{${this.ids.toSorted((a, b) => a - b).join(", ")}}`;
  }
}

/** For people: "node 1" or "nodes 1, 2". */
export function nodesText(ids: readonly number[]): string {
  return `${ids.length === 1 ? "node" : "nodes"} ${ids.toSorted((a, b) => a - b).join(", ")}`;
}
