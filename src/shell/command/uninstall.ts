// `quorate uninstall`: stops what was installed and removes what was written down then, and nothing else; with --purge, after asking,
// also keys, certificates and the tree (engineering.md §13 I16). A node whose leaving would cost its cluster the quorum is not stopped.
import { existsSync, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname } from "node:path";
import { defaultAdvancedSettings } from "../../qnetd/server/configuration.ts";
import { isAnswered } from "../api/api-socket.ts";
import { NodeClient } from "../api/client.ts";
import { CommandFailure, exitFailed, exitNotRunning, exitOk } from "../exit.ts";
import { type RoleData, roleData } from "../install/data.ts";
import { managerOf, tracesOf } from "../install/service-manager.ts";
import {
  type Installed,
  type InstallPlaces,
  installPlaces,
  readInstalled,
} from "../install/record.ts";
import { linkTarget, Steps } from "../install/steps.ts";
import { linkNames } from "../tool/link-names.ts";
import { nodePaths } from "../paths.ts";
import type { NodeStatus } from "../api/status.ts";
import { roles } from "../upgrade/events.ts";
import { run } from "../unit/services.ts";
import { askOnTerminal } from "./ask.ts";

const askMsMax = 15_000;

export interface UninstallOptions {
  /** Data as well. */
  readonly isPurge: boolean;
  /** Do not ask. */
  readonly isYes: boolean;
  /** Even if the cluster loses its quorum. */
  readonly isForce: boolean;
  readonly isDry: boolean;
  readonly write: (text: string) => void;
}

export async function uninstallCommand(options: UninstallOptions): Promise<number> {
  const isRoot = process.getuid?.() === 0;
  const home = process.env["HOME"] ?? userInfo().homedir;
  const places = installPlaces(isRoot, home);
  const isRecorded = existsSync(places.record);
  const installed = readInstalled(isRecorded ? readFileSync(places.record, "utf8") : "");
  const { ours, left } = dataThere(installed, places);
  const data = options.isPurge ? ours : [];
  if (!isRecorded && data.length === 0) {
    const remains = [
      ...(ours.length > 0 ? [`${ours.join(" ")} (--purge removes that, after asking)`] : []),
      ...left,
    ];
    throw new CommandFailure(
      `nothing is written down as installed (${places.record} does not exist)${isRoot ? "" : "; what root installed only root removes"}` +
        (remains.length > 0 ? `; there is data: ${remains.join(", ")}` : ""),
    );
  }
  await refuseRunning(installed, places);
  if (!options.isForce) await checkQuorum(installed);
  if (data.length > 0 && !options.isYes && !options.isDry) {
    const list = data.map((path) => `  ${path}\n`).join("");
    askOnTerminal(`This removes keys, certificates and configuration for good:\n${list}`, {
      ...{ what: "--purge", declined: "nothing was removed" },
    });
  }

  const steps = new Steps(options);
  await stopServices(installed, home, steps);
  await unmount(installed, steps);
  removeFiles(installed, steps);
  for (const { manager } of installed.services) {
    for (const words of managerOf(manager, home)?.forget ?? []) await steps.tryCommand(words);
  }
  for (const { role } of installed.services) {
    for (const path of tracesOf(role, places)) steps.remove(path);
  }
  await removeUsers(installed, steps);
  for (const path of data) {
    if (installed.directories.includes(path)) steps.remove(path);
    else steps.empty(path);
  }
  steps.remove(places.state);
  for (const path of installed.directories.toReversed()) steps.removeEmpty(path);
  for (const line of installed.foreign)
    steps.say(`left alone, as quorate does not make such things: ${line}`);
  for (const one of left) steps.say(`left alone: ${one}`);
  if (!options.isPurge && ours.length > 0)
    steps.say(`kept: ${ours.join(" ")} (--purge would have removed them)`);
  if (!isRecorded) steps.say(`no program is written down as installed: ${process.execPath} stays`);
  steps.say(options.isDry ? "nothing was changed" : "uninstalled");
  return exitOk;
}

/** Of both roles: who was started by hand has data as well. */
function dataThere({ services }: Installed, places: InstallPlaces): RoleData {
  const found = roles.map((role) =>
    roleData(
      role,
      services.some((service) => service.role === role),
      places,
    ),
  );
  return { ours: found.flatMap(({ ours }) => ours), left: found.flatMap(({ left }) => left) };
}

/** What no service started, this does not stop; neither its file nor its data is taken from under it. */
async function refuseRunning({ services }: Installed, places: InstallPlaces): Promise<void> {
  const sockets = {
    node: nodePaths(places.base === "" ? "/" : places.base).socket,
    qnetd: `${places.base}${defaultAdvancedSettings.localSocketFile}`,
  };
  for (const role of roles) {
    if (services.some((service) => service.role === role)) continue;
    if (!(await isAnswered(sockets[role]))) continue;
    throw new CommandFailure(
      `a ${role === "node" ? "node" : "vote server"} that no service of quorate started runs here and answers at ${sockets[role]}: stop it first; nothing was removed`,
    );
  }
}

/** A stopped or broken node costs nobody anything. */
async function checkQuorum({ services }: Installed): Promise<void> {
  if (!services.some(({ role }) => role === "node")) return;
  let status: NodeStatus;
  try {
    status = await new NodeClient(nodePaths("/").socket).status();
  } catch (error) {
    if (error instanceof CommandFailure && error.code === exitNotRunning) return;
    if (!(error instanceof CommandFailure)) throw error;
    throw new CommandFailure(
      `whether the cluster can do without this node is unknown: ${error.message}. --force removes it all the same`,
      exitFailed,
    );
  }
  const reason = whyNeeded(status);
  if (reason === undefined) return;
  throw new CommandFailure(
    `${reason}. Start another node first, or remove this one from the cluster (pvecm delnode); --force removes it all the same`,
    exitFailed,
  );
}

/** Undefined when the cluster keeps its quorum without this node, has none to lose, or is nobody but this node. */
export function whyNeeded(status: Pick<NodeStatus, "quorum" | "nodes">): string | undefined {
  const { quorate, totalVotes, quorum, members } = status.quorum;
  const own = status.nodes.find(({ local }) => local)?.votes ?? 0;
  if (!quorate || members.length < 2 || totalVotes - own >= quorum) return undefined;
  return (
    `without this node the others would have ${totalVotes - own} of ${quorum} votes needed: ` +
    "they would lose their quorum, and the tree there would be read-only"
  );
}

async function stopServices({ services }: Installed, home: string, steps: Steps): Promise<void> {
  for (const { manager: kind, role } of services) {
    const manager = managerOf(kind, home);
    if (manager === undefined) continue;
    // A unit that is gone cannot be stopped, and a script that is gone cannot stop.
    const isInstalled = manager.units(role).some(({ path }) => existsSync(path));
    if (isInstalled) for (const words of manager.stop(role)) await steps.tryCommand(words);
  }
}

/** What a killed node left mounted. */
async function unmount({ services }: Installed, steps: Steps): Promise<void> {
  if (!services.some(({ role }) => role === "node")) return;
  const { mount } = nodePaths("/");
  const mounts = readFileSync("/proc/self/mounts", "utf8").split("\n");
  const isOurs = mounts.some(
    (line) => line.split(" ")[1] === mount && line.split(" ")[2]?.startsWith("fuse") === true,
  );
  if (isOurs) await steps.tryCommand(["umount", "-l", mount]);
}

/** The program last: until then this can be run again. */
function removeFiles({ files }: Installed, steps: Steps): void {
  const programs = files.filter(
    (path) => path.endsWith("/quorate") && !path.includes("/bash-completion/"),
  );
  for (const path of files) {
    const isLinkName = linkNames.some((name) => path.endsWith(`/${name}`));
    if (programs.includes(path) || (isLinkName && linkTarget(path) === undefined)) continue;
    steps.remove(path);
  }
  for (const path of programs) {
    for (const name of [`${path}.prev`, `${path}.next`, `${dirname(path)}/.quorate-install`, path])
      steps.remove(name);
  }
}

async function removeUsers({ users }: Installed, steps: Steps): Promise<void> {
  for (const user of users) {
    const [program] = ["userdel", "deluser"].filter((name) => Bun.which(name) !== null);
    if (program !== undefined) await steps.tryCommand([program, user]);
    // Some take the group of the same name along.
    const hasGroup = (await run(["grep", "-q", `^${user}:`, "/etc/group"], askMsMax)).code === 0;
    const [group] = ["groupdel", "delgroup"].filter((name) => Bun.which(name) !== null);
    if (hasGroup && group !== undefined) await steps.tryCommand([group, user]);
  }
}
