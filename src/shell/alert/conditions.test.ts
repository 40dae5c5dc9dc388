// What a node sees that ought not to be, and what is told of it.
import { expect, test } from "bun:test";
import {
  deviceFacts,
  linkFacts,
  overviewOf,
  strangersNames,
} from "../../../test/double/overviews.ts";
import { nameOf } from "./condition.ts";
import { conditionsOf, type Sight } from "./conditions.ts";
import type { Item } from "./events.ts";
import {
  decodeLedger,
  decodeSighting,
  encodeLedger,
  encodeSighting,
  type Entry,
  merged,
  newer,
  nextSerial,
  tellBytesMax,
} from "./ledger.ts";
import { mailOf } from "./mail.ts";
import { meaningOf, messageOf, subjectOf, testMessage } from "./meaning.ts";
import fc from "fast-check";

const wallMs = Date.parse("2026-11-30T12:00:00Z");

function sightOf(away: readonly number[], more: Partial<Sight> = {}): Sight {
  const overview = overviewOf([1, 2, 3], away, { device: null });
  return { ...overview, ...{ nodeid: 1, wallMs, verified: undefined, kept: [] }, ...more };
}

const ids = (sight: Sight) => conditionsOf(sight).map(({ id }) => id);

test("of a healthy cluster there is nothing to tell", () => {
  expect(conditionsOf(sightOf([]))).toEqual([]);
});

test("who is absent, and lost quorum with who is missing", () => {
  expect(ids(sightOf([3]))).toEqual(["node/3"]);
  const [quorum, ...rest] = conditionsOf(sightOf([2, 3]));
  expect(quorum?.state).toBe(
    "pve1: Not quorate: 1 of 3 votes, 2 needed. 1 more is needed. Reading works, changes are refused. Missing: pve2, pve3.",
  );
  expect(rest.map(({ id }) => id)).toEqual(["node/2", "node/3"]);
});

test("a link of a member that is down, with its time and reason; none of who is absent, none that is off", () => {
  const down = { connected: false, changes: [{ agoMs: 65_000, isUp: false, reason: "no answer" }] };
  const links = [
    linkFacts(2, 1, down),
    linkFacts(3, 0, down),
    linkFacts(2, 0, { ...down, enabled: false }),
  ];
  expect(conditionsOf(sightOf([3], { links })).slice(1)).toEqual([
    {
      id: "link/1-2/1",
      since: wallMs - 65_000,
      state: "Link 1 between pve1 and pve2 at 10.0.0.2 is down: no answer.",
    },
  ]);
});

test("what is seen again a moment later is the same sentence", () => {
  const down = (agoMs: number) => [
    linkFacts(2, 1, { connected: false, changes: [{ agoMs, isUp: false, reason: "no answer" }] }),
  ];
  const later = conditionsOf(sightOf([], { links: down(66_000), wallMs: wallMs + 1000 }));
  expect(later).toEqual(conditionsOf(sightOf([], { links: down(65_000) })));
});

test("an arbiter that gives no vote", () => {
  expect(ids(sightOf([], { device: deviceFacts }))).toEqual([]);
  const device = { ...deviceFacts, state: "Connect failed" as const, problem: "nobody answers" };
  expect(conditionsOf(sightOf([], { device }))).toEqual([
    { id: "arbiter", state: "The arbiter gives no vote to pve1: nobody answers." },
  ]);
});

test("a tree that differed, and one that is kept, for a week", () => {
  const verified = { at: wallMs / 1000 - 60, equal: false };
  expect(conditionsOf(sightOf([], { verified }))).toMatchObject([
    { id: "tree/1", since: wallMs - 60_000 },
  ]);
  expect(ids(sightOf([], { kept: ["20261129T120000Z-v17"] }))).toEqual(["kept/1"]);
  expect(ids(sightOf([], { kept: ["20261101T120000Z-v17"] }))).toEqual([]);
});

test("certificates: one that renews itself later than one that does not", () => {
  const certificates = [
    { file: "pve-root-ca.pem", daysLeft: 29.5 },
    { file: "nodes/pve1/pve-ssl.pem", daysLeft: 12 },
    { file: "nodes/pve1/pveproxy-ssl.pem", daysLeft: -1 },
  ];
  expect(conditionsOf(sightOf([], { certificates }))).toEqual([
    {
      id: "certificate/0/pve-root-ca.pem",
      state: "The certificate pve-root-ca.pem expires within 30 days.",
    },
    {
      id: "certificate/1/pveproxy-ssl.pem",
      state: "The certificate nodes/pve1/pveproxy-ssl.pem has expired.",
    },
  ]);
});

test("a standalone node has neither quorum nor nodes to lose", () => {
  const { quorum } = overviewOf([1], [1]);
  expect(ids(sightOf([2, 3], { quorum: { ...quorum, mode: "standalone" } }))).toEqual([]);
});

const situation = {
  ...{ cluster: "prod", node: "pve1", version: "1.0.0", wallMs, members: [1, 2] },
  verdict: "Quorate: 2 of 3 votes, 2 needed. No further node may fail.",
  nodes: [1, 2, 3].map((nodeid) => ({ nodeid, name: `pve${nodeid}` })),
};

test.each([
  ...["quorum/1", "arbiter", "node/3", "link/1-2/0", "network/1", "tree/2", "kept/2"],
  ...[
    "certificate/1/pve-ssl.pem",
    "certificate/0/pve-root-ca.pem",
    "certificate/1/pveproxy-ssl.pem",
  ],
])("%s has an effect and a next step", (id) => {
  expect(nameOf(id)).toBeDefined();
  const { effect, nextStep } = meaningOf(id, situation);
  expect(effect).toMatch(/\.$/);
  expect(nextStep).toMatch(/[.)`]$|there\.$/);
});

test("names of anywhere else are none", () => {
  for (const id of [
    "",
    "node/",
    "node/x",
    "link/1/0",
    "link/1-2/8",
    "../x",
    "quorum",
    "x".repeat(200),
  ]) {
    expect(nameOf(id)).toBeUndefined();
  }
});

const item: Item = {
  ...{ id: "node/3", serial: 7, state: "open", since: wallMs, until: 0, times: 1 },
  what: "pve3 is not in the cluster, and does not answer.",
};

test("a message says what, since when, the effect and the next step, and the whole in a line", () => {
  const over = {
    ...item,
    id: "arbiter",
    serial: 8,
    state: "over" as const,
    until: wallMs + 60_000,
    what: "The arbiter was away.",
  };
  const message = messageOf([item, over], situation);
  expect(message).toMatchObject({
    ...{ source: "quorate", cluster: "prod", sentBy: "pve1", isTest: false },
    text: "prod: pve3 is not in the cluster, and does not answer. (and 1 more)",
    alerts: [
      { key: "node/3#7", kind: "node", state: "open", since: "2026-11-30T12:00:00Z", until: null },
      {
        key: "arbiter#8",
        state: "over",
        until: "2026-11-30T12:01:00Z",
        what: "It is over: The arbiter was away.",
      },
    ],
  });
  expect(message.alerts[0]?.effect).toContain("No further node may fail.");
  expect(message.alerts[0]?.nextStep).toContain("quorate-node of pve3");
});

test.each(strangersNames)("nobody's name gets out of its header: %j", (name) => {
  const strange = { ...situation, cluster: name, node: name, nodes: [{ nodeid: 3, name }] };
  const message = messageOf([{ ...item, what: `${name} is not in the cluster.` }], strange);
  for (const each of [message, testMessage(strange)]) {
    const { content } = mailOf({ to: ["a@example.org", "b@example.org"], from: "" }, each, {
      ...{ hostname: name, id: name, at: wallMs },
    });
    const [head = "", ...body] = content.split("\r\n\r\n");
    // Each line is a header that we make, or goes on with one.
    for (const line of head.split("\r\n")) {
      expect(line).toMatch(
        /^(?:(?:From|To|Subject|Date|Message-ID|Auto-Submitted|MIME-Version|Content-Type|Content-Transfer-Encoding): [\x20-\x7e]+|[ \t][\x21-\x7e][\x20-\x7e]*)$/,
      );
      expect(line.length).toBeLessThan(200);
    }
    expect(body.length).toBeGreaterThan(0);
    expect(content.replaceAll("\r\n", "")).not.toMatch(/[\r\n\0]/);
    for (const line of content.split("\r\n")) expect(Buffer.byteLength(line)).toBeLessThan(998);
  }
  expect(subjectOf(message)).not.toMatch(/[\r\n\0\u202e]/);
});

const entryArbitrary = fc.record(
  {
    id: fc.constantFrom("quorum/1", "node/1", "node/2", "link/1-2/0"),
    serial: fc.integer({ min: 1, max: 6 }),
    ...{ since: fc.constant(1), until: fc.constant(0), at: fc.integer({ min: 0, max: 3 }) },
    state: fc.constantFrom("a", "b"),
    times: fc.constant(1),
    told: fc.record(
      { webhook: fc.integer({ min: 0, max: 6 }), mail: fc.integer({ min: 0, max: 6 }) },
      { noNullPrototype: true },
    ),
    by: fc.constantFrom("", "pve1", "pve2"),
    toldAt: fc.integer({ min: 0, max: 2 }),
  },
  { noNullPrototype: true },
);
const byId = (entries: readonly Entry[]) => new Map(entries.map((entry) => [entry.id, entry]));

test("property: members that hear the same in whatever order know the same", () => {
  fc.assert(
    fc.property(fc.array(entryArbitrary, { maxLength: 8 }), (entries) => {
      const one = merged(byId([]), entries) ?? byId([]);
      const other = merged(byId([]), entries.toReversed()) ?? byId([]);
      expect([...one].toSorted()).toEqual([...other].toSorted());
      expect(merged(one, other.values())).toBeUndefined();
      for (const entry of entries) {
        const known = one.get(entry.id);
        if (known === undefined) throw new Error("an entry was lost");
        expect(newer(known, entry)).toEqual(known);
      }
    }),
  );
});

test("a serial rises and says whether it is open, whatever the clock does", () => {
  const opened = nextSerial(0, true, wallMs);
  expect(opened % 2).toBe(1);
  const over = nextSerial(opened, false, wallMs - 1_000_000);
  expect(over).toBe(opened + 1);
  expect(nextSerial(over, true, wallMs + 5000)).toBeGreaterThan(over);
});

test("property: what a member tells is read back, in its bounds; anything else is nothing", () => {
  const state = fc.string({ unit: "binary", maxLength: 400 });
  fc.assert(
    fc.property(fc.array(state, { maxLength: 80 }), (states) => {
      const seen = states.map((text, at) => ({
        id: `node/${at + 1}`,
        since: at,
        state: text.slice(0, 240),
      }));
      const bytes = encodeSighting({ v: 1, beat: 3, ready: true, seen, sending: [] });
      expect(bytes.length).toBeLessThanOrEqual(tellBytesMax);
      const read = decodeSighting(bytes);
      expect(read?.seen.length).toBeGreaterThanOrEqual(Math.min(states.length, 20));
      for (const each of read?.seen ?? []) expect(each.state).not.toMatch(/\p{C}/u);
    }),
    { numRuns: 30 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(decodeLedger(bytes)).toEqual([]);
      expect(decodeSighting(bytes)).toBeUndefined();
    }),
  );
  expect(decodeLedger(new Uint8Array(tellBytesMax + 1))).toEqual([]);
  const foreign = new TextEncoder().encode('{"v":1,"entries":[{"id":"../x","serial":1}]}');
  expect(decodeLedger(foreign)).toEqual([]);
  expect(decodeLedger(encodeLedger(new Map()))).toEqual([]);
});

test("a member that answers on no link any more is about to be none: its links are not told", () => {
  const down = { connected: false, changes: [{ agoMs: 65_000, isUp: false, reason: "no answer" }] };
  const links = [linkFacts(2, 0, down), linkFacts(2, 1, down)];
  const { nodes } = sightOf([]);
  const unreachable = nodes.map((node) =>
    node.nodeid === 2 ? { ...node, isReachable: false } : node,
  );
  expect(ids(sightOf([], { links, nodes: unreachable }))).toEqual([]);
});
