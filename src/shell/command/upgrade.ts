// `quorate upgrade`: brings a verified file beside the installed one, lets it test itself, and hands the rest to the old file's rescuer,
// which swaps, restarts, watches, and keeps or rolls back (U1–U6, U10, U11, U13). It never writes to the installed file.
import { existsSync, realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { closeFd, errnoName, errnos, lockFile } from "../../libc.ts";
import { reasonOf } from "../../result.ts";
import { CommandFailure } from "../exit.ts";
import {
  fetchExecutable,
  type FindOptions,
  findRelease,
  localSource,
  type Release,
  remoteSource,
} from "../upgrade/candidate.ts";
import { ClusterLog } from "../upgrade/cluster-log.ts";
import { say } from "../upgrade/driver.ts";
import {
  defaultPatience,
  type Facts,
  type Patience,
  type UpgradeEvent,
} from "../upgrade/events.ts";
import { type Progress, stderrProgress } from "../cli/progress.ts";
import { upgradeExits } from "../upgrade/exits.ts";
import { followUpgrade } from "../upgrade/follow.ts";
import { nodeRefusal, serverRefusal } from "../upgrade/health.ts";
import { fileHash, UpgradeMachine } from "../upgrade/machine.ts";
import { packageOwner } from "../install/package-owner.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import { runningNode, runningServer, socketsBelow } from "../upgrade/running.ts";
import { detectManager, type ManagerKind, servicesOf } from "../unit/services.ts";
import { testStaged } from "../upgrade/staged.ts";
import { keyOfWord } from "../release/key-word.ts";
import { compareVersions, isVersion } from "../release/manifest.ts";

export interface UpgradeOptions {
  readonly root: string;
  /** The installed file; undefined: `self`. */
  readonly bin: string | undefined;
  /** The file that runs. */
  readonly self: string;
  readonly check: boolean;
  readonly from: string | undefined;
  readonly url: string | undefined;
  readonly to: string | undefined;
  readonly downgrade: boolean;
  readonly force: boolean;
  readonly isRestarting: boolean;
  readonly isWaiting: boolean;
  readonly healthySeconds: number | undefined;
  readonly patienceSeconds: number | undefined;
  /** Instead of the compiled-in ones: minisign public keys, or names of their files. */
  readonly keys: readonly string[];
  readonly releaseKeys: readonly string[];
  /** Of the file that runs. */
  readonly version: string;
  readonly target: string;
  readonly manager: ManagerKind | undefined;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

/** The exit code is one of `upgradeExits`; refusals and faults are CommandFailures with one. */
export async function upgradeCommand(options: UpgradeOptions): Promise<number> {
  const bin = installedFile(options);
  const machine = new UpgradeMachine(upgradePlaces(options.root, bin));
  const wanted = wantedRelease(options, machine);
  if (options.check) return check(options, machine, wanted);
  const interrupted = machine.record();
  if (interrupted.ok && interrupted.value === undefined) named(wanted);
  prepare(machine);
  const before = machine.events().length;
  const manager = await stage(options, machine, wanted);
  if (manager === undefined) return upgradeExits.done;
  return followUpgrade({ ...options, machine, manager, before });
}

function prepare(machine: UpgradeMachine): void {
  let fault: string | undefined;
  try {
    fault = machine.prepareState();
  } catch (error) {
    fault = `${machine.places.state} cannot be used (${reasonOf(error)}): run as root, or name the service's directory with --root`;
  }
  if (fault !== undefined) throw new CommandFailure(fault, upgradeExits.machine);
}

/** The program that is upgraded must be the one that runs: it becomes the rescuer. */
function installedFile({ bin, self, target }: UpgradeOptions): string {
  const path = bin === undefined ? self : resolve(bin);
  if (!existsSync(path)) throw new CommandFailure(`there is no ${path}`, upgradeExits.usage);
  const real = realpathSync(path);
  const [one, other] = [statSync(real), statSync(self)];
  if (target === "source" || one.ino !== other.ino || one.dev !== other.dev) {
    throw new CommandFailure(
      `a file is upgraded by itself, as it becomes its own rescuer: run "${real} upgrade"`,
      bin === undefined ? upgradeExits.machine : upgradeExits.usage,
    );
  }
  return real;
}

async function check(
  options: UpgradeOptions,
  machine: UpgradeMachine,
  wanted: FindOptions | undefined,
): Promise<number> {
  const { write, version } = options;
  write(`${machine.places.bin} is quorate ${version}\n`);
  const last = machine.events().at(-1);
  if (last !== undefined) write(`last event: ${last.at} ${last.event}: ${last.text}\n`);
  const record = machine.record();
  if (record.ok && record.value !== undefined) {
    write(`an upgrade to ${record.value.to.version} is under way (${record.value.phase})\n`);
  }
  if (wanted === undefined) return upgradeExits.done;
  const { manifest, file } = await findRelease(wanted);
  const order = compareVersions(manifest.version, version);
  const isSame = file.sha256 === fileHash(machine.places.bin);
  const isBad = machine.badBuilds().find(({ sha256 }) => sha256 === file.sha256);
  const remark = isSame
    ? "the same file; nothing to do"
    : order < 0
      ? "earlier than this one; --downgrade would take it"
      : "it can be installed";
  write(
    `available: quorate ${manifest.version}${manifest.development ? " (development)" : ""}: ${remark}\n`,
  );
  if (isBad !== undefined) write(`it was rolled back here on ${isBad.at}: ${isBad.reason}\n`);
  return upgradeExits.done;
}

/** From the command line alone, so that what is wrong with it is said before anything is touched. Undefined: no release is named. */
function wantedRelease(options: UpgradeOptions, machine: UpgradeMachine): FindOptions | undefined {
  const { from, to, target, releaseKeys, note } = options;
  if (to !== undefined && !isVersion(to)) {
    throw new CommandFailure(`--to is a version such as 0.1.0, not "${to}"`, upgradeExits.usage);
  }
  const keys = options.keys.length > 0 ? options.keys.map(keyOfWord) : releaseKeys;
  const given = options.url ?? "";
  const url = from === undefined && given === "" ? (machine.releaseUrl() ?? "") : given;
  if (from === undefined && url === "") return undefined;
  if (from === undefined && given === "") note(`quorate: from ${url}, as at its installation\n`);
  const source = from === undefined ? remoteSource(url) : localSource(from);
  return { source, version: to, target, keys };
}

function named(wanted: FindOptions | undefined): FindOptions {
  if (wanted !== undefined) return wanted;
  throw new CommandFailure(
    "say where the release is: --from DIRECTORY, or --url ADDRESS (or set QUORATE_MIRROR); it was not installed from an address",
    upgradeExits.usage,
  );
}

/** Under the lock, up to the record on disk. Undefined: there was nothing to do. */
async function stage(
  options: UpgradeOptions,
  machine: UpgradeMachine,
  wanted: FindOptions | undefined,
): Promise<ManagerKind | undefined> {
  const { places } = machine;
  const lock = lockFile(places.lock);
  if (!lock.ok) {
    throw new CommandFailure(
      lock.errno === errnos.EAGAIN
        ? `another upgrade is under way; "${places.bin} upgrade --check" says how it is`
        : `${places.lock} cannot be opened (${errnoName(lock.errno)}): run as root`,
      upgradeExits.machine,
    );
  }
  try {
    return await stageLocked(options, machine, wanted);
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    // The installed file was not touched; a record is only there when it was written as a whole.
    throw new CommandFailure(
      `the upgrade could not be prepared: ${reasonOf(error)}; nothing was changed`,
      upgradeExits.download,
    );
  } finally {
    closeFd(lock.fd);
  }
}

/** The manager with which an upgrade that was interrupted goes on. */
function resumedBy(options: UpgradeOptions, machine: UpgradeMachine): ManagerKind | undefined {
  const interrupted = machine.record();
  if (!interrupted.ok) throw new CommandFailure(interrupted.reason, upgradeExits.machine);
  if (interrupted.value === undefined) return undefined;
  const { before, to } = interrupted.value;
  options.note(`quorate: an upgrade to ${to.version} was interrupted: going on with it\n`);
  const names = before.map(({ role }) => role);
  return options.manager ?? detectManager(machine.places, names);
}

async function stageLocked(
  options: UpgradeOptions,
  machine: UpgradeMachine,
  wanted: FindOptions | undefined,
): Promise<ManagerKind | undefined> {
  const { note, version } = options;
  const { places } = machine;
  const resumed = resumedBy(options, machine);
  if (resumed !== undefined) return resumed;
  const owner = await packageOwner(places);
  if (owner !== undefined) throw new CommandFailure(owner, upgradeExits.machine);
  const release = await findRelease(named(wanted));
  const { manifest, file } = release;
  const current = fileHash(places.bin) ?? "";
  if (file.sha256 === current) {
    note(`quorate: nothing to do: ${places.bin} is quorate ${manifest.version} already\n`);
    return undefined;
  }
  checkVersion(options, machine, release);
  const { before, manager } = await services(options, machine);
  await fetchExecutable({ release, target: places.next, onProgress: showProgress(file.name) });
  machine.flushNext();
  const fault = await testStaged(
    places,
    manifest.version,
    before.map(({ role }) => role),
  );
  if (fault !== undefined) {
    machine.forget();
    throw new CommandFailure(
      `quorate ${manifest.version} was not installed: ${fault}`,
      upgradeExits.machine,
    );
  }
  const clusterLog = new ClusterLog({
    socket: socketsBelow(options.root).node,
    patienceMs: 0,
    note: (sentence) => note(`quorate: ${sentence}\n`),
  });
  const tell = (event: UpgradeEvent, text: string): void => {
    note(`${eventLine(event, text)}\n`);
    if (before.some(({ role }) => role === "node")) clusterLog.add(event, text);
  };
  const staged = `${manifest.version} is verified and passed its self-test; ${version} runs`;
  say({ machine, tell }, "staged", staged);
  await clusterLog.end();
  machine.keepPrevious();
  machine.persist({
    format: 1,
    from: { version, sha256: current },
    to: { version: manifest.version, sha256: file.sha256 },
    phase: "staged",
    before: options.isRestarting ? before : [],
    isRestarted: false,
    attempts: 0,
    reason: "",
    patience: patienceOf(options),
  });
  return manager;
}

function checkVersion(options: UpgradeOptions, machine: UpgradeMachine, release: Release): void {
  const { manifest, file } = release;
  if (compareVersions(manifest.version, options.version) < 0 && !options.downgrade) {
    throw new CommandFailure(
      `quorate ${manifest.version} is earlier than ${options.version}, which runs: use --downgrade to go back`,
      upgradeExits.machine,
    );
  }
  const bad = machine.badBuilds().find(({ sha256 }) => sha256 === file.sha256);
  if (bad !== undefined && !options.force) {
    throw new CommandFailure(
      `this file of quorate ${bad.version} was rolled back here on ${bad.at}: ${bad.reason}. Use --force to try it again`,
      upgradeExits.machine,
    );
  }
}

/** What runs, how it is, and who restarts it; refuses what would cost others their quorum. */
async function services(
  { root, force, isRestarting, manager: wanted }: UpgradeOptions,
  { places }: UpgradeMachine,
): Promise<{ readonly before: readonly Facts[]; readonly manager: ManagerKind }> {
  const sockets = socketsBelow(root);
  const node = await runningNode(sockets.node);
  const server = await runningServer(sockets.qnetd);
  const before: Facts[] = [node?.facts, server?.facts].filter((facts) => facts !== undefined);
  const names = before.map(({ role }) => role);
  const manager = wanted ?? detectManager(places, names);
  if (!isRestarting || before.length === 0) return { before, manager };
  const refusal =
    (node === undefined ? undefined : nodeRefusal(node.votes)) ??
    (server === undefined ? undefined : serverRefusal(server.clusters));
  if (refusal !== undefined && !force) throw new CommandFailure(refusal, upgradeExits.service);
  const managed = servicesOf(manager, places);
  for (const role of names) {
    const state = await managed.state(role);
    if (state === "running" || state === "starting") continue;
    throw new CommandFailure(
      `quorate ${role} runs here, but not as service quorate-${role} of ${manager === "none" ? "any service manager" : manager}, so nobody could restart it: ` +
        "make it a service (`quorate unit`), or use --no-restart and restart it yourself",
      upgradeExits.service,
    );
  }
  return { before, manager };
}

function patienceOf({ healthySeconds, patienceSeconds }: UpgradeOptions): Patience {
  const healthyMs =
    healthySeconds === undefined ? defaultPatience.healthyMs : healthySeconds * 1000;
  const unhealthyMsMax =
    patienceSeconds === undefined ? defaultPatience.unhealthyMsMax : patienceSeconds * 1000;
  const silentMsMax = Math.min(defaultPatience.silentMsMax, unhealthyMsMax);
  return { healthyMs, silentMsMax, unhealthyMsMax };
}

function showProgress(name: string): (bytes: number, total: number) => void {
  let progress: Progress | undefined;
  return (bytes, total) => {
    progress ??= stderrProgress(name, total);
    progress.update(bytes);
    if (bytes === total) progress.end("done");
  };
}

function eventLine(event: UpgradeEvent, text: string): string {
  return `quorate: ${event}: ${text}`;
}
