// When a message is called stable (totem.md §3.4 step 14, `reportStable`): visits of the token as a script, with what is told at each.
import { expect, test } from "bun:test";
import { assert, present } from "../../assert.ts";
import { TestNetwork, testMessage } from "../../../test/double/ring-network.ts";
import type { RingAction, RingEvent } from "./events.ts";
import { decodeMessage, encodeMessage, type Token } from "./message.ts";
import type { Ring } from "./ring.ts";

const nobody = 0;

interface Visit {
  /** How many of the script's messages are told to be stable at this visit; undefined: none is told of. */
  readonly stable: number | undefined;
  readonly passed: { readonly seq: number; readonly aru: number; readonly aruNode: number };
}

/** One node of an idle ring of three, from here on alone with what the script brings. Numbers are those above the ring's last message. */
class Scripted {
  readonly #ring: Ring;
  /** Of the ring, and delivered to this node, when the script begins. */
  readonly #messages: number;
  readonly #deliveries: number;
  #token: Token;
  delivered = 0;

  constructor(nodeid: number) {
    const network = new TestNetwork({ seed: 17, nodeids: [1, 2, 3] });
    network.startAll();
    network.run(100);
    const node = network.node(nodeid);
    this.#ring = node.ring;
    this.#deliveries = node.stableDeliveries;
    this.#token = this.#passed();
    this.#messages = this.#token.seq;
    expect(this.#token).toMatchObject({ aru: this.#messages, aruNode: nobody });
    expect(node.ring.snapshot().highDelivered).toBe(this.#messages);
  }

  submit(name: string): void {
    this.#step({ kind: "submitted", queue: "application", message: testMessage(name, 10) });
  }

  /** The message `seq` of another node arrives. */
  hear(from: number, seq: number): void {
    const sender = new Scripted(from);
    sender.submit(`${from}/${seq}`);
    const sent = sender.#arrive({ seq: seq - 1, aru: 0, aruNode: from });
    const multicast = sent.find((action) => action.kind === "multicast");
    const { bytes } = present(multicast, "a node sends what was submitted");
    this.#step({ kind: "received", bytes });
  }

  /** The token comes. */
  visit(come: { readonly seq: number; readonly aru: number; readonly aruNode?: number }): Visit {
    const actions = this.#arrive(come);
    const [told, ...more] = actions.filter((action) => action.kind === "stable");
    expect(more).toEqual([]);
    const { seq, aru, aruNode } = this.#passed();
    const passed = { seq: seq - this.#messages, aru: aru - this.#messages, aruNode };
    if (told === undefined) return { stable: undefined, passed };
    // One message a packet.
    const stable = told.seq - this.#messages;
    expect(told.deliveries - this.#deliveries).toBe(stable);
    return { stable, passed };
  }

  /** The last token comes once more. */
  repeat(): readonly RingAction[] {
    return this.#step({ kind: "received", bytes: encodeMessage(this.#token) });
  }

  #arrive(come: {
    readonly seq: number;
    readonly aru: number;
    readonly aruNode?: number;
  }): readonly RingAction[] {
    this.#token = {
      ...this.#token,
      seq: this.#messages + come.seq,
      aru: this.#messages + come.aru,
      aruNode: come.aruNode ?? nobody,
      tokenSeq: this.#token.tokenSeq + 3,
    };
    return this.repeat();
  }

  #step(event: RingEvent): readonly RingAction[] {
    const actions: RingAction[] = [];
    this.#ring.step(event, 1000, actions);
    for (const action of actions) if (action.kind === "delivered") this.delivered += 1;
    return actions;
  }

  #passed(): Token {
    const { bytes } = present(this.#ring.snapshot().sentToken, "the token was passed on");
    const message = decodeMessage(bytes);
    assert(message.ok && message.value.kind === "token", "a token was passed on");
    return message.value;
  }
}

test("our own message, when the token is back from all others and none of them has lowered it", () => {
  const node = new Scripted(1);
  node.submit("a");
  expect(node.visit({ seq: 0, aru: 0 })).toEqual({
    stable: undefined,
    passed: { seq: 1, aru: 1, aruNode: nobody },
  });
  expect(node.delivered).toBe(1);
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBe(1);
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBeUndefined();
});

test("another's message, when the token has been with all once more since it came with it", () => {
  const node = new Scripted(2);
  node.hear(1, 1);
  expect(node.delivered).toBe(1);
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBeUndefined();
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBe(1);
});

test("a member lacks it: not before the token has gone round with that member's word that it has it", () => {
  const node = new Scripted(1);
  node.submit("a");
  node.visit({ seq: 0, aru: 0 });
  expect(node.visit({ seq: 1, aru: 0, aruNode: 3 })).toEqual({
    stable: undefined,
    passed: { seq: 1, aru: 0, aruNode: 3 },
  });
  expect(node.visit({ seq: 1, aru: 1 })).toEqual({
    stable: undefined,
    passed: { seq: 1, aru: 1, aruNode: nobody },
  });
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBe(1);
});

test("we lacked it and all others had it: the token must go round once with what we have", () => {
  const node = new Scripted(2);
  expect(node.visit({ seq: 1, aru: 1 })).toEqual({
    stable: undefined,
    passed: { seq: 1, aru: 0, aruNode: 2 },
  });
  node.hear(1, 1);
  expect(node.visit({ seq: 1, aru: 0, aruNode: 2 })).toEqual({
    stable: undefined,
    passed: { seq: 1, aru: 1, aruNode: nobody },
  });
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBe(1);
});

test("packets of one visit become stable as far as the slowest member has them", () => {
  const node = new Scripted(2);
  for (const seq of [1, 2, 3]) node.hear(1, seq);
  expect(node.visit({ seq: 3, aru: 3 }).stable).toBeUndefined();
  expect(node.visit({ seq: 3, aru: 2, aruNode: 3 }).stable).toBe(2);
  expect(node.visit({ seq: 3, aru: 3 }).stable).toBeUndefined();
  expect(node.visit({ seq: 3, aru: 3 }).stable).toBe(3);
});

test("a token that comes twice has not been anywhere in between", () => {
  const node = new Scripted(1);
  node.submit("a");
  node.visit({ seq: 0, aru: 0 });
  expect(node.repeat().filter((action) => action.kind === "stable")).toEqual([]);
  expect(node.visit({ seq: 1, aru: 1 }).stable).toBe(1);
});

test("what was passed on holds for its ring only", () => {
  const network = new TestNetwork({ seed: 5, nodeids: [1, 2, 3] });
  network.startAll();
  for (let sent = 0; sent < 50; sent += 1) {
    network.node(1).send(`before ${sent}`, 10);
    network.run(1);
  }
  network.kill(3);
  network.runUntil(() => network.isWhole([1, 2]), 20_000, "two are left");
  // Numbers begin again on the new ring, far below what the token of the old one had.
  const isMulticast = (bytes: Uint8Array): boolean => bytes[3] === 1;
  network.isLost = (frame) => isMulticast(frame.bytes) && frame.to === 2;
  network.node(1).send("after", 10);
  network.run(500);
  const isStable = (nodeid: number): boolean =>
    network.node(nodeid).stable.some(({ name }) => name === "after");
  expect([network.node(1).names.at(-1), isStable(1)]).toEqual(["after", false]);
  network.isLost = () => false;
  network.runUntil(() => isStable(1) && isStable(2), 3000, "stable on both");
});

test.each([1, 2, 3, 5])("in a ring of %p the sender knows after one rotation", (size) => {
  const nodeids = Array.from({ length: size }, (_, index) => index + 1);
  const network = new TestNetwork({ seed: 23, nodeids });
  network.startAll();
  // All ways are as long: no token overtakes the message that went before it.
  network.random.next = () => 0;
  for (const nodeid of nodeids) {
    const node = network.node(nodeid);
    let visits = 0;
    network.onFrame = ({ from, bytes }) => {
      const isSent = node.names.at(-1) === `${nodeid}`;
      if (from === nodeid && bytes[3] === 0 && isSent) visits += 1;
    };
    node.send(`${nodeid}`, 10);
    network.runUntil(() => node.stable.at(-1)?.name === `${nodeid}`, 3000, "stable");
    // Passed on with the message, before that was delivered; come back, and passed on once more in the step that tells of it.
    expect(visits).toBe(1);
  }
});
