// Starts the rescuer apart from us and shows what it does until the end: whoever asked for the upgrade may leave, the rescuer goes on.
import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { closeFd, lockFile } from "../../libc.ts";
import { CommandFailure } from "../exit.ts";
import { upgradeExits } from "./exits.ts";
import type { UpgradeMachine } from "./machine.ts";
import { withoutHooks } from "../unit/runtime-hooks.ts";
import { type ManagerKind, servicesOf } from "../unit/services.ts";

const lookEveryMs = 200;
/** So long nobody holds the lock although there is a record: the rescuer was killed, or never started. */
const goneMsDefault = 5000;
const startsMax = 3;

export interface FollowOptions {
  readonly machine: UpgradeMachine;
  readonly manager: ManagerKind;
  /** Events that were there before. */
  readonly before: number;
  readonly isWaiting: boolean;
  /** Default: five seconds. */
  readonly goneAfterMs?: number;
  readonly note: (text: string) => void;
  readonly write: (text: string) => void;
}

export async function followUpgrade(options: FollowOptions): Promise<number> {
  const { machine, note, goneAfterMs = goneMsDefault } = options;
  let shown = Math.max(options.before, machine.events().length);
  let starts = 1;
  let seenAt = performance.now();
  await startRescuer(options, true);
  if (!options.isWaiting) {
    note(
      `quorate: the upgrade goes on by itself; "${machine.places.bin} upgrade --check" says how it ends\n`,
    );
    return upgradeExits.done;
  }
  for (;;) {
    const events = machine.events();
    for (const { event, text } of events.slice(shown)) note(`quorate: ${event}: ${text}\n`);
    shown = events.length;
    if (!existsSync(machine.places.record)) return ended(options, events.at(-1)?.event);
    if (events.at(-1)?.event === "failed" && !isDriven(machine)) {
      throw new CommandFailure(events.at(-1)?.text ?? "", upgradeExits.service);
    }
    if (isDriven(machine)) seenAt = performance.now();
    else if (performance.now() - seenAt > goneAfterMs) {
      if (starts >= startsMax) {
        throw new CommandFailure(
          `the rescuer does not stay alive: run "${machine.places.previous} rescue" by hand`,
          upgradeExits.service,
        );
      }
      starts += 1;
      seenAt = performance.now();
      await startRescuer(options, false);
    }
    await wait(lookEveryMs);
  }
}

function ended({ write, machine }: FollowOptions, last: string | undefined): number {
  switch (last) {
    case "kept":
      write(`${machine.places.bin} is upgraded; the old file is ${machine.places.previous}\n`);
      return upgradeExits.done;
    case "rolled back":
      return upgradeExits.rolledBack;
    default:
      return upgradeExits.service;
  }
}

function isDriven({ places }: UpgradeMachine): boolean {
  const lock = lockFile(places.lock);
  if (!lock.ok) return true;
  closeFd(lock.fd);
  return false;
}

/** By the service manager's own unit where there is one, so that it outlives this login; else a process of its own session. */
async function startRescuer(
  { machine, manager }: FollowOptions,
  mayUseUnit: boolean,
): Promise<void> {
  const { places } = machine;
  const record = machine.record();
  const [first] = (record.ok ? record.value?.before : undefined) ?? [];
  const services = servicesOf(manager, places);
  if (mayUseUnit && first !== undefined && (await services.startRescuer(first.role))) return;
  const words = ["rescue", "--bin", places.bin, "--root", places.root];
  const child = Bun.spawn([places.previous, ...words, "--service-manager", manager], {
    env: withoutHooks(process.env, { TMPDIR: places.temporary }),
    stdio: ["ignore", "ignore", "ignore"],
    detached: true,
  });
  child.unref();
}
