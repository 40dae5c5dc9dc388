// The alerts of one node around the core: what it looks at, what goes out and comes back, and what whoever asks is told.
import { expect, test } from "bun:test";
import { HandClock } from "../../../test/double/hand-clock.ts";
import { overviewOf } from "../../../test/double/overviews.ts";
import type { Result } from "../../result.ts";
import { Alerting, type AlertNodeFacts } from "./alerting.ts";
import type { ChannelName } from "./condition.ts";
import { encodeLedger } from "./ledger.ts";
import type { Message } from "./meaning.ts";
import { readAlertSettings } from "./settings.ts";

const secret = "webhook: https://hooks.example.org/secret\n";

class Node {
  readonly clock = new HandClock();
  readonly sent: { readonly channel: ChannelName; readonly message: Message }[] = [];
  readonly logged: string[] = [];
  away: readonly number[] = [];
  answer: () => Promise<Result<undefined>> = async () => ({ ok: true, value: undefined });
  disk: Uint8Array | undefined;
  open = "alert-mail-to: a@example.org\n";
  lookFails = false;
  readonly alerting: Alerting;

  constructor() {
    this.alerting = new Alerting({
      clock: this.clock,
      wallMs: () => 1_790_000_000_000 + this.clock.now(),
      version: "1.0.0",
      look: async () => {
        if (this.lookFails) throw new Error("the ring is silent");
        return this.#facts();
      },
      settings: () => readAlertSettings(this.open, secret),
      told: () => ({ sighting: undefined, ledger: undefined }),
      publish: () => undefined,
      send: (channel, message) => {
        this.sent.push({ channel, message });
        return this.answer();
      },
      remembered: async () => this.disk,
      store: (ledger) => {
        this.disk = encodeLedger(ledger);
      },
      log: (level, text, isForAll) =>
        void this.logged.push(`${level}${isForAll ? " to all" : ""}: ${text}`),
    });
  }

  #facts(): AlertNodeFacts {
    const overview = overviewOf([1, 2, 3], this.away);
    return {
      self: { nodeid: 1, name: "pve1" },
      cluster: "prod",
      nodes: overview.nodes.map(({ nodeid, name }) => ({ nodeid, name })),
      isSynced: true,
      sight: { ...overview, verified: undefined, kept: [] },
    };
  }

  /** Each look is a promise: it has its turn before the next second. */
  async run(seconds: number): Promise<void> {
    for (let left = seconds; left > 0; left -= 1) {
      this.clock.advance(1000);
      for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
    }
  }
}

async function started(): Promise<Node> {
  const node = new Node();
  await node.alerting.start();
  await node.run(10);
  return node;
}

test("each channel is told once, the log always, and the report says so", async () => {
  const node = await started();
  node.away = [3];
  await node.run(40);
  expect(
    node.sent.map(({ channel, message }) => [channel, message.alerts.map(({ id }) => id)]),
  ).toEqual([
    ["webhook", ["node/3"]],
    ["mail", ["node/3"]],
  ]);
  expect(node.logged).toEqual(["warning to all: pve3 is not in the cluster, and does not answer."]);
  const { alerts, sender, channels } = node.alerting.report();
  expect(sender).toEqual({ nodeid: 1, name: "pve1", isHere: true });
  expect(channels.map(({ target }) => target)).toEqual([
    "https://hooks.example.org/********",
    "a@example.org by sendmail",
  ]);
  expect(alerts).toMatchObject([{ id: "node/3", isOpen: true, sentBy: "pve1", waitsFor: [] }]);
  expect(alerts[0]?.effect).toContain("2 of 3 votes");
  expect(node.alerting.counts).toMatchObject({ open: ["node"], isSending: true });
});

test("what failed is told, waits, and goes out when it works again", async () => {
  const node = await started();
  node.answer = async () => ({ ok: false, reason: "hooks.example.org does not answer" });
  node.away = [3];
  await node.run(40);
  const { alerts, channels } = node.alerting.report();
  expect(alerts[0]?.waitsFor).toEqual(["webhook", "mail"]);
  expect(channels[0]?.fault).toBe("hooks.example.org does not answer");
  node.answer = async () => ({ ok: true, value: undefined });
  await node.run(700);
  expect(node.alerting.report().alerts[0]?.waitsFor).toEqual([]);
  expect(node.logged.some((line) => line.includes("sent again by webhook"))).toBe(true);
});

test("a node that is started anew tells nothing twice", async () => {
  const first = await started();
  first.away = [3];
  await first.run(40);
  first.alerting.stop();
  const next = new Node();
  next.disk = first.disk;
  next.away = [3];
  await next.alerting.start();
  await next.run(60);
  expect(next.sent).toEqual([]);
  expect(next.alerting.report().alerts).toMatchObject([{ id: "node/3", sentBy: "pve1" }]);
});

test("a test goes by every channel, one at a time, and says what came of it", async () => {
  const node = new Node();
  expect(await node.alerting.test()).toMatchObject({ ok: false });
  await node.alerting.start();
  await node.run(2);
  const { promise, resolve } = Promise.withResolvers<Result<undefined>>();
  node.answer = () => promise;
  const tested = node.alerting.test();
  expect(await node.alerting.test()).toEqual({
    ok: false,
    reason: "a test is under way: wait for its end",
  });
  resolve({ ok: false, reason: "it refused" });
  expect(await tested).toMatchObject({
    ok: true,
    value: {
      node: "pve1",
      results: [
        { channel: "webhook", ok: false, text: "it refused" },
        { channel: "mail", ok: false, text: "it refused" },
        { channel: "log", ok: true },
      ],
    },
  });
  expect(node.sent[0]?.message.isTest).toBe(true);
});

test("wrong settings are told once, a silent ring once", async () => {
  const node = await started();
  node.open = "alert-delay: soon\n";
  node.lookFails = true;
  await node.run(5);
  node.lookFails = false;
  await node.run(5);
  expect(node.logged).toEqual([
    "warning: alerts see nothing: the ring is silent",
    "warning: settings of alerts: quorate.cfg, line 1: alert-delay: it is a number of seconds from 1 to 3600",
  ]);
  expect(node.alerting.report().problems).toHaveLength(1);
});

test("after its end nothing is sent or asked", async () => {
  const node = await started();
  node.away = [3];
  node.alerting.stop();
  await node.run(60);
  expect(node.sent).toEqual([]);
  expect(node.clock.waiting).toBe(0);
});
