// Invariants stay on in production: a broken one ends the process, the service manager restarts it and the ring
// treats it as a node failure. Never use these for bytes that come from outside.

/** Ends the process (by an uncaught exception) when an invariant of our own code is broken. */
export function assert(condition: boolean, invariant: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${invariant}`);
}

/** Returns `value`, which our own code promises to be present. */
export function present<T>(value: T | undefined | null, invariant: string): T {
  if (value === undefined || value === null) throw new Error(`invariant broken: ${invariant}`);
  return value;
}
