import type { RingId } from "../../world.ts";
import { describe, expect, test } from "bun:test";
import { withPrefix, type ServiceAction, type SyncService } from "../member/service.ts";
import { decodeSyncMessage, encodeSyncMessage, type SyncMessage } from "./sync-message.ts";
import { Sync } from "./sync.ts";

const ring: RingId = { rep: 1, seq: 9 };

/** A service that writes down what is asked of it. */
function recorder(id: number, diary: string[], isDone = () => true): SyncService {
  return {
    id,
    syncInit: (view) => void diary.push(`init ${id} [${view.transitional.join()}]`),
    syncProcess: () => {
      diary.push(`process ${id}`);
      return isDone();
    },
    syncActivate: () => void diary.push(`activate ${id}`),
    syncAbort: () => void diary.push(`abort ${id}`),
  };
}

class Bench {
  readonly diary: string[] = [];
  readonly out: ServiceAction[] = [];
  readonly sync: Sync;
  constructor(ids: readonly number[], isDone?: () => boolean) {
    this.sync = new Sync(ids.map((id) => recorder(id, this.diary, isDone)));
  }
  form(members: readonly number[], transitional: readonly number[], id = ring): void {
    this.sync.configured({ type: "transitional", ring: id, members: transitional }, 0, this.out);
    this.sync.configured({ type: "regular", ring: id, members }, 0, this.out);
  }
  hear(nodeid: number, message: SyncMessage): void {
    this.sync.received(nodeid, encodeSyncMessage(message), 0, this.out);
  }
  build(nodeid: number, services: readonly number[], id = ring): void {
    this.hear(nodeid, { kind: "serviceBuild", ring: id, services });
  }
  barrier(nodeid: number, id = ring): void {
    this.hear(nodeid, { kind: "barrier", ring: id });
  }
  /** Our messages since the last call. */
  said(): string[] {
    const said = this.out.flatMap((action) => {
      if (action.kind !== "submit") return [];
      expect(action.queue).toBe("sync");
      const decoded = decodeSyncMessage(action.message.subarray(8));
      if (!decoded.ok) throw new Error(decoded.reason);
      return [decoded.value.kind];
    });
    this.out.length = 0;
    return said;
  }
}

describe("synchronisation", () => {
  test("one barrier a service, each behind its data, activation by the last one", () => {
    const bench = new Bench([5, 0]);
    bench.form([1, 2], [1]);
    expect(bench.said()).toEqual(["serviceBuild"]);
    bench.build(1, [0, 5]);
    expect(bench.said()).toEqual([]);
    bench.build(2, [0, 5]);
    expect(bench.said()).toEqual(["barrier"]);
    bench.barrier(2);
    bench.barrier(1);
    expect(bench.said()).toEqual(["barrier"]);
    bench.barrier(1);
    expect(bench.sync.synchronising).toBe(true);
    bench.barrier(2);
    expect(bench.diary).toEqual([
      "init 0 [1]",
      "init 5 [1]",
      "process 0",
      "activate 0",
      "process 5",
      "activate 5",
    ]);
    expect(bench.sync.synchronising).toBe(false);
    expect(bench.out).toContainEqual({ kind: "synchronised", ring, members: [1, 2] });
  });

  test("services of others are waited for without doing anything", () => {
    const bench = new Bench([2]);
    bench.form([1, 2], [1, 2]);
    bench.build(1, [2]);
    bench.build(2, [0, 2, 5]);
    expect(bench.said()).toEqual(["serviceBuild", "barrier"]);
    for (let step = 0; step < 3; step += 1) {
      expect(bench.sync.synchronising).toBe(true);
      bench.barrier(1);
      bench.barrier(2);
    }
    expect(bench.sync.synchronising).toBe(false);
    expect(bench.diary).toEqual(["init 2 [1,2]", "process 2", "activate 2"]);
  });

  test("barriers count while our own service still works", () => {
    let isDone = false;
    const bench = new Bench([5], () => isDone);
    bench.form([1, 2], [1]);
    bench.build(1, [5]);
    bench.build(2, [5]);
    bench.barrier(2);
    expect(bench.said()).toEqual(["serviceBuild"]);
    bench.sync.advance(0, bench.out);
    expect(bench.said()).toEqual([]);
    isDone = true;
    bench.sync.advance(0, bench.out);
    expect(bench.said()).toEqual(["barrier"]);
    bench.barrier(1);
    expect(bench.sync.synchronising).toBe(false);
  });

  test("messages of other rings, of strangers and repeated lists count for nothing", () => {
    const bench = new Bench([0]);
    bench.form([1, 2], [1]);
    bench.build(1, [0]);
    bench.build(2, [0], { rep: 1, seq: 5 });
    bench.build(3, [0]);
    bench.build(1, [0]);
    bench.barrier(2);
    expect(bench.said()).toEqual(["serviceBuild"]);
    bench.build(2, [0]);
    expect(bench.said()).toEqual(["barrier"]);
    bench.barrier(1);
    bench.build(2, [0]);
    bench.barrier(3);
    bench.barrier(2, { rep: 2, seq: 9 });
    expect(bench.sync.synchronising).toBe(true);
    bench.barrier(2);
    expect(bench.sync.synchronising).toBe(false);
  });

  test("a new ring in the middle aborts the running service and starts over", () => {
    const bench = new Bench([0, 2]);
    bench.form([1, 2], [1, 2]);
    bench.build(1, [0, 2]);
    bench.build(2, [0, 2]);
    bench.barrier(1);
    bench.barrier(2);
    bench.diary.length = 0;
    bench.said();
    const next = { rep: 1, seq: 13 };
    bench.form([1, 3], [1, 3], next);
    expect(bench.diary).toEqual(["abort 2", "init 0 [1,3]", "init 2 [1,3]"]);
    bench.barrier(1);
    bench.build(3, [0, 2]);
    expect(bench.said()).toEqual(["serviceBuild"]);
    bench.build(1, [0, 2], next);
    bench.build(3, [0, 2], next);
    expect(bench.said()).toEqual(["barrier"]);
  });

  test("the transitional list keeps only members of the new ring", () => {
    const bench = new Bench([0]);
    bench.form([1, 3], [1, 2, 3]);
    expect(bench.diary).toEqual(["init 0 [1,3]"]);
  });

  test("malformed messages are dropped with a word", () => {
    const bench = new Bench([0]);
    bench.form([1], [1]);
    bench.sync.received(1, new Uint8Array(31), 0, bench.out);
    expect(bench.out.at(-1)).toMatchObject({ kind: "log", level: "warning", subsystem: "SYNC" });
    const many = encodeSyncMessage({ kind: "serviceBuild", ring, services: [0] });
    many[32] = 129;
    expect(decodeSyncMessage(many).ok).toBe(false);
  });

  test("an annotated barrier of a real node", () => {
    const hex = "00000000000000002000000000000000010000001100000000000000" + "00000000";
    const bytes = Uint8Array.from(Buffer.from(hex, "hex"));
    const meaning: SyncMessage = { kind: "barrier", ring: { rep: 1, seq: 0x11 } };
    expect(decodeSyncMessage(bytes)).toEqual({ ok: true, value: meaning });
    expect(Buffer.from(encodeSyncMessage(meaning)).toString("hex")).toBe(hex);
    expect(withPrefix("sync", bytes)).toHaveLength(40);
  });
});
