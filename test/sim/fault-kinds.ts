// When the faults of a run begin: each kind again and again, at random distances, unless the seed leaves it out (engineering.md §9).
import type { Agenda } from "./agenda.ts";
import type { SeededRandom } from "./random.ts";

export interface FaultKind<Options> {
  readonly name: string;
  readonly meanMs: number;
  readonly begin: (options: Options) => void;
}

interface Plan {
  readonly agenda: Agenda;
  readonly random: SeededRandom;
  /** Faults begin only before this moment. */
  readonly endMs: number;
  readonly trace: (text: string) => void;
}

/** Each kind is off in one seed of four. */
export function scheduleKinds<Options extends Plan>(
  options: Options,
  kinds: readonly FaultKind<Options>[],
): void {
  for (const kind of kinds) {
    if (options.random.chance(0.25)) continue;
    const next = (): void => {
      const delay = options.random.exponential(kind.meanMs);
      if (options.agenda.now + delay > options.endMs) return;
      options.agenda.after(delay, () => {
        options.trace(`fault: ${kind.name}`);
        kind.begin(options);
        next();
      });
    };
    next();
  }
}
