// `quorate.prev rescue`: the old file watches the new one, keeps it or puts itself back (U5, U6). Started by `quorate upgrade`, and by the
// service manager when a service failed or starts while an upgrade is on probation. Without an upgrade it does nothing.
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import type { LogAction } from "../../world.ts";
import { CommandFailure, exitFailed, exitOk } from "../exit.ts";
import { ClusterLog } from "../upgrade/cluster-log.ts";
import { drive } from "../upgrade/driver.ts";
import { UpgradeMachine } from "../upgrade/machine.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import { factsOf, socketsBelow } from "../upgrade/running.ts";
import { detectManager, type ManagerKind, servicesOf } from "../unit/services.ts";
import { upgradeLine } from "../upgrade/upgrade-line.ts";

export interface RescueOptions {
  readonly root: string;
  /** The installed file; undefined: this program's name without ".prev". */
  readonly bin: string | undefined;
  readonly manager: ManagerKind | undefined;
  readonly log: (line: LogAction) => void;
}

export async function rescueCommand(options: RescueOptions): Promise<number> {
  const places = upgradePlaces(options.root, binOf(options.bin));
  const machine = new UpgradeMachine(places);
  const record = machine.record();
  const services = record.ok ? (record.value?.before.map(({ role }) => role) ?? []) : [];
  const manager = options.manager ?? detectManager(places, services);
  const sockets = socketsBelow(options.root);
  const clusterLog = new ClusterLog({
    socket: sockets.node,
    note: (text) => options.log({ kind: "log", level: "warning", subsystem: "UPGRAD", text }),
  });
  const end = await drive({
    machine,
    services: servicesOf(manager, places),
    facts: (role) => factsOf(role, sockets),
    tell: (event, text) => {
      options.log(upgradeLine(event, text));
      if (services.includes("node")) clusterLog.add(event, text);
    },
  });
  await clusterLog.end();
  switch (end.kind) {
    case "nothing":
    case "busy":
      return exitOk;
    case "unreadable":
      throw new CommandFailure(
        `the record of the upgrade cannot be used: ${end.reason}. If ${places.bin} does not work, put the old file back: mv ${places.previous} ${places.bin}`,
      );
    case "finished":
      return end.outcome === "failed" ? exitFailed : exitOk;
  }
  return end satisfies never;
}

function binOf(word: string | undefined): string {
  if (word !== undefined) return resolve(word);
  const own = realpathSync(process.execPath);
  return own.endsWith(".prev") ? own.slice(0, -".prev".length) : own;
}
