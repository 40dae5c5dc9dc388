// The vote of a quorum device as votequorum sees it (services.md §4.4, §4.8): a local client registers, polls for each ring and
// casts or withholds the device's votes; other nodes' devices are known by name only. A silent client never counts as a vote.
import { ringText, sameRing, type RingId } from "../../world.ts";
import { log, type ServiceAction } from "../member/service.ts";
import type { DeviceRequest, DeviceStatus } from "../device/events.ts";
import { hasFlag, members, setFlag, type Ledger } from "./ledger.ts";
import { deviceNameBytesMax, voterFlags, type VoteMessage } from "./message.ts";

/** What a local device client gets as an answer; `pending`: registered once `isRegistered` says so. */
export type DeviceAnswer = DeviceStatus | "pending";

/** What the device needs of the votes for one call. */
export interface DeviceCall {
  readonly ledger: Ledger;
  /** Ring of the last synchronisation that began. */
  readonly ring: RingId;
  readonly now: number;
  readonly out: ServiceAction[];
  send(message: VoteMessage): void;
  /** Our own record, as it is now. */
  sendSelf(): void;
  sendDeviceRecord(): void;
  /** Decides again whether we are quorate with the votes as they are now. */
  recount(): void;
}

const deviceFlags =
  voterFlags.deviceRegistered |
  voterFlags.deviceAlive |
  voterFlags.deviceCastVote |
  voterFlags.deviceMasterWins;

export class Device {
  /** The device's name as the cluster knows it, a byte string; empty when nobody named one. */
  #name = "";
  /** A registration of our own client that is on its way around the ring. */
  #pending: string | undefined;
  #isWaiting = false;
  #hasAskedMasterWins = false;

  /** The local client has said whether the node with the device's vote wins. */
  get hasAskedMasterWins(): boolean {
    return this.#hasAskedMasterWins;
  }

  get name(): string {
    return this.#name;
  }
  /** The synchronisation must wait for our client's poll for the new ring. */
  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  /** A registration that was delivered, our own included. */
  heardRegister(nodeid: number, isRegistered: boolean, name: string, call: DeviceCall): void {
    const { ledger, out } = call;
    if (!isRegistered) {
      const others = [...members(ledger)];
      if (!others.some((voter) => hasFlag(voter, voterFlags.deviceRegistered))) this.#name = "";
      return;
    }
    if (nodeid !== ledger.us.nodeid) {
      if (this.#name === "") {
        this.#name = name;
        log(out, "VOTEQ", "debug", "Remote qdevice name recorded");
      }
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (pending === undefined || hasFlag(ledger.us, voterFlags.deviceRegistered)) return;
    if (this.#name !== "" && this.#name !== pending) {
      const text = `A new qdevice with different name (new: ${pending} old: ${this.#name}) is trying to register!`;
      log(out, "VOTEQ", "warning", text);
      out.push({ kind: "deviceAnswered", request: "register", answer: "otherName" });
      return;
    }
    this.#name = pending;
    setFlag(ledger.us, voterFlags.deviceRegistered, true);
    out.push({ kind: "deviceAnswered", request: "register", answer: "ok" });
    call.sendDeviceRecord();
    call.sendSelf();
  }

  heardRename(nodeid: number, oldName: string, newName: string, out: ServiceAction[]): void {
    const text = `Received qdevice name change req from node ${nodeid} [from: ${oldName} to: ${newName}]`;
    log(out, "VOTEQ", "debug", text);
    if (this.#name !== "" && this.#name === oldName) this.#name = newName;
  }

  /** A ring began: a client that is alive must poll for it before the cluster goes on. */
  syncInit(call: DeviceCall): void {
    const { ledger, now, out } = call;
    const isUsed =
      hasFlag(ledger.us, voterFlags.deviceRegistered) && hasFlag(ledger.us, voterFlags.deviceAlive);
    this.#isWaiting = isUsed;
    if (!isUsed) return;
    const limitMs = ledger.rules.deviceSyncTimeoutMs;
    out.push({ kind: "arm", timer: "deviceTimeout", at: now + limitMs });
    const text = `waiting for quorum device ${this.#name} poll (but maximum for ${limitMs} ms)`;
    log(out, "VOTEQ", "notice", text);
  }

  /** A request of the local client; answered at once but for a registration that goes around the ring. */
  asked(request: DeviceRequest, call: DeviceCall): void {
    const answer = this.#answer(request, call);
    if (answer === "pending") return;
    call.out.push({ kind: "deviceAnswered", request: request.kind, answer });
  }

  #answer(request: DeviceRequest, call: DeviceCall): DeviceAnswer {
    switch (request.kind) {
      case "register":
        return this.register(request.name, call);
      case "unregister":
        return this.unregister(request.name, call);
      case "poll":
        return this.poll(request.name, request.castsVote, request.ring, call);
      case "masterWins":
        return this.setMasterWins(request.name, request.isAllowed, call);
    }
    request satisfies never;
    return "notAllowed";
  }

  register(name: string, call: DeviceCall): DeviceAnswer {
    if (!call.ledger.rules.isDeviceAllowed) return "notAllowed";
    if (name === "" || name.length >= deviceNameBytesMax || name.includes("\0")) return "badName";
    if (hasFlag(call.ledger.us, voterFlags.deviceRegistered)) {
      return name === this.#name ? "ok" : "otherName";
    }
    if (this.#name !== "" && this.#name !== name) return "otherName";
    if (this.#pending === undefined) {
      this.#pending = name;
      call.send({ kind: "deviceRegister", isRegistered: true, name });
    }
    return "pending";
  }

  unregister(name: string, call: DeviceCall): DeviceAnswer {
    const answer = this.#check(name, call);
    if (answer !== "ok") return answer;
    const { us } = call.ledger;
    us.flags &= ~deviceFlags;
    call.ledger.masterWins = false;
    this.#isWaiting = false;
    call.out.push({ kind: "disarm", timer: "deviceTimeout" });
    call.recount();
    call.sendSelf();
    call.send({ kind: "deviceRegister", isRegistered: false, name });
    return "ok";
  }

  /** The client is alive and says whether the device's votes count, for the ring that it names. */
  poll(name: string, castsVote: boolean, ring: RingId, call: DeviceCall): DeviceAnswer {
    const answer = this.#check(name, call);
    if (answer !== "ok") return answer;
    const { ledger, now, out } = call;
    if (!sameRing(ring, call.ring)) {
      const text = `Received poll ring id (${ringText(ring)}) != last sync ring id (${ringText(call.ring)}). Ignoring poll call.`;
      log(out, "VOTEQ", "debug", text);
      return "wrongRing";
    }
    const before = ledger.us.flags;
    setFlag(ledger.us, voterFlags.deviceAlive, true);
    setFlag(ledger.us, voterFlags.deviceCastVote, castsVote);
    // A vote that is taken back is gone at once: it may be given to another partition before our word has gone around a slow
    // ring, where the original counts it until then.
    if (!castsVote && (before & voterFlags.deviceCastVote) !== 0) call.recount();
    if (ledger.us.flags !== before) call.sendSelf();
    const at = now + ledger.rules.deviceTimeoutMs;
    out.push({ kind: "arm", timer: "deviceTimeout", at });
    this.#isWaiting = false;
    return "ok";
  }

  setMasterWins(name: string, isAllowed: boolean, call: DeviceCall): DeviceAnswer {
    const answer = this.#check(name, call);
    if (answer !== "ok") return answer;
    const before = call.ledger.us.flags;
    this.#hasAskedMasterWins = true;
    call.ledger.masterWins = isAllowed;
    setFlag(call.ledger.us, voterFlags.deviceMasterWins, isAllowed);
    if (call.ledger.us.flags !== before) call.sendSelf();
    return "ok";
  }

  rename(oldName: string, newName: string, call: DeviceCall): DeviceAnswer {
    const answer = this.#check(oldName, call);
    if (answer !== "ok") return answer;
    if (newName === "" || newName.length >= deviceNameBytesMax) return "badName";
    call.send({ kind: "deviceRename", oldName, newName });
    return "ok";
  }

  timedOut(call: DeviceCall): void {
    const { us } = call.ledger;
    this.#isWaiting = false;
    if (!hasFlag(us, voterFlags.deviceRegistered)) return;
    setFlag(us, voterFlags.deviceAlive, false);
    setFlag(us, voterFlags.deviceCastVote, false);
    log(call.out, "VOTEQ", "warning", `lost contact with quorum device ${this.#name}`);
    call.recount();
    call.sendSelf();
  }

  #check(name: string, call: DeviceCall): DeviceAnswer {
    if (!call.ledger.rules.isDeviceAllowed) return "notAllowed";
    if (!hasFlag(call.ledger.us, voterFlags.deviceRegistered)) return "notRegistered";
    return name === this.#name ? "ok" : "otherName";
  }
}
