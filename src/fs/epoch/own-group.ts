// Joins the group of the quorate nodes and sends into it, in order, as far as the ring takes it. What belongs to an exchange that is over
// is not sent any more: the ring may be full for long, and nobody would heed it.
import type { GroupPort, GroupRequest } from "../../world.ts";
import { ownGroup } from "./message.ts";

/** Far above what one exchange has under way: beyond it are the states of exchanges that began anew, and only the last counts. */
const waitingMax = 64;

export class OwnGroup {
  readonly #groups: GroupPort;
  #waiting: GroupRequest[] = [];
  #isAwaitingRoom = false;

  constructor(groups: GroupPort) {
    this.#groups = groups;
  }

  join(): void {
    this.#request({ kind: "join", group: ownGroup });
  }

  leave(): void {
    this.forgetMessages();
    this.#request({ kind: "leave", group: ownGroup });
  }

  send(message: Uint8Array): void {
    const oldest = this.#waiting.findIndex(({ kind }) => kind === "send");
    if (this.#waiting.length >= waitingMax) this.#waiting.splice(oldest, 1);
    this.#request({ kind: "send", group: ownGroup, message });
  }

  forgetMessages(): void {
    this.#waiting = this.#waiting.filter(({ kind }) => kind !== "send");
  }

  #request(request: GroupRequest): void {
    this.#waiting.push(request);
    this.#drain();
  }

  #drain(): void {
    if (this.#isAwaitingRoom) return;
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (!this.#groups.request(first)) {
        this.#isAwaitingRoom = true;
        return this.#groups.whenRoom(() => {
          this.#isAwaitingRoom = false;
          this.#drain();
        });
      }
      this.#waiting.shift();
    }
  }
}
