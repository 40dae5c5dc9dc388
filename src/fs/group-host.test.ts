// The host of a replicated store: requests in order with patience, timers by name, no re-entrance.
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import type { GroupPort, GroupRequest } from "../world.ts";
import type { DfsmAction, DfsmEvent } from "./dfsm-events.ts";
import { GroupHost, requestTriesMax } from "./group-host.ts";

beforeEach(() => {
  jest.useFakeTimers();
});
afterEach(() => {
  jest.useRealTimers();
});

/** A core that plays back what the test scripts for each kind of event. */
function scripted(script: Partial<Record<DfsmEvent["kind"], DfsmAction[]>>) {
  const seen: string[] = [];
  const performed: string[] = [];
  const taken: GroupRequest[] = [];
  const state = { isFull: false, depth: 0, nowMs: 0 };
  const groups: GroupPort = {
    self: { nodeid: 1, pid: 2 },
    request: (request) => {
      if (state.isFull) return false;
      taken.push(request);
      return true;
    },
    listen: () => undefined,
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
    nowMs: () => state.nowMs,
    wallS: () => 77,
    perform: (action) => {
      performed.push(action.kind);
      // An action may cause an event: it must wait for its turn.
      if (action.kind === "fatal") host.step({ kind: "stopped" });
    },
  });
  return { host, seen, performed, taken, state };
}

const send = (token: number): DfsmAction => ({
  kind: "request",
  request: { kind: "send", group: "g", message: new Uint8Array([token]) },
  token,
});

test("requests go in order; one that is refused holds the others back until it is taken", () => {
  const { host, taken, state } = scripted({ started: [send(1), send(2)], failed: [send(3)] });
  state.isFull = true;
  host.step({ kind: "started" });
  host.step({ kind: "failed", reason: "" });
  expect([taken.length, host.waiting]).toEqual([0, 3]);
  state.isFull = false;
  jest.advanceTimersByTime(100);
  expect(taken.map((request) => request.kind === "send" && request.message[0])).toEqual([1, 2, 3]);
  expect(host.waiting).toBe(0);
});

test("after 100 tries of 0.1 s a request is given up and the next one tried", () => {
  const { host, seen, taken, state } = scripted({ started: [send(1), send(2)] });
  state.isFull = true;
  host.step({ kind: "started" });
  jest.advanceTimersByTime(100 * (requestTriesMax - 2));
  expect(seen).toEqual(["started @77"]);
  jest.advanceTimersByTime(100);
  expect(seen).toEqual(["started @77", "sendGivenUp 1 @77"]);
  state.isFull = false;
  jest.advanceTimersByTime(100);
  expect(taken).toHaveLength(1);
});

test("timers: arm replaces, disarm clears, a stop clears all", () => {
  const { host, seen, state } = scripted({
    started: [
      { kind: "arm", timer: "verify", at: 50 },
      { kind: "arm", timer: "verify", at: 200 },
      { kind: "arm", timer: "rejoin", at: 100 },
      { kind: "disarm", timer: "rejoin" },
    ],
    timedOut: [{ kind: "arm", timer: "rejoin", at: 400 }],
  });
  host.step({ kind: "started" });
  jest.advanceTimersByTime(199);
  expect(seen).toHaveLength(1);
  state.nowMs = 200;
  jest.advanceTimersByTime(1);
  expect(seen).toEqual(["started @77", "timedOut verify @77"]);
  host.close();
  jest.advanceTimersByTime(10_000);
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
