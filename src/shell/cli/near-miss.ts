// The word that somebody probably meant: the nearest of those that exist, if it is near enough to be worth a question.

/** A word longer than this is no mistyped command. */
const lengthMax = 40;

/**
 * The candidate that differs least from `word`; undefined when all differ by more than a third of their letters (at least one, at
 * most three). Insertions, deletions, changed letters and swapped neighbours count one each. The first of equals wins.
 */
export function nearest(word: string, candidates: readonly string[]): string | undefined {
  if (word === "" || word.length > lengthMax) return undefined;
  let best: { readonly candidate: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const far = distance(word.toLowerCase(), candidate.toLowerCase());
    const farMax = Math.min(
      3,
      Math.max(1, Math.floor(Math.max(word.length, candidate.length) / 3)),
    );
    // The beginning of a longer word is as good as near.
    const isStart = word.length >= 3 && candidate.startsWith(word);
    const effective = isStart ? Math.min(far, farMax) : far;
    if (effective > farMax) continue;
    if (best === undefined || effective < best.distance) best = { candidate, distance: effective };
  }
  return best?.candidate;
}

/** Optimal string alignment, three rows of the matrix at a time. */
export function distance(one: string, other: string): number {
  let before: number[] = [];
  let above = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let row = 1; row <= one.length; row += 1) {
    const line = [row];
    for (let at = 1; at <= other.length; at += 1) {
      const isSame = one[row - 1] === other[at - 1];
      let cost = Math.min(
        (above[at] ?? 0) + 1,
        (line[at - 1] ?? 0) + 1,
        (above[at - 1] ?? 0) + (isSame ? 0 : 1),
      );
      if (row > 1 && at > 1 && one[row - 1] === other[at - 2] && one[row - 2] === other[at - 1]) {
        cost = Math.min(cost, (before[at - 2] ?? 0) + 1);
      }
      line.push(cost);
    }
    before = above;
    above = line;
  }
  return above[other.length] ?? 0;
}
