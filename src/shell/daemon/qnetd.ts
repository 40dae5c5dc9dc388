// The vote server as a process (qnetd.md §5.1): `quorate qnetd`, `corosync-qnetd`. It puts the parts together in the order of the
// original: lock, certificates, local socket, listener, READY; and takes them down in reverse. It must not load ring, tree or database.
import { fchmodSync, ftruncateSync, readFileSync, writeSync } from "node:fs";
import { totalmem } from "node:os";
import { basename, dirname } from "node:path";
import { textOfByteString } from "../../bytes.ts";
import { Directory } from "../../directory.ts";
import { onScarceDescriptors } from "../../listening.ts";
import { closeFd, errnoName, errnos } from "../../libc.ts";
import { type Happened, Lately } from "./lately.ts";
import { ServiceManager } from "./service-notify.ts";
import { reasonOf } from "../../result.ts";
import { releaseStartupMemory } from "./startup-memory.ts";
import { capacityOf } from "../../qnetd/server/capacity.ts";
import { configurationOf, defaultConfiguration } from "../../qnetd/server/configuration.ts";
import { EnrolmentServer } from "../../qnetd/enrol/enrolment-server.ts";
import { LogThrottle } from "../../qnetd/server/server-log.ts";
import {
  listenFault,
  VoteServerHost,
  type VoteServerHostOptions,
} from "../../qnetd/server/server.ts";
import {
  limitedSnapshot,
  type LimitedSnapshot,
  type ServerSnapshot,
} from "../../qnetd/session/snapshot.ts";
import { newCounters, type ServerCounters } from "../../qnetd/session/counters.ts";
import { type CertificateState, CertificateStore, renewalDays } from "../../qnetd/pki/store.ts";
import { importNss } from "../../qnetd/pki/store-nss.ts";
import { TlsUpgrade } from "../../qnetd/server/tls.ts";
import { ToolSocket } from "../../qnetd/tool/tool-socket.ts";
import type { ToolRequest } from "../../qnetd/tool/tool-socket-request.ts";
import { listText, type ServerFacts, statusText } from "../../qnetd/tool/tool-socket-text.ts";
import type { Level, LogAction } from "../../world.ts";
import { CommandFailure, exitFailed, exitOk } from "../exit.ts";
import { lastUpgradeEvent } from "../upgrade/last-event.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import type { EventLine } from "../upgrade/record.ts";
import { storeAdvice } from "../command/qnetd-advice.ts";
import type { QnetdWords } from "../command/qnetd-options.ts";
import type { PageAddress } from "../page/page-address.ts";

const expiryCheckMs = 86_400_000;
const descriptorsUnknown = 1024;

export interface QnetdOptions {
  readonly words: QnetdWords;
  /** From one address (an IPv6 network of 64 bits), verified clients not counted; 0: no limit; undefined: connectionsPerAddressDefault. */
  readonly connectionsPerAddressMax?: number | undefined;
  /** Where the status page is served; undefined: nowhere. */
  readonly http?: PageAddress | undefined;
  /** See VoteServerConfiguration; the original does not wait. */
  readonly isWaitingAfterStart?: boolean;
  readonly version: string;
  /** What the places of the machine are below; "" for its own. */
  readonly root: string;
  readonly log: (line: LogAction) => void;
}

/** What `snapshot` on the local socket answers, as JSON. */
export interface QnetdStatus extends LimitedSnapshot {
  readonly version: string;
  /** ISO 8601; `at`: when this was asked. */
  readonly startedAt: string;
  readonly at: string;
  readonly counters: Readonly<ServerCounters>;
  readonly server: ServerFacts;
  readonly certificates: readonly CertificateState[];
  /** Where their files are. */
  readonly certificateDirectory: string;
  /** The last event of an upgrade of this machine; absent: there was none. `at`: ISO 8601. */
  readonly upgrade?: EventLine;
  /** What the operator should do, in sentences. */
  readonly warnings: readonly string[];
  /** Notices and warnings, the last first: at most `latelyMax`. */
  readonly lately: readonly Happened[];
}

const nobody: ServerSnapshot = { connections: 0, clients: 0, clusters: [], absent: [] };

interface End {
  readonly code: number;
  readonly reason: string;
}

/** Resolves with the exit code after a graceful stop; throws CommandFailure when the server cannot start. */
export async function qnetdCommand(options: QnetdOptions): Promise<number> {
  process.umask(0o027);
  onScarceDescriptors((text) =>
    options.log({ kind: "log", level: "warning", subsystem: "MAIN", text }),
  );
  const server = new RunningQnetd(options);
  try {
    await server.start();
    return await server.untilEnd();
  } finally {
    await server.stop();
  }
}

class RunningQnetd {
  readonly #options: QnetdOptions;
  readonly #store: CertificateStore;
  readonly #manager: ServiceManager;
  readonly #end = Promise.withResolvers<End>();
  /** One bound over all lines that strangers can cause, wherever they come in. */
  readonly #strangers: LogThrottle;
  /** What was started, to be stopped in reverse order. */
  readonly #undo: (() => Promise<void>)[] = [];
  readonly #lately = new Lately();
  readonly #facts: ServerFacts;
  readonly #startedAt = new Date().toISOString();
  readonly #upgradeLog: string;
  #host: VoteServerHost | undefined;
  #tls: TlsUpgrade | undefined;

  constructor(options: QnetdOptions) {
    this.#options = options;
    this.#upgradeLog = upgradePlaces(options.root || "/", process.execPath).log;
    this.#strangers = new LogThrottle((line) => this.#say(line, "strangers"));
    const { words } = options;
    this.#store = new CertificateStore(words.settings.nssDbDir);
    this.#manager = new ServiceManager({
      environment: process.env,
      pid: process.pid,
      onFailure: (sentence) => this.#log("warning", sentence),
    });
    this.#facts = {
      address: words.address ?? "*",
      port: words.port,
      tls: words.tls,
      isClientCertificateRequired: words.isClientCertificateRequired,
      clientsMax: words.clientsMax,
      receiveBytesMax: words.settings.maxClientReceiveSize,
      sendBytesMax: words.settings.maxClientSendSize,
    };
  }

  async start(): Promise<void> {
    const { words, version } = this.#options;
    this.#catchSignals();
    for (const warning of words.warnings) this.#log("warning", warning);
    this.#lock();
    const listen = {
      address: words.address,
      port: words.port,
      family: words.family,
      backlog: words.settings.listenBacklog,
    };
    const fault = await listenFault(listen);
    if (fault !== undefined) throw new CommandFailure(fault);
    const tls = words.tls === "off" ? undefined : await this.#certificates();
    this.#tls = tls;
    await this.#openToolSocket();
    await this.#openPage();
    const { complaint, ...limits } = capacityOf(machine(), {
      connectionsMax: words.clientsMax,
      perAddressMax: this.#options.connectionsPerAddressMax,
    });
    if (complaint !== "") this.#log("warning", complaint);
    const host = new VoteServerHost({
      configuration: configurationOf(words.settings, {
        tls: words.tls,
        isClientCertificateRequired: words.isClientCertificateRequired,
        ...limits,
        isWaitingAfterStart:
          this.#options.isWaitingAfterStart ?? defaultConfiguration.isWaitingAfterStart,
      }),
      listen,
      tls,
      ...(tls === undefined ? {} : this.#enrolment(tls)),
      log: (line) => this.#say(line),
      strangers: this.#strangers,
      onFatal: (reason) => this.#end.resolve({ code: exitFailed, reason }),
    });
    this.#host = host;
    this.#undo.push(() => host.stop());
    const started = await host.start();
    if (!started.ok) throw new CommandFailure(started.reason);
    this.#feedWatchdog();
    this.#manager.ready(`serving votes on port ${host.port}`);
    this.#log(
      "notice",
      `vote server is running on ${this.#facts.address}:${host.port}, TLS ${words.tls}, version ${version}`,
    );
    const kept = releaseStartupMemory();
    if (kept !== undefined) this.#log("debug", `memory of the start is kept: ${kept}`);
  }

  /** Whoever has an invitation gets a certificate on the port where votes are served (§4.5 without root's ssh). */
  #enrolment(tls: TlsUpgrade): Required<Pick<VoteServerHostOptions, "enrol">> {
    const enrolment = new EnrolmentServer({
      tls,
      store: this.#store,
      log: (line) => this.#strangers.log(line),
      clock: () => Date.now(),
      now: () => performance.now(),
    });
    return { enrol: (socket, first) => enrolment.open(socket, first) };
  }

  async untilEnd(): Promise<number> {
    const end = await this.#end.promise;
    this.#log(end.code === exitOk ? "notice" : "error", end.reason);
    return end.code;
  }

  async stop(): Promise<void> {
    this.#manager.stopping("stopping");
    for (const undo of this.#undo.toReversed()) await undo();
    this.#undo.length = 0;
  }

  #catchSignals(): void {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const handler = (): void =>
        this.#end.resolve({ code: exitOk, reason: `${signal}: stopping` });
      process.on(signal, handler);
      this.#undo.push(async () => void process.off(signal, handler));
    }
  }

  /** One server for one lock file; the file stays, with our process id in it. */
  #lock(): void {
    const path = this.#options.words.settings.lockFile;
    const fault = (reason: string): CommandFailure =>
      new CommandFailure(
        `the lock file ${path} cannot be written: ${reason}; name another with -S lock_file=PATH,local_socket_file=PATH (quorate qnetd: --root DIR, or --set)`,
      );
    try {
      Directory.make(dirname(path), 0o750);
      using directory = Directory.open(dirname(path));
      const lock = directory.lock(basename(path));
      if (!lock.ok && lock.errno === errnos.EAGAIN) {
        throw new CommandFailure(`Another instance is running (it holds ${path})`);
      }
      if (!lock.ok) throw fault(errnoName(lock.errno));
      this.#undo.push(async () => void closeFd(lock.fd));
      ftruncateSync(lock.fd);
      writeSync(lock.fd, `${process.pid}\n`);
      fchmodSync(lock.fd, 0o640);
    } catch (error) {
      throw error instanceof CommandFailure ? error : fault(reasonOf(error));
    }
  }

  /** What is missing is made or taken over; what cannot be is said, and the server waits for it with TLS refused. */
  async #certificates(): Promise<TlsUpgrade> {
    const { words } = this.#options;
    const store = this.#store;
    const reason = await this.#prepareStore();
    const tls = new TlsUpgrade({
      store,
      isClientCertificateRequired: words.isClientCertificateRequired,
      onUnusable: (why) => this.#log("error", why),
    });
    const usable = reason === undefined ? tls.refresh() : { ok: false as const, reason };
    if (!usable.ok) {
      this.#log("error", `no client can use TLS yet: ${usable.reason}. ${this.#storeAdvice()}`);
    }
    await this.#checkExpiry();
    const timer = setInterval(() => void this.#checkExpiry(), expiryCheckMs);
    this.#undo.push(async () => clearInterval(timer));
    return tls;
  }

  /** Undefined when there are certificates now. */
  async #prepareStore(): Promise<string | undefined> {
    const store = this.#store;
    switch (store.state()) {
      case "ours":
        return undefined;
      case "nss": {
        const nickname = this.#options.words.settings.certNickname;
        const imported = await importNss(store, nickname, Date.now());
        if (!imported.ok) return imported.reason;
        this.#log("notice", `certificates of the NSS database in ${store.directory} taken over`);
        return undefined;
      }
      case "none": {
        const prepared = store.prepare({ isGroupWritable: true });
        if (!prepared.ok) return prepared.reason;
        const created = await store.create(Date.now());
        if (!created.ok) return created.reason;
        this.#log("notice", `a new certificate authority was made in ${store.directory}`);
        return undefined;
      }
    }
  }

  /** The server's own certificate renews itself; everything else is said while it lasts. */
  async #checkExpiry(): Promise<void> {
    for (const state of this.#store.certificates(Date.now())) {
      if (state.warning === "") continue;
      if (state.isServer) {
        const renewed = await this.#store.renewServer(Date.now());
        if (renewed.ok) {
          this.#log(
            "notice",
            `the server's certificate had ${state.daysLeft} of ${renewalDays} days left: renewed`,
          );
          continue;
        }
        this.#log("warning", `${state.warning} It could not be renewed here: ${renewed.reason}`);
      } else this.#log("warning", state.warning);
    }
  }

  async #openToolSocket(): Promise<void> {
    const { settings } = this.#options.words;
    const socket = await ToolSocket.listen({
      path: settings.localSocketFile,
      backlog: settings.localSocketBacklog,
      umask: settings.localSocketUmask,
      group: settings.localSocketGid,
      clientsMax: settings.ipcMaxClients,
      requestBytesMax: settings.ipcMaxReceiveSize,
      answerBytesMax: settings.ipcMaxSendSize,
      answer: (request) => this.#answer(request),
      shutdown: () =>
        this.#end.resolve({ code: exitOk, reason: "stopping by request of the tool" }),
      onRefused: (text) =>
        this.#strangers.log({ kind: "log", level: "error", subsystem: "MAIN", text }),
    });
    if (!socket.ok) throw new CommandFailure(socket.reason);
    this.#undo.push(async () => socket.value.close());
  }

  /** The page's code is loaded only where it is wanted. */
  async #openPage(): Promise<void> {
    const { http } = this.#options;
    if (http === undefined) return;
    const { startQnetdPage } = await import("../page/qnetd-page.ts");
    const page = await startQnetdPage({
      address: http,
      status: () => this.#status(this.#host?.snapshot() ?? nobody),
      log: (level, text) => this.#log(level, text),
    });
    if (!page.ok) throw new CommandFailure(page.reason);
    this.#undo.push(() => page.value.close());
  }

  #answer(request: Exclude<ToolRequest, { kind: "error" }>): string {
    const snapshot = this.#host?.snapshot() ?? nobody;
    switch (request.kind) {
      case "status":
        return statusText(this.#facts, snapshot, request.isVerbose);
      case "list":
        return listText(snapshot, {
          isVerbose: request.isVerbose,
          cluster: request.cluster === undefined ? undefined : textOfByteString(request.cluster),
        });
      case "snapshot":
        return `${JSON.stringify(this.#status(snapshot))}\n`;
      case "shutdown":
        return "";
    }
    return request satisfies never;
  }

  #status(snapshot: ServerSnapshot): QnetdStatus {
    const { words, version } = this.#options;
    const certificates = words.tls === "off" ? [] : this.#store.certificates(Date.now());
    const warnings = certificates.map(({ warning }) => warning).filter((text) => text !== "");
    const usable = this.#tls?.refresh();
    if (usable?.ok === false) {
      warnings.push(`No client can use TLS: ${usable.reason}. ${this.#storeAdvice()}.`);
    }
    const upgrade = lastUpgradeEvent(this.#upgradeLog);
    return {
      version,
      startedAt: this.#startedAt,
      at: new Date().toISOString(),
      server: this.#facts,
      counters: { ...(this.#host?.counters ?? newCounters()) },
      ...limitedSnapshot(snapshot),
      certificates,
      certificateDirectory: this.#store.directory,
      ...(upgrade === undefined ? {} : { upgrade }),
      warnings,
      lately: this.#lately.lines,
    };
  }

  #storeAdvice(): string {
    return storeAdvice(this.#store, this.#options.root, process.geteuid?.() ?? 0);
  }

  #feedWatchdog(): void {
    const everyMs = this.#manager.watchdogMs;
    if (everyMs === undefined) return;
    const timer = setInterval(() => this.#manager.watchdog(), everyMs);
    this.#undo.push(async () => clearInterval(timer));
  }

  #log(level: Level, text: string): void {
    this.#say({ kind: "log", level, subsystem: "MAIN", text });
  }

  #say(line: LogAction, whose: "own" | "strangers" = "own"): void {
    this.#lately.add(line, whose, Date.now());
    this.#options.log(line);
  }
}

/** What bounds the connections; a service manager may allow less memory than the machine has, and would end us beyond it. */
function machine(): { readonly descriptors: number; readonly memoryBytes: number } {
  let limits = "";
  try {
    limits = readFileSync("/proc/self/limits", "latin1");
  } catch {
    // Without /proc the least that systems give is taken.
  }
  const word = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1];
  const memoryBytes = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  const descriptors =
    word === "unlimited" ? Number.MAX_SAFE_INTEGER : Number(word ?? descriptorsUnknown);
  return { descriptors, memoryBytes };
}
