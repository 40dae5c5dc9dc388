// Text for people: aligned columns (numbers to the right, text to the left, nothing after the last column), counted
// things, names and addresses of strangers.

export interface Column {
  readonly title: string;
  readonly right?: boolean;
}

/** Lines without trailing blanks; the first is the heading. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, at) =>
    Math.max(column.title.length, ...rows.map((row) => row[at]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, at) => {
        const cell = cells[at] ?? "";
        return column.right === true
          ? cell.padStart(widths[at] ?? 0)
          : cell.padEnd(widths[at] ?? 0);
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => column.title)), ...rows.map(line)];
}

/** "1 node", "2 nodes"; `more`: where the plural is not made with an s. */
export function plural(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

/** A foreign text on its way to people: nothing in it that steers a terminal or turns the direction of writing, but `kept`. */
export function printable(text: string, instead = "?", kept = ""): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (found) => (kept.includes(found) ? found : instead));
}

/** IPv4 peers of an IPv6 socket as people know them. */
export function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/, "");
}
