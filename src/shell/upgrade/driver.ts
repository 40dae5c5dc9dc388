// Runs the core of an upgrade to its end: takes the lock, reads what is on disk, carries out what is ordered, asks the services. It is the
// old file that does this (`quorate.prev rescue`), so it works however broken the new one is. Killed, it is simply run again.
import { setTimeout as wait } from "node:timers/promises";
import { closeFd, type Descriptor, errnoName, errnos, lockFile } from "../../libc.ts";
import { reasonOf } from "../../result.ts";
import type {
  Action,
  Event,
  Facts,
  Observation,
  Outcome,
  Role,
  UpgradeEvent,
  UpgradeRecord,
} from "./events.ts";
import type { UpgradeMachine } from "./machine.ts";
import type { Services } from "../unit/services.ts";
import { UpgradeCore } from "./upgrade-core.ts";

const lockTriesMax = 30;
const lockRetryMs = 100;

export interface DriverOptions {
  readonly machine: UpgradeMachine;
  readonly services: Services;
  readonly facts: (role: Role) => Promise<Facts | undefined>;
  /** Besides the events' file. */
  readonly tell: (event: UpgradeEvent, text: string) => void;
  /** Called before each action is carried out; tests end the process here. */
  readonly before?: (action: Action) => void;
}

export type DriverEnd =
  | { readonly kind: "nothing" }
  /** Another driver has the lock. */
  | { readonly kind: "busy" }
  | { readonly kind: "unreadable"; readonly reason: string }
  | { readonly kind: "finished"; readonly outcome: Outcome; readonly reason: string };

/** Resolves when the upgrade that was under way is kept, rolled back or given up. */
export async function drive(options: DriverOptions): Promise<DriverEnd> {
  const { machine } = options;
  const first = machine.record();
  if (!first.ok) return { kind: "unreadable", reason: first.reason };
  if (first.value === undefined) return { kind: "nothing" };
  const lock = await takeLock(machine.places.lock);
  if (!lock.ok) {
    if (lock.errno === errnos.EAGAIN) return { kind: "busy" };
    const reason = `${machine.places.lock}: ${errnoName(lock.errno)}`;
    return { kind: "unreadable", reason };
  }
  try {
    // Whoever had the lock may have gone on, or finished.
    const record = machine.record();
    if (!record.ok) return { kind: "unreadable", reason: record.reason };
    if (record.value === undefined) return { kind: "nothing" };
    return await run(options, record.value);
  } finally {
    closeFd(lock.fd);
  }
}

/** Who only looks whether somebody drives has it for a moment. */
async function takeLock(path: string): Promise<Descriptor> {
  for (let attempt = 1; ; attempt += 1) {
    const lock = lockFile(path);
    if (lock.ok || lock.errno !== errnos.EAGAIN || attempt === lockTriesMax) return lock;
    await wait(lockRetryMs);
  }
}

async function run(options: DriverOptions, record: UpgradeRecord): Promise<DriverEnd> {
  const core = new UpgradeCore();
  const { machine } = options;
  let event: Event = { kind: "began", record, disk: machine.disk(record) };
  for (;;) {
    const out: Action[] = [];
    core.step(event, performance.now(), out);
    let next: Event | undefined;
    for (const action of out) {
      options.before?.(action);
      if (action.kind === "finish") {
        return { kind: "finished", outcome: action.outcome, reason: action.reason };
      }
      if (action.kind === "observe") {
        await wait(action.afterMs);
        next = { kind: "observed", observations: await observe(options, record) };
        continue;
      }
      const reason = await carryOut(options, action);
      if (reason !== undefined) {
        next = { kind: "failed", action: action.kind, reason, disk: machine.disk(record) };
        break;
      }
    }
    if (next === undefined) throw new Error("invariant broken: an upgrade goes on or ends");
    event = next;
  }
}

function observe(
  { services, facts }: DriverOptions,
  { before }: UpgradeRecord,
): Promise<Observation[]> {
  return Promise.all(
    before.map(async ({ role }) => {
      const [service, now] = await Promise.all([services.state(role), facts(role)]);
      return { role, service, facts: now };
    }),
  );
}

/** Undefined when it is done. */
async function carryOut(
  options: DriverOptions,
  action: Exclude<Action, { kind: "observe" | "finish" }>,
): Promise<string | undefined> {
  const { machine } = options;
  try {
    switch (action.kind) {
      case "persist":
        machine.persist(action.record);
        return undefined;
      case "swapIn":
        machine.swapIn();
        return undefined;
      case "swapBack":
        machine.swapBack();
        return undefined;
      case "markBad":
        machine.markBad(action.build, action.reason);
        return undefined;
      case "forget":
        machine.forget();
        return undefined;
      case "restart":
        return await options.services.restart(action.role);
      case "tell":
        say(options, action.event, action.text);
        return undefined;
    }
    return action satisfies never;
  } catch (error) {
    return reasonOf(error);
  }
}

/** A full disk must not end an upgrade half way: the line is then only in the log of the process. */
export function say(
  { machine, tell }: Pick<DriverOptions, "machine" | "tell">,
  event: UpgradeEvent,
  text: string,
): void {
  let suffix = "";
  try {
    machine.tell({ at: new Date().toISOString(), event, text });
  } catch (error) {
    suffix = ` (not written to ${machine.places.log}: ${reasonOf(error)})`;
  }
  tell(event, `${text}${suffix}`);
}
