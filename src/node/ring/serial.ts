// Serial numbers of 32 bits that wrap, compared as totem.md §3.1 says: plainly, except near the top, where both move down by
// 0x10000 so that a number which has just wrapped counts as the larger one. It must never be used for ring sequence numbers.

const rolloverFrom = 0x8000_0000;
const rolloverShift = 0x1_0000;

/** Whether `a` comes before `b`. */
export function serialBefore(a: number, b: number): boolean {
  if (a > rolloverFrom || b > rolloverFrom) {
    return (a - rolloverShift) >>> 0 < (b - rolloverShift) >>> 0;
  }
  return a < b;
}

/** Whether `a` comes before `b` or is the same. */
export function serialAtMost(a: number, b: number): boolean {
  return a === b || serialBefore(a, b);
}

export function serialMin(a: number, b: number): number {
  return serialBefore(b, a) ? b : a;
}

export function serialMax(a: number, b: number): number {
  return serialBefore(a, b) ? b : a;
}

/** `serial + step` with wrap; `step` may be negative. */
export function serialPlus(serial: number, step: number): number {
  return (serial + step) >>> 0;
}

/** How many steps lead from `from` up to `to`: 0 … 2^32 - 1. */
export function serialDistance(from: number, to: number): number {
  return (to - from) >>> 0;
}
