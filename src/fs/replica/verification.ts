// Comparing the whole store between synced members, soon after each state exchange and then once an hour. Spec: pmxcfs.md §4.11.
// Keeps which request is under way and what our own store hashed to at the moment the request was delivered.
import { equalBytes } from "../../bytes.ts";
import { type Epoch, sameEpoch } from "./message.ts";

export class Verification {
  #requested = 0;
  /** Id of the last request that came back, ours or another's. */
  #arrived = 0;
  #own: { readonly epoch: Epoch; readonly checksum: Uint8Array } | undefined;

  /** The id of a new request; undefined: the last one has not come back yet. */
  request(): number | undefined {
    if (this.#arrived !== this.#requested) return undefined;
    this.#requested += 1;
    return this.#requested;
  }

  /** A request was delivered; `checksum` is our store's at this place of the order. */
  arrived(epoch: Epoch, id: number, checksum: Uint8Array): void {
    this.#arrived = id;
    this.#own = { epoch, checksum };
  }

  /** A configuration change: nothing of before is compared, and no lost request is waited for. */
  reset(): void {
    this.#arrived = this.#requested;
    this.#own = undefined;
  }

  /** What a VERIFY message says of our store, with the checksum that ours had. */
  compare(message: {
    readonly epoch: Epoch;
    readonly checksumId: number;
    readonly checksum: Uint8Array;
  }):
    { readonly kind: "skipped" } | { readonly kind: "equal" | "different"; readonly own: string } {
    const own = this.#own;
    if (own === undefined || this.#arrived !== message.checksumId) return { kind: "skipped" };
    if (!sameEpoch(own.epoch, message.epoch)) return { kind: "skipped" };
    const kind = equalBytes(own.checksum, message.checksum) ? "equal" : "different";
    return { kind, own: hex(own.checksum) };
  }
}

/** Lower-case hex digits. */
export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
