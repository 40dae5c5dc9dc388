// Puts the alerts of a running node together: what it knows of ring and tree, its settings, the ways out.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { equalBytes } from "../../../bytes.ts";
import { systemClock } from "../../../deadlines.ts";
import type { Result } from "../../../result.ts";
import { Alerting, type AlertNodeFacts } from "../../alert/alerting.ts";
import type { ChannelName } from "../../alert/condition.ts";
import type { Ledger } from "../../alert/ledger.ts";
import { readLedger, writeLedger } from "../../alert/ledger-file.ts";
import { mailOf } from "../../alert/mail.ts";
import type { Message } from "../../alert/meaning.ts";
import { sendBySendmail } from "../../alert/sendmail.ts";
import {
  type AlertSettings,
  authoritiesPath,
  readAlertSettings,
  secretsPath,
} from "../../alert/settings.ts";
import { sendBySmtp } from "../../alert/smtp.ts";
import { postWebhook } from "../../alert/webhook.ts";
import type { Overview } from "../../answers/ring.ts";
import { quorumFacts } from "../../api/v1/quorum.ts";
import { deviceFacts, linkFacts, nodeFacts } from "../../api/v1/ring.ts";
import { settingsPath } from "../../monitor/metrics-access.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import type { NodeParts } from "../node/parts.ts";

/** Keys of the status store. */
const keys = { sighting: "quorate-alert-sight", ledger: "quorate-alert-told" } as const;
const sendMs = 20_000;
/** Certificates and kept trees change seldom, and cost the disk. */
const seldomMs = 30_000;

export interface AlertHostOptions {
  readonly parts: NodeParts;
  readonly monitor: Pick<Monitor, "look">;
  readonly certificates: () => Overview["certificates"];
}

export function openAlerting({ parts, monitor, certificates }: AlertHostOptions): Alerting {
  const { tree, cluster, options, log, clusterLog } = parts;
  const { statusStore } = tree;
  const settings = settingsReader(parts);
  const files = new LedgerWriter(parts);
  const seldom = remembering(() => ({
    certificates: certificates(),
    kept: tree.lostTrees.list().map(({ name }) => name),
  }));
  return new Alerting({
    clock: systemClock,
    wallMs: Date.now,
    version: options.version,
    look: async () => factsOf(parts, await monitor.look(), seldom()),
    settings,
    told: (nodeid) => ({
      sighting: statusStore.store.get(nodeid, keys.sighting),
      ledger: statusStore.store.get(nodeid, keys.ledger),
    }),
    publish: (what, value) => {
      const told = statusStore.set(keys[what], value);
      if (!told.ok)
        log("warning", `the other nodes cannot be told of alerts: ${told.reason}`, "ALERT");
    },
    send: (channel, message, by) => send(parts, channel, message, by),
    remembered: async () => {
      const read = await readLedger(options.paths.alerts, cluster.settings.clusterName);
      if (read.ok) return read.value;
      log("warning", read.reason, "ALERT");
      return undefined;
    },
    store: (ledger) => files.write(ledger),
    log: (level, text, isForAll) => {
      log(level, text, "ALERT");
      if (isForAll)
        clusterLog({ user: "root@pam", message: `alert: ${text}`, isFailure: level !== "notice" });
    },
  });
}

function factsOf(
  { mode, cluster, tree }: NodeParts,
  snapshot: Awaited<ReturnType<Monitor["look"]>>,
  {
    certificates,
    kept,
  }: { readonly certificates: Overview["certificates"]; readonly kept: readonly string[] },
): AlertNodeFacts {
  const { nodeid, name, clusterName, nodes } = cluster.settings;
  return {
    self: { nodeid, name },
    cluster: clusterName,
    nodes: nodes.map((node) => ({
      nodeid: node.nodeid,
      name: node.name || (node.addresses[0] ?? ""),
    })),
    isSynced: mode === "standalone" || tree.synced.includes(nodeid),
    sight: {
      quorum: quorumFacts({ mode, cluster }, snapshot),
      nodes: nodeFacts(cluster, snapshot),
      links: linkFacts(cluster, snapshot),
      ...deviceFacts(cluster, snapshot),
      ...{ certificates, kept },
      verified: tree.counts().verified,
    },
  };
}

/** Made anew when it is old. */
function remembering<T>(make: () => T): () => T {
  let last: { readonly at: number; readonly value: T } | undefined;
  return () => {
    const now = systemClock.now();
    if (last === undefined || now - last.at > seldomMs) last = { at: now, value: make() };
    return last.value;
  };
}

const nothing = new Uint8Array(0);

/** Parsed when a file is another. */
function settingsReader({ tree }: Pick<NodeParts, "tree">): () => AlertSettings {
  const bytesAt = (path: string): Uint8Array => {
    const read = tree.read(path);
    return read.ok ? read.value : nothing;
  };
  let last: { readonly bytes: readonly Uint8Array[]; readonly value: AlertSettings } | undefined;
  return () => {
    const bytes = [bytesAt(settingsPath), bytesAt(secretsPath)];
    const isSame = last?.bytes.every((each, at) => equalBytes(each, bytes[at] ?? nothing)) === true;
    if (last !== undefined && isSame) return last.value;
    const [open = "", secret = ""] = bytes.map((each) => new TextDecoder().decode(each));
    last = { bytes, value: readAlertSettings(open, secret) };
    return last.value;
  };
}

async function send(
  { tree }: Pick<NodeParts, "tree">,
  channel: ChannelName,
  message: Message,
  { webhook, mail }: AlertSettings,
): Promise<Result<undefined>> {
  const read = tree.read(authoritiesPath);
  const authorities = read.ok ? new TextDecoder().decode(read.value) : "";
  const gone = { ok: false, reason: `${channel} is not set up any more` } as const;
  switch (channel) {
    case "webhook":
      return webhook === undefined
        ? gone
        : postWebhook(webhook, message, { waitMs: sendMs, authorities });
    case "mail": {
      if (mail === undefined) return gone;
      const { server, user, password } = mail;
      const made = mailOf(mail, message, {
        hostname: hostname(),
        id: randomUUID(),
        at: Date.now(),
      });
      if (server === undefined) return sendBySendmail(made, { waitMs: sendMs });
      return sendBySmtp(made, {
        server,
        user,
        password,
        authorities,
        hostname: hostname(),
        waitMs: sendMs,
      });
    }
  }
  return channel satisfies never;
}

/** One write at a time; of several that come meanwhile the last. */
class LedgerWriter {
  readonly #parts: NodeParts;
  #waiting: Ledger | undefined;
  #isWriting = false;
  #fault = "";

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  write(ledger: Ledger): void {
    this.#waiting = ledger;
    if (!this.#isWriting) void this.#run();
  }

  async #run(): Promise<void> {
    const { options, cluster, log } = this.#parts;
    this.#isWriting = true;
    while (this.#waiting !== undefined) {
      const ledger = this.#waiting;
      this.#waiting = undefined;
      const fault = await writeLedger(options.paths.alerts, cluster.settings.clusterName, ledger);
      // A disk that stays full is told once.
      if (fault !== "" && fault !== this.#fault) log("warning", fault, "ALERT");
      this.#fault = fault;
    }
    this.#isWriting = false;
  }
}
