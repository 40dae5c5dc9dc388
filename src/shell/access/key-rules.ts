// When the key pair of the tickets is replaced, and which ages of tickets each key vouches for. Pure; times in seconds. Spec: pvecm.md §4.3.
import { type AgeRange, gracePeriod, ticketLifetime } from "./time-text.ts";

const keyLifetime = 24 * 3600;

/** Times at which the files of the keys were written; undefined: there is none. */
export interface KeyTimes {
  readonly current: number | undefined;
  readonly old: number | undefined;
}

/** Why a new pair is due, a sentence's end; "": it is not. Without quorum nothing can be replaced, so the pair stays. */
export function rotationReason(now: number, keys: KeyTimes, isQuorate: boolean): string {
  if (!isQuorate) return "";
  const { current, old } = keys;
  if (current === undefined) return "there is none";
  if (now - current >= keyLifetime) return "it is a day old";
  if (current <= now + gracePeriod) return "";
  // The pair is of the future. One that followed another within a ticket's life may be right, and the clock here wrong.
  const isFollower = old !== undefined && current >= old && current - old < ticketLifetime;
  return isFollower ? "" : "it was made by a clock that was ahead";
}

/** Undefined: the key vouches for no ticket any more. */
export function ageRange(
  now: number,
  key: { readonly writtenAt: number; readonly isOld: boolean },
  isQuorate: boolean,
): AgeRange | undefined {
  const keyAge = Math.max(now - key.writtenAt, 0);
  // The old key has made none since it was replaced; a little more for clocks that differ.
  if (key.isOld) {
    const min = keyAge - gracePeriod;
    return min > ticketLifetime ? undefined : { min, max: ticketLifetime };
  }
  // A key that should have been replaced vouches for none since. Nothing can be replaced without quorum.
  const isOverdue = keyAge > keyLifetime && isQuorate;
  const min = isOverdue ? keyAge - keyLifetime : -gracePeriod;
  // No ticket is older than its key; the original takes one for up to 299 s too long here.
  const max = Math.min(keyAge + gracePeriod, ticketLifetime);
  return min > ticketLifetime ? undefined : { min, max };
}
