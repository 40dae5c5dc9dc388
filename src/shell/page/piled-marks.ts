// What both pages, a node's and the vote server's, do about marks that strangers pile on a letter.

/** More marks on one letter than any language has: they would be painted over what stands above and below. */
const piled = /(\p{M}{4})\p{M}+/gu;

/** The same text with U+FFFD in place of all marks of a letter behind its fourth. */
export function withoutPiles(text: string): string {
  return text.replace(piled, "$1\u{fffd}");
}
