// The host of a replicated store: requests in order and for a bounded time, timers by name, no re-entrance.
import { expect, test } from "bun:test";
import { HandClock } from "../../../test/double/hand-clock.ts";
import type { GroupPort, GroupRequest } from "../../world.ts";
import type { DfsmAction, DfsmEvent, RequestRank } from "./dfsm-events.ts";
import { GroupHost, requestMsMax, requestsWaitingMax } from "./group-host.ts";

/** A core that plays back what the test scripts for each kind of event. */
function scripted(script: Partial<Record<DfsmEvent["kind"], DfsmAction[]>>) {
  const seen: string[] = [];
  const performed: string[] = [];
  const taken: GroupRequest[] = [];
  const state = { isFull: false, depth: 0, failsOnce: false };
  const clock = new HandClock();
  const wanting: (() => void)[] = [];
  const groups: GroupPort = {
    self: { nodeid: 1, pid: 2 },
    request: (request) => {
      if (state.isFull) return false;
      taken.push(request);
      return true;
    },
    whenRoom: (act) => void wanting.push(act),
    caughtUp: () => Promise.resolve(),
    listen: () => undefined,
  };
  const makeRoom = (): void => {
    state.isFull = false;
    for (const act of wanting.splice(0)) act();
  };
  const host = new GroupHost<DfsmAction>({
    dfsm: {
      step: (event, _now, out) => {
        expect(state.depth).toBe(0);
        state.depth += 1;
        const token = event.kind === "sendGivenUp" ? ` ${event.token}` : "";
        const timer = event.kind === "timedOut" ? ` ${event.timer}` : "";
        seen.push(`${event.kind}${token}${timer} @${event.timeS}`);
        out.push(...(script[event.kind] ?? []));
        state.depth -= 1;
      },
    },
    groups,
    clock,
    wallS: () => 77,
    perform: (action) => {
      performed.push(action.kind);
      // An action may cause an event: it must wait for its turn.
      if (action.kind === "fatal") host.step({ kind: "stopped" });
      if (!state.failsOnce) return;
      state.failsOnce = false;
      throw new Error("the action failed");
    },
  });
  return { host, seen, performed, taken, state, clock, makeRoom };
}

const send = (token: number, rank: RequestRank = "operation"): DfsmAction => ({
  kind: "request",
  request: { kind: "send", group: "g", message: new Uint8Array([token]) },
  token,
  rank,
});
const sentBy = (taken: readonly GroupRequest[]) =>
  taken.map((request) => (request.kind === "send" ? request.message[0] : undefined));

test("operations go before updates that wait, one update between two, and never before anything else", () => {
  const { host, taken, state, makeRoom } = scripted({
    started: [send(1, "state"), send(2, "update"), send(3, "update"), send(4, "update")],
    failed: [send(5), send(6), send(7), send(8)],
    stopped: [send(9, "other"), send(10)],
  });
  state.isFull = true;
  host.step({ kind: "started" });
  host.step({ kind: "failed", reason: "" });
  host.step({ kind: "stopped" });
  makeRoom();
  expect(sentBy(taken)).toEqual([1, 5, 2, 6, 3, 7, 4, 8, 9, 10]);
});

test("a new state makes updates worthless that still wait", () => {
  const { host, taken, state, makeRoom } = scripted({
    started: [send(1, "update"), send(2, "update")],
    failed: [send(3), send(4, "other"), send(5, "state"), send(6, "update")],
  });
  state.isFull = true;
  host.step({ kind: "started" });
  host.step({ kind: "failed", reason: "" });
  makeRoom();
  expect(sentBy(taken)).toEqual([3, 4, 5, 6]);
});

test("updates of a large tree turn no caller away", () => {
  const updates = Array.from({ length: requestsWaitingMax + 5 }, () => send(1, "update"));
  const { host, taken, seen, state, makeRoom } = scripted({ started: updates, failed: [send(2)] });
  state.isFull = true;
  host.step({ kind: "started" });
  host.step({ kind: "failed", reason: "" });
  expect(seen).toHaveLength(2);
  makeRoom();
  expect(taken).toHaveLength(requestsWaitingMax + 6);
  expect(sentBy(taken)[0]).toBe(2);
});

test("requests go in order; one that is refused holds the others back until there is room", () => {
  const { host, taken, state, makeRoom } = scripted({
    started: [send(1), send(2)],
    failed: [send(3)],
  });
  state.isFull = true;
  host.step({ kind: "started" });
  host.step({ kind: "failed", reason: "" });
  expect([taken.length, host.waiting]).toEqual([0, 3]);
  makeRoom();
  expect(sentBy(taken)).toEqual([1, 2, 3]);
  expect(host.waiting).toBe(0);
});

test("a request is given up after the time that pmxcfs retries it; the next one has its own", () => {
  const { host, seen, taken, state, clock, makeRoom } = scripted({ started: [send(1), send(2)] });
  state.isFull = true;
  host.step({ kind: "started" });
  clock.advance(requestMsMax - 1);
  expect(seen).toEqual(["started @77"]);
  clock.advance(1);
  expect(seen).toEqual(["started @77", "sendGivenUp 1 @77"]);
  clock.advance(requestMsMax - 1);
  makeRoom();
  expect(taken).toHaveLength(1);
  clock.advance(requestMsMax);
  expect(seen).toHaveLength(2);
});

test("of those that belong together none is sent behind one that was given up", () => {
  const of = (token: number, unit: number): DfsmAction => Object.assign(send(token), { unit });
  const { host, seen, taken, state, clock, makeRoom } = scripted({
    started: [of(1, 1), send(2), of(3, 1), of(4, 1), of(5, 5)],
  });
  state.isFull = true;
  host.step({ kind: "started" });
  clock.advance(requestMsMax);
  makeRoom();
  expect(seen.slice(1).map((line) => line.split(" ")[1])).toEqual(["1", "3", "4"]);
  expect(sentBy(taken)).toEqual([2, 5]);
});

test("an action that throws tells its caller and wedges nothing", () => {
  const { host, seen, taken, state } = scripted({
    started: [{ kind: "modeChanged", mode: "error" }],
    stopped: [send(1)],
  });
  state.failsOnce = true;
  expect(() => host.step({ kind: "started" })).toThrow("the action failed");
  host.step({ kind: "stopped" });
  expect([seen.length, taken.length]).toEqual([2, 1]);
});

test("timers: arm replaces, disarm clears, a stop clears all", () => {
  const { host, seen, clock } = scripted({
    started: [
      { kind: "arm", timer: "verify", at: 50 },
      { kind: "arm", timer: "verify", at: 200 },
      { kind: "arm", timer: "rejoin", at: 100 },
      { kind: "disarm", timer: "rejoin" },
    ],
    timedOut: [{ kind: "arm", timer: "rejoin", at: 400 }],
  });
  host.step({ kind: "started" });
  clock.advance(199);
  expect(seen).toHaveLength(1);
  clock.advance(1);
  expect(seen).toEqual(["started @77", "timedOut verify @77"]);
  host.close();
  clock.advance(10_000);
  expect(seen).toHaveLength(2);
});

test("an event caused by an action is stepped after the actions before it", () => {
  const { host, seen, performed } = scripted({
    started: [
      { kind: "fatal", reason: "x" },
      { kind: "modeChanged", mode: "error" },
    ],
    stopped: [{ kind: "modeChanged", mode: "leave" }],
  });
  host.step({ kind: "started" });
  expect(seen).toEqual(["started @77", "stopped @77"]);
  expect(performed).toEqual(["fatal", "modeChanged", "modeChanged"]);
});
