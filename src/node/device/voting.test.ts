// Each of the guards alone: in the client several of them stand behind one another.
import { describe, expect, test } from "bun:test";
import type { DeviceAction } from "./events.ts";
import { servedDevice } from "../../../test/double/device-client.ts";
import { Voting } from "./voting.ts";

const [old, next] = [
  { rep: 1, seq: 9 },
  { rep: 1, seq: 13 },
];

const polls = (out: readonly DeviceAction[]): boolean[] =>
  out.flatMap((action) =>
    action.kind === "ask" && action.request.kind === "poll" ? [action.request.castsVote] : [],
  );

describe("voting", () => {
  test("an ACK for one ring is not polled for another, even when nobody pauses", () => {
    const voting = new Voting(5000, "Qdevice");
    const out: DeviceAction[] = [];
    voting.ringChanged(old);
    voting.resume();
    voting.set("ack", old, 0, out);
    expect(polls(out)).toEqual([true]);
    voting.ringChanged(next);
    voting.resume();
    voting.timedOut(5000, out);
    expect(polls(out)).toEqual([true]);
    voting.set("ack", next, 5000, out);
    expect(polls(out)).toEqual([true, true]);
  });

  test("between a node list and its membership message nothing is polled, not even a NACK", () => {
    const voting = new Voting(5000, "Qdevice");
    const out: DeviceAction[] = [];
    voting.ringChanged(old);
    voting.set("nack", old, 0, out);
    voting.timedOut(5000, out);
    expect(polls(out)).toEqual([]);
    voting.resume();
    voting.timedOut(10_000, out);
    expect(polls(out)).toEqual([false]);
  });

  test("the server's vote for an earlier ring changes nothing", () => {
    const device = servedDevice({ nodeid: 1, nodes: 2 });
    device.nodeList(next, [1, 2]);
    const say = (vote: "ack" | "nack" | "waitForReply", ring: typeof old): void =>
      device.hear({ kind: "voteInfo", seq: 1, vote, ring });
    say("ack", next);
    say("nack", old);
    say("waitForReply", old);
    expect(device.polls).toMatchObject([{ ring: next, castsVote: true }]);
    expect(device.timers.has("castVote")).toBe(true);
  });
});
