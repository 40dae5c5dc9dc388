// Alerts of a running node: looks every second, tells the others by the status store, sends what the core says, and answers whoever asks. What it needs of the
// node is given to it.
import { Turns } from "../../turns.ts";
import type { Clock, Level } from "../../world.ts";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import type { AlertsAnswer, AlertTestAnswer } from "../answers/alerts.ts";
import { verdictOf } from "../page/browser/verdict.ts";
import { AlertCore, isMuted } from "./alert-core.ts";
import { type ChannelName, channelNames, graveness, kindOf } from "./condition.ts";
import { conditionsOf, type Sight } from "./conditions.ts";
import type { AlertAction, AlertEvent, AlertNode, Look, Told } from "./events.ts";
import { type Entry, isOpen, type Ledger } from "./ledger.ts";
import { meaningOf, type Message, messageOf, type Situation, testMessage } from "./meaning.ts";
import { isQuiet, minuteOfWeek } from "./quiet.ts";
import { type AlertSettings, webhookPlace } from "./settings.ts";

const lookMs = 1000;

export interface AlertNodeFacts {
  readonly self: AlertNode;
  readonly cluster: string;
  readonly nodes: readonly AlertNode[];
  readonly isSynced: boolean;
  readonly sight: Omit<Sight, "nodeid" | "wallMs">;
}

export interface AlertPorts {
  readonly clock: Clock;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
  readonly version: string;
  /** Rejects when the ring gives no answer. */
  readonly look: () => Promise<AlertNodeFacts>;
  readonly settings: () => AlertSettings;
  readonly told: (nodeid: number) => Told;
  readonly publish: (what: "sighting" | "ledger", value: Uint8Array) => void;
  readonly send: (
    channel: ChannelName,
    message: Message,
    settings: AlertSettings,
  ) => Promise<Result<undefined>>;
  readonly remembered: () => Promise<Uint8Array | undefined>;
  readonly store: (ledger: Ledger) => void;
  readonly log: (level: Level, text: string, isForAll: boolean) => void;
}

export class Alerting {
  readonly #ports: AlertPorts;
  readonly #core = new AlertCore();
  readonly #turns: Turns<AlertEvent>;
  readonly #counts = { sent: { webhook: 0, mail: 0 }, failed: { webhook: 0, mail: 0 } };
  #last: { readonly look: Look; readonly situation: Situation } | undefined;
  #problems = "";
  #isTesting = false;
  #isStopped = false;
  #isSilent = false;
  #cancel: () => void = () => undefined;

  constructor(ports: AlertPorts) {
    this.#ports = ports;
    this.#turns = new Turns({ take: (event) => this.#take(event) });
  }

  /** Begins to watch, with what is remembered. */
  async start(): Promise<void> {
    const ledger = await this.#ports.remembered();
    if (this.#isStopped) return;
    if (ledger !== undefined) this.#turns.add({ kind: "remembered", ledger });
    this.#lookLater();
  }

  /** What is under way to a channel is let go: the next sender sends it, or this node's next start. */
  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  #lookLater(): void {
    this.#cancel = this.#ports.clock.after(lookMs, () => {
      void this.#look().finally(() => {
        if (!this.#isStopped) this.#lookLater();
      });
    });
  }

  async #look(): Promise<void> {
    const { log } = this.#ports;
    try {
      const facts = await this.#ports.look();
      if (this.#isStopped) return;
      this.#isSilent = false;
      this.#turns.add(this.#lookOf(facts));
    } catch (error) {
      // Once; the node ends by itself when its ring thread has.
      if (!this.#isSilent && !this.#isStopped)
        log("warning", `alerts see nothing: ${reasonOf(error)}`, false);
      this.#isSilent = true;
    }
  }

  #lookOf({ self, cluster, nodes, isSynced, sight }: AlertNodeFacts): Look {
    const { wallMs, told, settings, version } = this.#ports;
    const now = wallMs();
    const whole = { ...sight, nodeid: self.nodeid, wallMs: now };
    const { quorum } = sight;
    const { rules, problems } = settings();
    this.#tellProblems(problems);
    const look: Look = {
      ...{
        kind: "look",
        wallMs: now,
        minute: minuteOfWeek(new Date(now)),
        self,
        nodes,
        isSynced,
        rules,
      },
      ...{ isQuorate: quorum.quorate, members: quorum.members },
      reachable: sight.nodes.filter(({ isReachable }) => isReachable).map(({ nodeid }) => nodeid),
      conditions: conditionsOf(whole),
      told: new Map(nodes.map(({ nodeid }) => [nodeid, told(nodeid)])),
    };
    const situation: Situation = {
      ...{ cluster, node: self.name, version, wallMs: now, nodes, members: quorum.members },
      verdict: verdictOf(sight).sentence,
    };
    this.#last = { look, situation };
    return look;
  }

  /** When they are others than before. */
  #tellProblems(problems: readonly string[]): void {
    const text = problems.join("\n");
    if (text === this.#problems) return;
    this.#problems = text;
    for (const problem of problems)
      this.#ports.log("warning", `settings of alerts: ${problem}`, false);
  }

  #take(event: AlertEvent): void {
    const out: AlertAction[] = [];
    this.#core.step(event, this.#ports.clock.now(), out);
    for (const action of out) this.#perform(action);
  }

  #perform(action: AlertAction): void {
    const { publish, store, log } = this.#ports;
    switch (action.kind) {
      case "publish":
        return publish(action.what, action.value);
      case "store":
        return store(action.ledger);
      case "log":
        return log(action.level, action.text, action.isForAll);
      case "send":
        return void this.#send(action);
    }
    action satisfies never;
  }

  async #send({ channel, items }: Extract<AlertAction, { readonly kind: "send" }>): Promise<void> {
    const { send, settings, wallMs } = this.#ports;
    if (this.#last === undefined) return;
    const message = messageOf(items, { ...this.#last.situation, wallMs: wallMs() });
    const sent = await send(channel, message, settings());
    this.#counts[sent.ok ? "sent" : "failed"][channel] += 1;
    if (this.#isStopped) return;
    this.#turns.add(
      sent.ok
        ? { kind: "sent", channel, wallMs: wallMs() }
        : { kind: "failed", channel, reason: sent.reason },
    );
  }

  /** A test message by every channel, and into the log. A failure says why it does not begin. */
  async test(): Promise<Result<AlertTestAnswer>> {
    const { send, settings, wallMs, log } = this.#ports;
    if (this.#last === undefined)
      return failure("the node has just started: try again in a moment");
    if (this.#isTesting) return failure("a test is under way: wait for its end");
    this.#isTesting = true;
    try {
      const all = settings();
      const message = testMessage({ ...this.#last.situation, wallMs: wallMs() });
      log("notice", message.text, true);
      const results = await Promise.all(
        all.rules.channels.map(async (channel) => {
          const sent = await send(channel, message, all);
          const text = sent.ok ? `sent to ${targetOf(channel, all)}` : sent.reason;
          return { channel, ok: sent.ok, text };
        }),
      );
      const logged = {
        channel: "log" as const,
        ok: true,
        text: "a line in this node's log and in the cluster log",
      };
      return success({ node: this.#last.situation.node, results: [...results, logged] });
    } finally {
      this.#isTesting = false;
    }
  }

  report(): AlertsAnswer {
    const settings = this.#ports.settings();
    const { rules, problems } = settings;
    const at = this.#ports.wallMs();
    return {
      at,
      sender: this.#sender(),
      isQuiet: isQuiet(rules.quiet, minuteOfWeek(new Date(at))),
      channels: rules.channels.map((name) => ({
        name,
        target: targetOf(name, settings),
        fault: this.#core.faultOf(name),
      })),
      problems: [...problems],
      alerts: this.#core.entries.toSorted(byWorth).map((entry) => this.#shown(entry, settings, at)),
    };
  }

  #sender(): AlertsAnswer["sender"] {
    const nodeid = this.#core.sender;
    if (nodeid === undefined || this.#last === undefined) return null;
    const { look } = this.#last;
    const name = look.nodes.find((node) => node.nodeid === nodeid)?.name ?? "";
    return { nodeid, name, isHere: nodeid === look.self.nodeid };
  }

  #shown(entry: Entry, { rules }: AlertSettings, at: number): AlertsAnswer["alerts"][number] {
    const { id, since, until, state, by, toldAt, told, serial } = entry;
    const isNow = isOpen(entry);
    const situation = this.#last?.situation;
    const meaning =
      isNow && situation !== undefined ? meaningOf(id, situation) : { effect: "", nextStep: "" };
    const mutes = [id, kindOf(id)].map((name) => rules.mutes.get(name) ?? 0);
    return {
      ...{ id, kind: kindOf(id), isOpen: isNow, since, until: isNow ? null : until },
      ...{ what: state, ...meaning, isUrgent: rules.urgent.includes(kindOf(id)) },
      mutedUntil: isMuted(id, { rules, wallMs: at }) ? Math.max(...mutes) : null,
      ...{ sentBy: by, sentAt: toldAt === 0 ? null : toldAt },
      waitsFor: rules.channels.filter((name) => told[name] < serial),
    };
  }

  /** For metrics. */
  get counts() {
    const { sent, failed } = this.#counts;
    return {
      open: this.#core.entries.filter(isOpen).map(({ id }) => kindOf(id)),
      isSending: this.#core.isSending,
      channels: channelNames.map((name) => ({ name, sent: sent[name], failed: failed[name] })),
    };
  }
}

function byWorth(a: Entry, b: Entry): number {
  return (
    Number(isOpen(b)) - Number(isOpen(a)) ||
    (isOpen(a) ? graveness(a.id) - graveness(b.id) : 0) ||
    b.at - a.at
  );
}

/** For people, without secrets. */
function targetOf(channel: ChannelName, { webhook, mail }: AlertSettings): string {
  switch (channel) {
    case "webhook":
      return webhook === undefined ? "" : webhookPlace(webhook.url);
    case "mail": {
      const { to = [], server } = mail ?? {};
      const way = server === undefined ? "sendmail" : `${server.host}:${server.port}`;
      return `${to.join(", ")} by ${way}`;
    }
  }
  return channel satisfies never;
}
