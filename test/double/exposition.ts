// For tests: a parser of Prometheus's text format 0.0.4, from its description, which shares nothing with what writes it. Throws what is wrong with a line.

export interface ParsedSample {
  readonly name: string;
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A family has one HELP and one TYPE in front of all of its samples, and no sample comes twice. */
export function parseExposition(text: string): readonly ParsedSample[] {
  if (text !== "" && !text.endsWith("\n")) throw new Error("the last line has no end");
  const samples: ParsedSample[] = [];
  const seen = new Set<string>();
  const families = new Set<string>();
  let helped = "";
  let family = "";
  let type = "";
  for (const line of text.split("\n").slice(0, -1)) {
    const help = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) \S.*$/.exec(line);
    const typed = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)$/.exec(line);
    if (help !== null) {
      helped = help[1] ?? "";
      continue;
    }
    if (typed !== null) {
      [, family = "", type = ""] = typed;
      if (family !== helped || families.has(family)) throw new Error(`family of: ${line}`);
      families.add(family);
      continue;
    }
    const [name, after] = split(line);
    if (name !== family) throw new Error(`sample outside of its family: ${line}`);
    const { labels, rest } = labelsAt(after);
    const value = Number(rest);
    if (rest === "" || Number.isNaN(value)) throw new Error(`no number: ${line}`);
    const key = `${name}${JSON.stringify(labels)}`;
    if (seen.has(key)) throw new Error(`twice: ${line}`);
    seen.add(key);
    if (type === "counter" && !name.endsWith("_total")) throw new Error(`counter: ${line}`);
    samples.push({ name, type, labels, value });
  }
  return samples;
}

function split(line: string): readonly [string, string] {
  const end = line.search(/[ {]/);
  if (end < 1) throw new Error(`no sample: ${line}`);
  return [line.slice(0, end), line.slice(end)];
}

function labelsAt(text: string): { labels: Record<string, string>; rest: string } {
  const labels: Record<string, string> = {};
  if (!text.startsWith("{")) return { labels, rest: text.slice(1) };
  let at = 1;
  for (;;) {
    const name = /^[a-zA-Z_][a-zA-Z0-9_]*/.exec(text.slice(at))?.[0];
    if (name === undefined || text[at + name.length] !== "=" || text[at + name.length + 1] !== '"')
      throw new Error(`no label at ${at}: ${text}`);
    at += name.length + 2;
    let value = "";
    while (text[at] !== '"') {
      const character = text[at];
      if (character === undefined) throw new Error(`no end of a label: ${text}`);
      if (character === "\\") {
        const next = text[at + 1] ?? "";
        const meant = { "\\": "\\", '"': '"', n: "\n" }[next];
        if (meant === undefined) throw new Error(`escape \\${next}: ${text}`);
        value += meant;
        at += 2;
      } else {
        value += character;
        at += 1;
      }
    }
    labels[name] = value;
    at += 1;
    if (text[at] === "}") break;
    if (text[at] !== ",") throw new Error(`between labels: ${text}`);
    at += 1;
  }
  if (text[at + 1] !== " ") throw new Error(`behind the labels: ${text}`);
  return { labels, rest: text.slice(at + 2) };
}
