// Times in tickets and CSRF tokens, and their lifetime (pvecm.md §4.3). Pure.

/** Seconds. */
export const ticketLifetime = 7200;
export const gracePeriod = 300;

/** Unix seconds as eight upper-case hex digits. */
export function hex8(seconds: number): string {
  return (seconds >>> 0).toString(16).toUpperCase().padStart(8, "0");
}

/** Ages in seconds between which something is good, both ends excluded. */
export interface AgeRange {
  readonly min: number;
  readonly max: number;
}

export const fullRange: AgeRange = { min: -gracePeriod, max: ticketLifetime };

export function isWithin(age: number, { min, max }: AgeRange): boolean {
  return age > min && age < max;
}
