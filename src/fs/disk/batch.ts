// Changes that go to disk in one transaction, as one change: only the last state of each object is worth a row. So what waits for a disk
// costs no memory beside the tree, however often one file is written meanwhile. Pure.
import type { Lineage } from "../epoch/lineage.ts";
import type { TreeChange, TreeEntry } from "../tree/entry.ts";

/** A change of the database; `replaceAll`: rows that `stored` lacks are removed. */
export interface JournalChange extends TreeChange {
  readonly replaceAll?: boolean;
  /** True when the change came with a state exchange (pmxcfs.md §1.3: the record's type is 4 then, else 8). */
  readonly fromSync?: boolean;
  /** What the tree descends from, from this change on. */
  readonly lineage?: Lineage;
}

export class Batch {
  /** By inode; undefined: it is no more. */
  readonly #last = new Map<number, TreeEntry | undefined>();
  #replaceAll = false;
  #fromSync = false;
  #lineage: Lineage | undefined;
  #bytes = 0;

  /** Objects that it stores or deletes. */
  get size(): number {
    return this.#last.size;
  }

  /** Content that it stores. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `change` follows all that were added before. */
  add({ stored, deleted, replaceAll, fromSync, lineage }: JournalChange): void {
    if (replaceAll === true) {
      this.#replaceAll = true;
      this.#last.clear();
      this.#bytes = 0;
    }
    this.#lineage = lineage ?? this.#lineage;
    for (const inode of deleted) this.#set(inode, undefined);
    for (const entry of stored) {
      this.#set(entry.inode, entry);
      if (entry.inode === 0) this.#fromSync = fromSync === true;
    }
  }

  /** All of it; in the order in which each object was first touched. */
  get change(): JournalChange {
    const stored: TreeEntry[] = [];
    const deleted: number[] = [];
    for (const [inode, entry] of this.#last) {
      if (entry !== undefined) stored.push(entry);
      else if (!this.#replaceAll) deleted.push(inode);
    }
    return {
      ...{ stored, deleted, replaceAll: this.#replaceAll, fromSync: this.#fromSync },
      ...(this.#lineage === undefined ? {} : { lineage: this.#lineage }),
    };
  }

  #set(inode: number, entry: TreeEntry | undefined): void {
    this.#bytes += (entry?.data.length ?? 0) - (this.#last.get(inode)?.data.length ?? 0);
    this.#last.set(inode, entry);
  }
}
