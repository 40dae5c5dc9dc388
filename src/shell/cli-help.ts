// How help looks: a sentence what the command does, its verbs, options without empty remarks, examples. cac gives the sections.
import type { CAC } from "cac";

/** Verbs of a command, by its first word: lines "VERB ARGUMENTS   what it does". */
export type VerbTexts = Readonly<Record<string, string>>;

interface Section {
  readonly title?: string;
  readonly body: string;
}

export function shapeHelp(cli: CAC, verbs: VerbTexts): void {
  cli.help((sections) => {
    const command = cli.matchedCommand;
    const [, ...rest] = sections;
    const head: Section = { body: command?.description ?? "A Proxmox-style cluster in one file." };
    return [head, ...rest.flatMap((section) => shaped(section, verbs[command?.name ?? ""]))];
  });
}

function shaped(section: Section, verbs: string | undefined): readonly Section[] {
  switch (section.title) {
    case "Usage":
      return verbs === undefined ? [section] : [section, { title: "Verbs", body: indent(verbs) }];
    case "Options":
      return [{ title: section.title, body: section.body.split("\n").map(optionLine).join("\n") }];
    case "Examples":
      return [{ title: section.title, body: indent(section.body) }];
    default:
      return [section];
  }
}

/** An option that switches something off has no default worth a word, and an empty or zero one is told in its text. */
function optionLine(line: string): string {
  const isPlain = /^\s+--no-/.test(line) || /\(default: (?:0|)\)$/.test(line);
  return (isPlain ? line.replace(/ \(default: [^)]*\)$/, "") : line).trimEnd();
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
