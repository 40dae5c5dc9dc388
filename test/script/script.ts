// Scripts as reading matter: blocks of a command, a line "----" and what was printed, parted by empty lines; # begins a comment. The form is
// that of datadriven tests. `QUORATE_REWRITE=1` writes what is printed now into the files.
import { type Command, ScriptWorld } from "./world.ts";

interface Block {
  /** Comments and empty lines before it, as they stand. */
  readonly before: string;
  readonly line: string;
  readonly expected: string;
}

/** Throws when a line is no part of a script. */
export function parseScript(text: string): { readonly blocks: Block[]; readonly after: string } {
  const lines = text.split("\n");
  const blocks: Block[] = [];
  let before = "";
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at] ?? "";
    if (line === "" || line.startsWith("#")) {
      before += `${line}\n`;
      continue;
    }
    if (lines[at + 1] !== "----") throw new Error(`no line "----" after: ${line}`);
    let end = at + 2;
    while (end < lines.length && lines[end] !== "") end += 1;
    blocks.push({ before, line, expected: lines.slice(at + 2, end).join("\n") });
    before = "";
    at = end - 1;
  }
  return { blocks, after: before };
}

/** Runs a script; the same text with what was printed now. */
export async function runScript(text: string): Promise<string> {
  const { blocks, after } = parseScript(text);
  const world = new ScriptWorld();
  let result = "";
  for (const { before, line } of blocks) {
    const printed = await world.run(commandOf(line));
    result += [`${before}${line}`, "----", ...printed].join("\n");
    result += "\n";
  }
  // The last block's own line end is the first character of what follows.
  return result + after.slice(1);
}

function commandOf(line: string): Command {
  const words: string[] = [];
  const settings = new Map<string, string>();
  for (const [word = ""] of line.matchAll(/(?:[^\s"]|"[^"]*")+/g)) {
    const [key = "", ...rest] = word.split("=");
    if (rest.length === 0) words.push(word.replaceAll('"', ""));
    else settings.set(key, rest.join("=").replaceAll('"', ""));
  }
  const [name = "", ...others] = words;
  return { name, words: others, settings };
}
