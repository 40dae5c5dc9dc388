// Messages larger than one totempg message may be (services.md §3.6): put together on reception, cut for sending. Memory is
// bounded by what really arrived, never by what a sender announces.
import { joinBytes, ownBytes } from "../../bytes.ts";
import { fragmentBytesMax, type FragmentType, type GroupMessage } from "./message.ts";

type Partial = Extract<GroupMessage, { readonly kind: "partial" }>;

/** Larger messages are dropped: the tree's largest is a file of 1 MiB, its index less. */
export const messageBytesMax = 64 << 20;

/** More, smaller fragments than any sender makes: only there to bound memory. */
const piecesMax = 4096;

interface Assembly {
  readonly total: number;
  readonly pieces: Uint8Array[];
  size: number;
}

/** Started messages by sender. Keys hold nodeid, pid and group: two groups of one process do not mix. */
export class Assemblies {
  readonly #started = new Map<string, Assembly>();

  /** Takes a fragment of `nodeid`; the whole message with the last one. */
  add(nodeid: number, fragment: Partial): Uint8Array | undefined {
    const key = keyOf(nodeid, fragment.pid, fragment.group);
    if (fragment.type === "first") {
      // A sender that was interrupted begins again: what came before is void.
      this.#started.set(key, { total: fragment.total, pieces: [], size: 0 });
    }
    const assembly = this.#started.get(key);
    if (assembly === undefined) return undefined; // We joined in the middle of this message.
    assembly.size += fragment.payload.length;
    const isWrong =
      fragment.payload.length === 0 ||
      assembly.pieces.length >= piecesMax ||
      assembly.total !== fragment.total ||
      assembly.size > assembly.total ||
      assembly.total > messageBytesMax;
    if (isWrong) {
      this.#started.delete(key);
      return undefined;
    }
    // Thousands of tiny pieces must not keep as many packets.
    assembly.pieces.push(ownBytes(fragment.payload));
    if (fragment.type !== "last") return undefined;
    this.#started.delete(key);
    return assembly.size === assembly.total ? joinBytes(assembly.pieces) : undefined;
  }

  /** The process is gone: its started message never ends. */
  drop(nodeid: number, pid: number, group: string): void {
    this.#started.delete(keyOf(nodeid, pid, group));
  }
}

function keyOf(nodeid: number, pid: number, group: string): string {
  return `${nodeid} ${pid} ${group}`;
}

export interface Fragment {
  readonly type: FragmentType;
  readonly payload: Uint8Array;
}

/** The fragment of `message` that starts at `offset`. */
export function fragmentAt(message: Uint8Array, offset: number): Fragment {
  const payload = message.subarray(offset, offset + fragmentBytesMax);
  if (offset === 0) return { type: "first", payload };
  const isLast = offset + payload.length === message.length;
  return { type: isLast ? "last" : "continued", payload };
}
