// An upgrade as a pure core (U3–U6): from the staged file to "kept" or "rolled back", and from whatever a killed predecessor left. It is
// run by the old file. What it must never do: order anything after which no whole program has the name.
import type {
  Action,
  Disk,
  Event,
  Observation,
  Outcome,
  UpgradeEvent,
  UpgradeRecord,
} from "./events.ts";
import { probationFailure } from "./health.ts";

/** How often the services are asked; more often when they have little time to be well. */
const observeMsMax = 1000;
const observationsMin = 4;
/** Somebody who is killed again and again must not keep a bad version in probation for ever. */
const attemptsMax = 5;
const restartTriesMax = 3;

export class UpgradeCore {
  #record: UpgradeRecord | undefined;
  #beganAt = 0;
  /** Since when everything is healthy; undefined: it is not. */
  #healthyAt: number | undefined;
  #hasAnswered = false;
  #restartTries = 0;
  #isDiskFailing = false;

  /** `now`: milliseconds of a clock that only goes forward. */
  step(event: Event, now: number, out: Action[]): void {
    switch (event.kind) {
      case "began":
        this.#record = { ...event.record, attempts: event.record.attempts + 1 };
        this.#beganAt = now;
        return this.#begin(this.#record, event.disk, out);
      case "observed":
        return this.#decide(this.#current(), event.observations, now, out);
      case "failed":
        return this.#failed(this.#current(), event, out);
    }
    event satisfies never;
  }

  #current(): UpgradeRecord {
    if (this.#record === undefined) throw new Error("invariant broken: an upgrade began");
    return this.#record;
  }

  #begin(record: UpgradeRecord, disk: Disk, out: Action[]): void {
    if (disk.current === "other") {
      return finish("abandoned", "another program was put in its place meanwhile", out);
    }
    switch (record.phase) {
      case "staged":
        if (disk.current === "to") return this.#probation(record, out);
        if (!disk.hasNext) return finish("abandoned", "the staged file is gone", out);
        if (!disk.hasPrevious) return finish("abandoned", "the old file has no second name", out);
        this.#store(record, out);
        out.push({ kind: "swapIn" });
        return this.#probation(record, out);
      case "probation":
        if (disk.current === "from") {
          return finish("abandoned", "the old version was put back by hand", out);
        }
        if (record.attempts > attemptsMax) {
          return this.#rollBack(record, "its probation was interrupted too often", out);
        }
        return this.#probation(record, out);
      case "rollingBack":
        return this.#goBack(record, disk.current === "to", out);
    }
    record.phase satisfies never;
  }

  /** The new file has the name. */
  #probation(record: UpgradeRecord, out: Action[]): void {
    if (record.phase === "staged") {
      tell("swapped", `${record.to.version} has the place of ${record.from.version}`, out);
    }
    const next = this.#store({ ...record, phase: "probation" }, out);
    if (next.before.length === 0) {
      return finish("kept", `${next.to.version}; no service of quorate was running`, out);
    }
    if (!next.isRestarted) {
      const { healthyMs, unhealthyMsMax } = next.patience;
      tell(
        "probation",
        `${namesOf(next)} restarts with ${next.to.version}; kept when healthy for ${seconds(healthyMs)}, rolled back when not healthy in ${seconds(unhealthyMsMax)}`,
        out,
      );
      this.#restart(next, out);
      this.#store({ ...next, isRestarted: true }, out);
    }
    this.#observe(record, out);
  }

  #decide(
    record: UpgradeRecord,
    observations: readonly Observation[],
    now: number,
    out: Action[],
  ): void {
    const failures = record.before.flatMap((before) => {
      const observation = observations.find(({ role }) => role === before.role);
      const failure = probationFailure(before, observation, record.to.version);
      return failure === undefined ? [] : [failure];
    });
    this.#hasAnswered ||= observations.some(({ facts }) => facts?.version === record.to.version);
    const [failure] = failures;
    if (failure === undefined) {
      this.#healthyAt ??= now;
      if (now - this.#healthyAt >= record.patience.healthyMs) {
        const text = `${record.to.version}; healthy for ${seconds(record.patience.healthyMs)}`;
        return finish("kept", text, out);
      }
    } else {
      this.#healthyAt = undefined;
      const reason = this.#reasonToEnd(record, observations, failure, now - this.#beganAt);
      if (reason !== undefined) return this.#rollBack(record, reason, out);
    }
    this.#observe(record, out);
  }

  #reasonToEnd(
    { patience }: UpgradeRecord,
    observations: readonly Observation[],
    failure: string,
    spentMs: number,
  ): string | undefined {
    if (observations.some(({ service }) => service === "failed")) {
      return "the service failed, says the service manager";
    }
    if (!this.#hasAnswered && spentMs >= patience.silentMsMax) {
      return `${failure} in ${seconds(patience.silentMsMax)}`;
    }
    if (spentMs >= patience.unhealthyMsMax) {
      return `not healthy after ${seconds(patience.unhealthyMsMax)}: ${failure}`;
    }
    return undefined;
  }

  #rollBack(record: UpgradeRecord, reason: string, out: Action[]): void {
    const next = this.#store({ ...record, phase: "rollingBack", reason }, out);
    this.#goBack(next, true, out);
  }

  #goBack(record: UpgradeRecord, isNewInPlace: boolean, out: Action[]): void {
    if (isNewInPlace) out.push({ kind: "swapBack" });
    if (!this.#isDiskFailing) {
      out.push({ kind: "markBad", build: record.to, reason: record.reason });
    }
    this.#restart(record, out);
    finish("rolledBack", `${record.from.version} is in place again: ${record.reason}`, out);
  }

  #failed(record: UpgradeRecord, event: Event & { kind: "failed" }, out: Action[]): void {
    const { action, reason, disk } = event;
    // Decided already; only the record stays, and whoever finds it goes through the rest again.
    if (action === "forget") return finish("failed", reason, out, false);
    if (record.phase !== "rollingBack") {
      if (disk.current === "to") return this.#rollBack(record, reason, out);
      return finish("failed", `${record.from.version} is still in place: ${reason}`, out);
    }
    switch (action) {
      case "restart":
        this.#restartTries += 1;
        if (this.#restartTries < restartTriesMax) return this.#goBack(record, false, out);
        return finish(
          "rolledBack",
          `${record.from.version} is in place again (${record.reason}), but ${reason}: start the service by hand`,
          out,
        );
      case "persist":
      case "markBad":
        // A full disk must not keep the old version from coming back.
        this.#isDiskFailing = true;
        return this.#goBack(record, disk.current === "to", out);
      default:
        return finish("failed", `rolling back: ${reason}`, out, false);
    }
  }

  #observe({ patience }: UpgradeRecord, out: Action[]): void {
    const afterMs = Math.min(observeMsMax, Math.ceil(patience.healthyMs / observationsMin));
    out.push({ kind: "observe", afterMs });
  }

  #restart(record: UpgradeRecord, out: Action[]): void {
    for (const { role } of record.before) out.push({ kind: "restart", role });
  }

  #store(record: UpgradeRecord, out: Action[]): UpgradeRecord {
    this.#record = record;
    if (!this.#isDiskFailing) out.push({ kind: "persist", record });
    return record;
  }
}

const words: Readonly<Record<Outcome, UpgradeEvent>> = {
  kept: "kept",
  rolledBack: "rolled back",
  abandoned: "abandoned",
  failed: "failed",
};

/** Reported before the record is removed: one killed between the two reports it again. */
function finish(outcome: Outcome, reason: string, out: Action[], isForgotten = true): void {
  tell(words[outcome], reason, out);
  if (isForgotten) out.push({ kind: "forget" });
  out.push({ kind: "finish", outcome, reason });
}

function tell(event: UpgradeEvent, text: string, out: Action[]): void {
  out.push({ kind: "tell", event, text });
}

function namesOf({ before }: UpgradeRecord): string {
  return before.map(({ role }) => (role === "node" ? "the node" : "the vote server")).join(" and ");
}

function seconds(ms: number): string {
  return `${ms / 1000} s`;
}
