// The alerts' core on paper: members that hear each other, channels that work or do not, time by hand.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { AlertGroup, type Call } from "../../../test/double/alert-group.ts";

const delayS = 20;
const clearS = 60;

function texts(calls: readonly Call[]): readonly string[] {
  return calls.flatMap(({ by, items }) => items.map(({ id, state }) => `${by}: ${id} ${state}`));
}

test("a node that goes is told once, by the lowest of the others, and once that it is back", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.run(30);
  group.part([[1, 2], [3]]);
  group.kill(3);
  group.run(delayS - 2);
  expect(texts(group.calls)).toEqual([]);
  group.run(10);
  expect(texts(group.calls)).toEqual(["1: node/3 open"]);
  group.start(3);
  group.part([[1, 2, 3]]);
  group.run(clearS + 10);
  expect(texts(group.calls)).toEqual(["1: node/3 open", "1: node/3 over"]);
});

test("the sender itself goes: the next one tells, and the first one, back again, tells nothing twice", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.seen(2, "arbiter");
  group.run(40);
  expect(texts(group.calls)).toEqual(["1: arbiter open"]);
  group.kill(1);
  group.part([[2, 3]]);
  group.run(40);
  expect(texts(group.calls).slice(1)).toEqual(["2: node/1 open"]);
  group.start(1);
  group.part([[1, 2, 3]]);
  group.run(clearS + 15);
  expect(texts(group.calls).slice(2)).toEqual(["1: node/1 over"]);
  group.unseen(2, "arbiter");
  group.run(clearS + 15);
  expect(texts(group.calls).slice(3)).toEqual(["1: arbiter over"]);
});

test("without quorum each part says one thing, and once it is over one member says so", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.seen(1, "link/1-2/1");
  group.run(40);
  group.calls.length = 0;
  group.part([[1], [2], [3]]);
  group.run(60);
  expect(texts(group.calls).toSorted()).toEqual([
    "1: quorum/1 open",
    "2: quorum/2 open",
    "3: quorum/3 open",
  ]);
  group.part([[1, 2, 3]]);
  group.run(60);
  expect(texts(group.calls).slice(3)).toEqual([
    "1: quorum/1 over",
    "1: quorum/2 over",
    "1: quorum/3 over",
  ]);
});

test("a first node of a cluster that starts says nothing for two minutes", () => {
  const group = new AlertGroup([1, 2, 3], { running: [1] });
  group.run(110);
  expect(texts(group.calls)).toEqual([]);
  group.run(30);
  expect(texts(group.calls)).toEqual(["1: quorum/1 open"]);
});

test("what only one node can see is neither over nor new while it is away", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.seen(3, "certificate/3/pve-ssl.pem");
  group.seen(3, "link/2-3/0");
  group.run(40);
  group.kill(3);
  group.part([[1, 2]]);
  group.run(300);
  expect(texts(group.calls)).toEqual([
    ...["1: link/2-3/0 open", "1: certificate/3/pve-ssl.pem open", "1: node/3 open"],
  ]);
  group.start(3);
  group.part([[1, 2, 3]]);
  group.unseen(3, "link/2-3/0");
  group.run(clearS + 20);
  expect(texts(group.calls).slice(3).toSorted()).toEqual(["1: link/2-3/0 over", "1: node/3 over"]);
});

test("a channel that fails is tried later and later; what it could not tell comes once it works", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.run(10);
  group.isWorking = false;
  group.seen(1, "link/1-2/0");
  group.run(600);
  const tries = group.tries.length;
  expect(tries).toBeGreaterThan(4);
  expect(tries).toBeLessThan(12);
  group.unseen(1, "link/1-2/0");
  group.run(120);
  group.isWorking = true;
  group.run(700);
  // It came and went meanwhile: one message says so.
  expect(texts(group.calls)).toEqual(["1: link/1-2/0 over"]);
  const [item] = group.calls[0]?.items ?? [];
  expect(item?.until).toBeGreaterThan(item?.since ?? 0);
  expect(group.logs.filter((text) => text.includes("could not be sent")).length).toBe(1);
});

test("something grave does not wait for the pause after a failure", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.isWorking = false;
  group.seen(1, "link/1-2/0");
  group.run(1000);
  const before = group.tries.length;
  group.part([[1], [2, 3]]);
  group.kill(2);
  group.kill(3);
  group.run(30);
  expect(group.tries.length).toBeGreaterThan(before);
});

test("in quiet times only what is urgent is sent, the rest when they end", () => {
  const group = new AlertGroup([1, 2, 3], { quiet: [{ from: 0, minutes: 60 }] });
  group.seen(1, "link/1-2/0");
  group.run(120);
  expect(texts(group.calls)).toEqual([]);
  group.part([[1], [2], [3]]);
  group.kill(2);
  group.kill(3);
  group.run(60);
  expect(texts(group.calls)).toEqual(["1: quorum/1 open"]);
  group.start(2);
  group.start(3);
  group.part([[1, 2, 3]]);
  group.run(3600);
  expect(texts(group.calls).slice(1)).toEqual(["1: quorum/1 over", "1: link/1-2/0 open"]);
});

test("what is muted is not sent; its end neither", () => {
  const group = new AlertGroup([1, 2, 3], { mutes: new Map([["link", Number.MAX_SAFE_INTEGER]]) });
  group.seen(1, "link/1-2/0");
  group.seen(1, "arbiter");
  group.run(60);
  group.unseen(1, "link/1-2/0");
  group.run(120);
  expect(texts(group.calls)).toEqual(["1: arbiter open"]);
});

test("a flapping link is one alert, and over when it has been well for longer", () => {
  const group = new AlertGroup([1, 2]);
  group.run(10);
  for (let at = 0; at < 20; at += 1) {
    group.seen(1, "link/1-2/0");
    group.run(30);
    group.unseen(1, "link/1-2/0");
    group.run(90);
  }
  group.run(2000);
  const states = texts(group.calls);
  expect(states.length).toBeLessThan(8);
  expect(states.at(-1)).toBe("1: link/1-2/0 over");
});

test("shorter than the delay is nothing", () => {
  const group = new AlertGroup([1, 2]);
  for (let at = 0; at < 20; at += 1) {
    group.seen(1, "link/1-2/0");
    group.run(delayS - 4);
    group.unseen(1, "link/1-2/0");
    group.run(4);
  }
  expect(texts(group.calls)).toEqual([]);
});

test("an open alert is told again after a day", () => {
  const group = new AlertGroup([1]);
  group.seen(1, "certificate/1/pve-ssl.pem");
  group.run(60);
  group.run(86_600, 60);
  expect(texts(group.calls)).toEqual([
    "1: certificate/1/pve-ssl.pem open",
    "1: certificate/1/pve-ssl.pem still",
  ]);
});

test("a network that fails between many nodes is one alert", () => {
  const nodes = Array.from({ length: 8 }, (_, at) => at + 1);
  const group = new AlertGroup(nodes);
  for (const a of nodes) {
    for (const b of nodes.filter((each) => each > a)) group.seen(a, `link/${a}-${b}/1`);
  }
  group.run(60);
  expect(texts(group.calls)).toEqual(["1: network/1 open"]);
  for (const a of nodes) group.unseenAll(a);
  group.run(clearS + 20);
  expect(texts(group.calls)).toEqual(["1: network/1 open", "1: network/1 over"]);
});

test("all nodes are started anew: what was told stays told, by what lies on their disks", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.seen(2, "arbiter");
  group.run(40);
  for (const node of [1, 2, 3]) group.kill(node);
  group.part([[1, 2, 3]]);
  for (const node of [1, 2, 3]) group.start(node);
  group.run(60);
  expect(texts(group.calls)).toEqual(["1: arbiter open"]);
  group.unseen(2, "arbiter");
  group.run(clearS + 20);
  expect(texts(group.calls)).toEqual(["1: arbiter open", "1: arbiter over"]);
});

test("a sender that dies between the answer and telling so: told twice, never not", () => {
  const group = new AlertGroup([1, 2, 3]);
  group.seen(2, "arbiter");
  group.answerLost(1);
  group.run(40);
  group.run(120);
  expect(texts(group.calls)).toEqual(["1: arbiter open", "2: arbiter open", "2: node/1 open"]);
});

test("a member that tells nothing, such as an original, is not waited for", () => {
  const group = new AlertGroup([1, 2, 3], { deaf: [1] });
  group.seen(2, "arbiter");
  group.run(60);
  expect(texts(group.calls)).toEqual(["2: arbiter open"]);
});

const nodes = [1, 2, 3, 4, 5] as const;
const operation = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("run" as const),
      seconds: fc.integer({ min: 1, max: 60 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("part" as const),
      // Which of three parts each node is in.
      places: fc.array(fc.integer({ min: 0, max: 2 }), { minLength: 5, maxLength: 5 }),
    }),
  },
  fc.record({
    kind: fc.constantFrom("kill" as const, "start" as const),
    node: fc.constantFrom(...nodes),
  }),
  fc.record({
    kind: fc.constantFrom("seen" as const, "unseen" as const),
    node: fc.constantFrom(...nodes),
  }),
  fc.record({ kind: fc.constant("channel" as const), isWorking: fc.boolean() }),
);

function apply(
  group: AlertGroup,
  given: typeof operation extends fc.Arbitrary<infer T> ? T : never,
): void {
  switch (given.kind) {
    case "run":
      for (let left = given.seconds; left > 0; left -= 1) {
        group.run(1);
        // At no moment do two members of one part send.
        for (const part of group.parts) expect(group.acting(part).length).toBeLessThanOrEqual(1);
      }
      return undefined;
    case "part":
      return group.part(
        [0, 1, 2].map((place) => nodes.filter((_, at) => given.places[at] === place)),
      );
    case "kill":
      return group.kill(given.node);
    case "start":
      return group.start(given.node);
    case "seen":
      return group.seen(given.node, `certificate/${given.node}/pve-ssl.pem`);
    case "unseen":
      return group.unseen(given.node, `certificate/${given.node}/pve-ssl.pem`);
    case "channel":
      group.isWorking = given.isWorking;
      return undefined;
  }
  return given satisfies never;
}

test("whatever members and quorum did: one sender a part, two never at once, and nothing that holds is left untold", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 15 }), (operations) => {
      const group = new AlertGroup(nodes);
      group.run(15);
      for (const each of operations) {
        apply(group, each);
        apply(group, { kind: "run", seconds: 1 });
      }
      group.isWorking = true;
      // The longest pause after failures, and the longest that a flapping one is held open.
      group.run(2000, 5);
      for (const part of group.parts) {
        if (part.length > 0) expect(group.acting(part)).toEqual([Math.min(...part)]);
      }
      for (const part of group.parts) expect(group.unknown(part)).toEqual([]);
      // What was told last of each alert is how it is.
      group.start(1);
      for (const node of nodes) {
        group.start(node);
        group.unseenAll(node);
      }
      group.part([nodes]);
      group.run(3000, 5);
      expect([...group.lastTold()].filter(([, state]) => state !== "over")).toEqual([]);
    }),
    { numRuns: 25 },
  );
}, 120_000);

test("in peace each change is told exactly once", () => {
  const change = fc.record({
    node: fc.constantFrom(...nodes),
    restS: fc.integer({ min: 100, max: 200 }),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const group = new AlertGroup(nodes);
      group.run(15);
      const away = new Set<number>();
      for (const { node, restS } of changes) {
        const isBack = away.delete(node);
        if (isBack) group.start(node);
        else if (away.size >= 2) continue;
        else {
          group.kill(node);
          away.add(node);
        }
        group.part([nodes.filter((each) => !away.has(each))]);
        const before = group.calls.length;
        // One that comes back for a second time within the hour is over later.
        group.run(restS + (isBack ? 1000 : 0));
        expect(texts(group.calls.slice(before)).map((text) => text.slice(3))).toEqual([
          `node/${node} ${isBack ? "over" : "open"}`,
        ]);
      }
    }),
    { numRuns: 12 },
  );
}, 120_000);

test("the rest of the cluster loses quorum and joins one that had none: that is told too", () => {
  const group = new AlertGroup([1, 2, 3, 4]);
  group.run(15);
  group.part([[1, 2, 3], [4]]);
  group.run(60);
  expect(texts(group.calls).toSorted()).toEqual(["1: node/4 open", "4: quorum/4 open"]);
  group.kill(1);
  group.kill(2);
  group.part([[3, 4]]);
  group.run(60);
  expect(texts(group.calls).slice(2)).toEqual(["3: quorum/3 open"]);
  group.start(1);
  group.start(2);
  group.part([[1, 2, 3, 4]]);
  group.run(90);
  expect(texts(group.calls).slice(3).toSorted()).toEqual([
    "1: node/4 over",
    "1: quorum/3 over",
    "1: quorum/4 over",
  ]);
});
