// Operations that wait for the end of a state exchange. Spec: pmxcfs.md §4.7. Ordered by count over all senders, equal
// counts by arrival: the same order on all members. Sorted when it is emptied, so adding costs nothing.
import type { GroupMember } from "../../world.ts";
import type { NormalMessage } from "./message.ts";

/** Callers wait for their operation, so these are far above what a cluster can have under way. */
export const queueMessagesMax = 100_000;
export const queueBytesMax = 256 * 1_048_576;

export interface QueuedMessage {
  readonly sender: GroupMember;
  readonly message: NormalMessage;
}

export class MessageQueue {
  #messages: QueuedMessage[] = [];
  #bytes = 0;

  get size(): number {
    return this.#messages.length;
  }

  /** False: full, nothing was added. */
  add(queued: QueuedMessage): boolean {
    const bytes = this.#bytes + queued.message.body.length;
    if (this.#messages.length >= queueMessagesMax || bytes > queueBytesMax) return false;
    this.#messages.push(queued);
    this.#bytes = bytes;
    return true;
  }

  /** Empties the queue; ascending by count, equal counts as they arrived. */
  take(): readonly QueuedMessage[] {
    return this.takeArrived().sort((a, b) => a.message.count - b.message.count);
  }

  /** Empties the queue; in order of arrival. */
  takeArrived(): QueuedMessage[] {
    const messages = this.#messages;
    this.clear();
    return messages;
  }

  clear(): void {
    this.#messages = [];
    this.#bytes = 0;
  }
}
