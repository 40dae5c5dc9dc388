// The unified difference of two texts, as `diff -u` prints it: what --dry-run shows of a file. Pure.

const contextLines = 3;
/** Of a line with another: some milliseconds, and as many numbers of four bytes. */
const comparisonsMax = 1_000_000;

interface Line {
  readonly sign: " " | "-" | "+";
  readonly text: string;
}

/** "" when the texts are equal. `path` stands in the head; a text that is undefined is a file that does not exist. */
export function unifiedDifference(
  path: string,
  before: string | undefined,
  after: string | undefined,
): string {
  const lines = bounded(linesOf(before ?? ""), linesOf(after ?? ""));
  if (lines.every(({ sign }) => sign === " ")) return "";
  const head = (prefix: string, text: string | undefined): string =>
    text === undefined ? "/dev/null" : `${prefix}/${path.replace(/^\//, "")}`;
  return `--- ${head("a", before)}\n+++ ${head("b", after)}\n${hunks(lines)}`;
}

/** A last line without an end is another one than the same with it. */
function linesOf(text: string): string[] {
  const lines = text.split("\n");
  const last = lines.pop() ?? "";
  if (last !== "") lines.push(`${last}\n\\ No newline at end of file`);
  return lines;
}

/** What begins and ends alike is set aside first; between them, where comparing each with each would take too long, all goes and all comes. */
function bounded(a: readonly string[], b: readonly string[]): Line[] {
  const shorter = Math.min(a.length, b.length);
  let start = 0;
  while (start < shorter && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < shorter - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [old, added] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const as = (sign: Line["sign"], texts: readonly string[]): Line[] =>
    texts.map((text) => ({ sign, text }));
  const isLarge = old.length * added.length > comparisonsMax;
  return [
    ...as(" ", a.slice(0, start)),
    ...(isLarge ? [...as("-", old), ...as("+", added)] : difference(old, added)),
    ...as(" ", a.slice(a.length - end)),
  ];
}

/** By the longest common subsequence. */
function difference(a: readonly string[], b: readonly string[]): Line[] {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  const at = (i: number, j: number): number => lengths[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const isSame = a[i] === b[j];
      lengths[i * width + j] = isSame ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const lines: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    const [old = "", added = ""] = [a[i], b[j]];
    if (i < a.length && j < b.length && old === added) {
      lines.push({ sign: " ", text: old });
      i += 1;
      j += 1;
    } else if (j === b.length || (i < a.length && at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ sign: "-", text: old });
      i += 1;
    } else {
      lines.push({ sign: "+", text: added });
      j += 1;
    }
  }
  return lines;
}

function hunks(lines: readonly Line[]): string {
  let text = "";
  let [from, old, added] = [0, 1, 1];
  const isShown = lines.map((_, index) =>
    lines
      .slice(Math.max(0, index - contextLines), index + contextLines + 1)
      .some(({ sign }) => sign !== " "),
  );
  while (from < lines.length) {
    let to = from;
    while (to < lines.length && isShown[to] === isShown[from]) to += 1;
    const part = lines.slice(from, to);
    const oldCount = part.filter(({ sign }) => sign !== "+").length;
    const addedCount = part.filter(({ sign }) => sign !== "-").length;
    if (isShown[from] === true) {
      text += `@@ -${range(old, oldCount)} +${range(added, addedCount)} @@\n`;
      text += part.map((line) => `${line.sign}${line.text}\n`).join("");
    }
    old += oldCount;
    added += addedCount;
    from = to;
  }
  return text;
}

/** As diff writes it: nothing stands before line 1, which is line 0 then. */
function range(first: number, count: number): string {
  if (count === 1) return String(first);
  return `${count === 0 ? first - 1 : first},${count}`;
}
