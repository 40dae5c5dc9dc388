// `quorate man`: manual pages in roff (man(7) macros) from the command table: quorate(8) and one page a command. The same version makes
// the same bytes: there is no date in them.
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { replaceDurably } from "../../durable-file.ts";
import { reasonOf } from "../../result.ts";
import type {
  CommandTable,
  FileText,
  TableArgument,
  TableCommand,
  TableOption,
} from "../cli/table.ts";
import { commandHelpText, helpText, oneLine, optionText, verbLines } from "./help.ts";
import {
  CommandFailure,
  type ExitText,
  exitFailed,
  exitOk,
  exitTexts,
  exitUsage,
} from "../exit.ts";
import { nearest } from "../cli/near-miss.ts";
import { linkTexts } from "../tool/link-names.ts";
import { certificateDirectory, nodeFiles } from "../cli/shared.ts";

export interface ManOptions {
  /** Undefined: the page of the whole. */
  readonly command: string | undefined;
  /** Write all pages there instead. */
  readonly directory: string | undefined;
  readonly table: CommandTable;
  readonly version: string;
  /** For people there is man(1), for pipes the roff text. */
  readonly isTerminal: boolean;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

/** Administrators' programs. */
const manualSection = 8;
const sourceColumns = 79;

export async function manCommand(options: ManOptions): Promise<number> {
  const { command: name, directory, table, version } = options;
  if (directory !== undefined) {
    if (name === undefined) return writeAll(options, directory);
    throw new CommandFailure("--all writes every page: leave the command away", exitUsage);
  }
  const command = name === undefined ? undefined : commandNamed(table, name);
  const page = command === undefined ? overviewPage(table, version) : commandPage(command, version);
  if (!options.isTerminal) {
    options.write(page);
    return exitOk;
  }
  if (await isShown(page)) return exitOk;
  options.note("This machine has no man(1) that could show the page; this is the help.\n\n");
  options.write(command === undefined ? helpText(table) : commandHelpText(command));
  return exitOk;
}

function commandNamed(table: CommandTable, name: string): TableCommand {
  const found = table.commands.find((each) => each.name === name);
  if (found !== undefined) return found;
  const names = table.commands.map((each) => each.name);
  const near = nearest(name, names);
  const hint = near === undefined ? `there are ${names.join(", ")}` : `did you mean "${near}"?`;
  throw new CommandFailure(`there is no manual page for "${name}"; ${hint}`, exitUsage);
}

/** False when there is no man(1), or none that reads a page from its input. */
async function isShown(page: string): Promise<boolean> {
  const program = Bun.which("man", { PATH: process.env["PATH"] ?? "" });
  if (program === null) return false;
  const reader = Bun.spawn([program, "-l", "-"], {
    stdin: new TextEncoder().encode(page),
    stdout: "inherit",
    stderr: "ignore",
  });
  return (await reader.exited) === 0;
}

function writeAll({ table, version, write }: ManOptions, directory: string): number {
  const pages = manPages(table, version);
  try {
    mkdirSync(directory, { recursive: true });
    for (const [file, page] of pages) {
      const path = join(resolve(directory), file);
      replaceDurably(path, new TextEncoder().encode(page), 0o644);
      write(`${path}\n`);
    }
  } catch (error) {
    throw new CommandFailure(
      `the manual pages could not be written to ${directory}: ${reasonOf(error)}`,
      exitFailed,
    );
  }
  return exitOk;
}

/** All pages by the name of their file. */
export function manPages(table: CommandTable, version: string): ReadonlyMap<string, string> {
  return new Map([
    [`quorate.${manualSection}`, overviewPage(table, version)],
    ...table.commands.map(
      (command) =>
        [`quorate-${command.name}.${manualSection}`, commandPage(command, version)] as const,
    ),
  ]);
}

function overviewPage(table: CommandTable, version: string): string {
  return pageOf([
    title("quorate", version),
    ".SH NAME",
    `quorate \\- ${plain(oneLine.replace(/\.$/, ""))}`,
    ".SH SYNOPSIS",
    "\\fBquorate\\fR \\fIcommand\\fR [\\fIoptions\\fR]",
    ".SH DESCRIPTION",
    text(
      "One file that is a cluster member (corosync's ring, quorum and the replicated tree at /etc/pve) and the vote server beside it, in the protocols of the original programs. Without a command it says what runs here and what to do next.",
    ),
    ".SH COMMANDS",
    ...table.commands.flatMap(({ name, description }) => [
      ".TP",
      `\\fBquorate\\-${plain(name)}\\fR(${manualSection})`,
      text(description),
    ]),
    ".SH OTHER NAMES",
    text(
      "Called by one of these names, as a link to it, the file takes the options of the original program, prints its text and ends with its exit status.",
    ),
    ...linkTexts.flatMap(([name, what]) => [".TP", `\\fB${plain(name)}\\fR`, text(what)]),
    ".SH OPTIONS",
    ...table.options.flatMap(optionLines),
    ".SH FILES",
    text("All of them are below the directory of --root, where a command has it."),
    ...files.flatMap(fileLines),
    ".SH ENVIRONMENT",
    ...environment.flatMap(([name, what]) => [".TP", `\\fB${plain(name)}\\fR`, text(what)]),
    ".SH EXIT STATUS",
    text("Of a command whose page says nothing else:"),
    ...exitTexts.flatMap(exitLines),
    ".SH SEE ALSO",
    seeAlso(table.commands.map(({ name }) => `quorate-${name}`)),
  ]);
}

const files: readonly FileText[] = [
  ...nodeFiles,
  [certificateDirectory, "certificates of the vote server"],
  ["/var/lib/quorate", "what was installed, and the last upgrade"],
];

const environment: readonly (readonly [string, string])[] = [
  ["NO_COLOR", "Honoured: nothing is ever coloured."],
  ["TERM", "With `dumb`, progress is told in whole lines."],
  ["NOTIFY_SOCKET", "Where the daemons tell a service manager that they are ready (sd_notify)."],
  ["JOURNAL_STREAM", "When it is set, log lines carry their level in the journal's form."],
];

function commandPage(command: TableCommand, version: string): string {
  const name = `quorate-${command.name}`;
  return pageOf([
    title(name, version),
    ".SH NAME",
    wrapped(`${plain(name)} \\- ${marked(command.description)}`),
    ".SH SYNOPSIS",
    `\\fBquorate ${plain(command.name)}\\fR${command.arguments.map(argumentText).join("")} [\\fIoptions\\fR]`,
    ".SH DESCRIPTION",
    ...paragraphs(command.manual),
    ...(command.verbs.length === 0 ? [] : [".SH VERBS"]),
    ...verbLines(command).flatMap(([head, what]) => [".TP", `\\fB${plain(head)}\\fR`, text(what)]),
    ".SH OPTIONS",
    ...command.options.flatMap(optionLines),
    ".SH EXAMPLES",
    ...[".nf", ...command.examples.map(plain), ".fi"],
    ...(command.files.length === 0 ? [] : [".SH FILES"]),
    ...command.files.flatMap(fileLines),
    ".SH EXIT STATUS",
    ...command.exits.flatMap(exitLines),
    ".SH SEE ALSO",
    seeAlso(["quorate"]),
  ]);
}

function argumentText({ value, isRequired, isRest }: TableArgument): string {
  const word = `\\fI${plain(value.name)}\\fR${isRest ? " ..." : ""}`;
  return isRequired ? ` ${word}` : ` [${word}]`;
}

function optionLines(option: TableOption): readonly string[] {
  const names = option.names.map((name) => `\\fB${plain(name)}\\fR`).join(", ");
  const value = option.value === undefined ? "" : ` \\fI${plain(option.value.name)}\\fR`;
  return [".TP", `${names}${value}`, text(optionText(option))];
}

function exitLines([code, what]: ExitText): readonly string[] {
  return [".TP", `\\fB${code}\\fR`, text(what)];
}

function fileLines([path, what]: FileText): readonly string[] {
  return [".TP", `\\fI${plain(path)}\\fR`, text(what)];
}

function paragraphs(sentences: readonly string[]): readonly string[] {
  return sentences.flatMap((each, at) => (at === 0 ? [text(each)] : [".PP", text(each)]));
}

function seeAlso(names: readonly string[]): string {
  return names.map((name) => `\\fB${plain(name)}\\fR(${manualSection})`).join(",\n");
}

function title(name: string, version: string): string {
  return `.TH ${plain(name.toUpperCase())} ${manualSection} "" "quorate ${plain(version)}" "quorate"`;
}

function pageOf(lines: readonly string[]): string {
  return `.\\" Made by "quorate man" from the command table.\n${lines.join("\n")}\n`;
}

/** A sentence as a paragraph. */
function text(sentence: string): string {
  return wrapped(marked(sentence));
}

/** What stands between backquotes is bold. */
function marked(sentence: string): string {
  return sentence
    .split("`")
    .map((part, at) => (at % 2 === 1 ? `\\fB${plain(part)}\\fR` : plain(part)))
    .join("");
}

/** Short lines, as roff's sources have them, of which none begins as a request. */
function wrapped(paragraph: string): string {
  const lines: string[] = [];
  for (const word of paragraph.split(/\s+/)) {
    const line = lines.at(-1);
    if (line === undefined || line.length + word.length >= sourceColumns) lines.push(word);
    else lines[lines.length - 1] = `${line} ${word}`;
  }
  return lines.map((line) => (/^[.']/.test(line) ? `\\&${line}` : line)).join("\n");
}

/** Characters that roff would read as its own, and those beyond ASCII by their number. */
function plain(word: string): string {
  return word
    .replaceAll("\\", "\\e")
    .replaceAll("-", "\\-")
    .replaceAll("`", "\\(ga")
    .replaceAll("'", "\\(aq")
    .replaceAll("^", "\\(ha")
    .replaceAll("~", "\\(ti")
    .replace(/[^\0-\u007f]/gu, (sign) => {
      const code = sign.codePointAt(0) ?? 0;
      return `\\[u${code.toString(16).toUpperCase().padStart(4, "0")}]`;
    });
}
