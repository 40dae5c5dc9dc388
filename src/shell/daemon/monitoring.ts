// What a running node tells of itself over time: its monitor, the routes about it, its metrics and its report (pvecm.md §6), put together.
import { join } from "node:path";
import { systemClock } from "../../deadlines.ts";
import { textOfByteString } from "../../bytes.ts";
import type { RingSnapshot } from "../../node/thread/bridge.ts";
import type { Files } from "../../fs/tree/files.ts";
import { corosyncConfPath } from "../../fs/tree/rules.ts";
import type { Overview } from "../answers/ring.ts";
import type { Metrics } from "../api/api2.ts";
import type { Authenticate, Route } from "../api/route.ts";
import type { NodeStatus } from "../api/status.ts";
import { clusterLogEntries, clusterLogRoute } from "../api/v1/cluster-log.ts";
import { alertRoutes } from "../api/v1/alerts.ts";
import { eventRoutes } from "../api/v1/events.ts";
import { historyRoutes } from "../api/v1/history.ts";
import { type MetricsRouteSource, metricsPage, metricsRoutes } from "../api/v1/metrics.ts";
import { type OverviewSource, overviewRoutes } from "../api/v1/overview.ts";
import { quorumRoutes } from "../api/v1/quorum.ts";
import { reportRoute } from "../api/v1/report.ts";
import { ringStateRoutes } from "../api/v1/ring.ts";
import { treeRoutes } from "../api/v1/tree.ts";
import { isSecretPath } from "../api/v1/tree-path.ts";
import { authorityPaths, nodeCertificatePaths } from "../certificates/cluster-certificates.ts";
import { certificateOf, daysLeft } from "../certificates/certificate-state.ts";
import type { Leftover } from "../operation/operation-record.ts";
import { leftoverFile } from "../operation/operation-store.ts";
import type { Underway } from "../operation/operations.ts";
import type { NodePaths } from "../paths.ts";
import type { Door } from "../door/door.ts";
import { eventKinds } from "../monitor/event-kinds.ts";
import { expositionText, type MetricFamily } from "../monitor/exposition.ts";
import { isAllowedFrom, metricsNetworks, settingsPath } from "../monitor/metrics-access.ts";
import { Monitor } from "../monitor/monitor.ts";
import { type CertificateAge, nodeMetrics } from "../monitor/node-metrics.ts";
import { logText, machineFacts, type Section, sectionsOf } from "../monitor/report.ts";
import { dumpTree } from "../api/tree-dump.ts";
import { pathOfText } from "../api/path-text.ts";
import { lastUpgradeEvent } from "../upgrade/last-event.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import { versionLine } from "../version.ts";
import type { Alerting } from "../alert/alerting.ts";
import { openAlerting } from "./alert/alert-host.ts";
import { treeConfEffect, treeConfProblem } from "./node/conf-checks.ts";
import type { NodeParts } from "./node/parts.ts";

/** What is there only once the API is. */
export interface ServedFacts {
  readonly status: () => Promise<NodeStatus>;
  readonly warnings: (snapshot: RingSnapshot) => Promise<readonly string[]>;
  /** Undefined: nothing listens on the network. */
  readonly door: () => Pick<Door, "connections" | "counters"> | undefined;
}

const logEntriesOfReport = 200;

export class Monitoring {
  readonly monitor: Monitor;
  readonly alerting: Alerting;
  readonly #parts: NodeParts;
  readonly #served: ServedFacts;

  constructor(parts: NodeParts, served: ServedFacts) {
    this.#parts = parts;
    this.#served = served;
    const { mode, cluster, tree, options } = parts;
    const upgradeLog = upgradePlaces(options.paths.root, process.execPath).log;
    this.monitor = new Monitor({
      ...{ cluster, isMember: mode === "cluster", tree, clock: systemClock, wallMs: Date.now },
      upgradeEvent: () => lastUpgradeEvent(upgradeLog),
      historyFile: options.paths.history,
      log: (level, text) => parts.log(level, text, "API"),
    });
    this.alerting = openAlerting({
      ...{ parts, monitor: this.monitor },
      certificates: () => [...certificateAges(tree, parts.directoryName)],
    });
  }

  /** All but the list of operations. */
  routes(authenticate: Authenticate): readonly Route[] {
    const { mode, cluster, tree } = this.#parts;
    const { monitor } = this;
    return [
      ...quorumRoutes({ mode, cluster, monitor }),
      ...ringStateRoutes({ mode, cluster, monitor }),
      ...overviewRoutes(this.#overviewSource()),
      ...treeRoutes({
        files: tree,
        refusal: () => tree.counts().reason,
        confProblem: (content) => treeConfProblem(this.#parts, content),
        confEffect: (content) => treeConfEffect(this.#parts, content),
      }),
      clusterLogRoute(() => tree.statusStore.store.logEntries()),
      ...eventRoutes({ monitor, files: tree, authenticate }),
      ...historyRoutes(monitor),
      ...alertRoutes({
        ...{ files: tree, wallMs: Date.now },
        report: () => this.alerting.report(),
        test: () => this.alerting.test(),
        clusterLog: (user, message) => this.#parts.clusterLog({ user, message }),
      }),
      ...metricsRoutes({ families: () => this.metrics() }),
      reportRoute((who) => this.report(who)),
    ];
  }

  #overviewSource(): OverviewSource {
    const { mode, cluster, tree, options, startedAt, directoryName, operations } = this.#parts;
    return {
      ...{ mode, cluster, monitor: this.monitor, startedAt, wallMs: Date.now },
      nodeName: textOfByteString(directoryName),
      version: options.version,
      warnings: this.#served.warnings,
      treeRefusal: () => tree.counts().reason,
      certificates: () => [...certificateAges(tree, directoryName)],
      operations: () => {
        const { underway, leftover } = operations.report();
        return {
          operation: underway === undefined ? null : operationFacts(underway),
          leftover: leftover === undefined ? null : leftoverFacts(leftover, options.paths),
        };
      },
    };
  }

  /** Answers GET /metrics. */
  readonly metricsPage: Metrics = (request, authenticate) => {
    const { tree } = this.#parts;
    const source: MetricsRouteSource = {
      families: () => this.metrics(),
      isAllowed: (address) => {
        const read = tree.read(settingsPath);
        if (!read.ok) return false;
        return isAllowedFrom(address, metricsNetworks(new TextDecoder().decode(read.value)));
      },
    };
    return metricsPage(source, request, authenticate);
  };

  async metrics(): Promise<readonly MetricFamily[]> {
    const { mode, cluster, tree, options, startedAt, directoryName } = this.#parts;
    const { streams } = this.monitor;
    const { journal, ...counts } = tree.counts();
    const { user, system } = process.cpuUsage();
    return nodeMetrics({
      ...{ version: options.version, mode, settings: cluster.settings },
      snapshot: await this.monitor.look(),
      ...{ tree: counts, journal },
      certificates: certificateAges(tree, directoryName),
      door: this.#served.door(),
      streams: { open: streams.open, dropped: streams.counters.dropped },
      alerts: this.alerting.counts,
      process: {
        uptimeS: Math.max(0, Math.floor(Date.now() / 1000) - startedAt),
        residentBytes: process.memoryUsage.rss(),
        cpuS: (user + system) / 1_000_000,
      },
    });
  }

  report({ seesLog }: { readonly seesLog: boolean }): Promise<readonly Section[]> {
    const { tree, tasks, recentLog } = this.#parts;
    const { ring, history } = this.monitor;
    const all = (): boolean => true;
    return sectionsOf([
      ["what runs", () => versionLine()],
      ["machine", machineFacts],
      ["state", () => this.#served.status()],
      ["corosync.conf of the tree", () => fileText(tree, corosyncConfPath)],
      ["quorate.cfg", () => fileText(tree, settingsPath)],
      ["datacenter.cfg", () => fileText(tree, "datacenter.cfg")],
      ["objects of the tree", () => treeText(tree)],
      ["events, oldest first", () => eventsText(ring.after(0, eventKinds, 10_000).events)],
      ["the last day, in points of 30 minutes", () => history.archives.day.read(all, 86_400, 48)],
      ["metrics", async () => expositionText(await this.metrics())],
      ["tasks", () => tasks.active()],
      ["alerts", () => this.alerting.report()],
      ...(seesLog
        ? ([
            [
              "cluster log, newest first",
              () => {
                const entries = tree.statusStore.store.logEntries();
                return clusterLogEntries(entries, logEntriesOfReport, all);
              },
            ],
            ["log of this program, oldest first", () => logText(recentLog.lines)],
          ] as const)
        : []),
    ]);
  }
}

function operationFacts({ kind, id, step, isGoingBack }: Underway): Overview["operation"] {
  return { kind, id, step, isGoingBack };
}

function leftoverFacts(
  { kind, reason, obstacle, left }: Leftover,
  { operationDir }: NodePaths,
): Overview["leftover"] {
  return { kind, reason, obstacle, left, file: join(operationDir, leftoverFile) };
}

function fileText(files: Files, path: string): string {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : `(${read.reason})`;
}

/** Of what is secret the digest would help to guess it. */
function treeText(files: Files): string {
  const dumped = dumpTree(files);
  if (!dumped.ok) return dumped.reason;
  return dumped.value
    .map(({ path, type, mode, size, mtime, sha256 }) => {
      const digest = isSecretPath(pathOfText(path)) ? "-" : sha256.slice(0, 16) || "-";
      return `${type.padEnd(9)} ${mode} ${String(size).padStart(8)} ${mtime} ${digest} ${path}`;
    })
    .join("\n");
}

function eventsText(
  events: readonly { readonly at: number; readonly kind: string; readonly text: string }[],
): string {
  return events
    .map(({ at, kind, text }) => `${new Date(at).toISOString()} ${kind.padEnd(10)} ${text}`)
    .join("\n");
}

function certificateAges(files: Files, nodeName: string): readonly CertificateAge[] {
  const { certificate: own, customCertificate } = nodeCertificatePaths(nodeName);
  return [authorityPaths.certificate, own, customCertificate].flatMap((file) => {
    const read = files.read(file);
    const certificate = read.ok ? certificateOf(read.value) : undefined;
    return certificate === undefined ? [] : [{ file, daysLeft: daysLeft(certificate, Date.now()) }];
  });
}
