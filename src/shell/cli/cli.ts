// The command line: what the program was called by and its words, to an exit code. The commands are cli-table-verbs.ts; every verb's
// code is loaded when it is called (engineering.md §2, design.md decision 7).
import { identity, versionLine } from "../version.ts";
import { commandTable } from "./verbs.ts";
import { runTable } from "./table-parse.ts";
import { note, write } from "./words.ts";
import { linkNames } from "../tool/link-names.ts";
import { endSupervision } from "../daemon/supervisor.ts";

/** Runs one command line; `name` is what the program was called by. Never throws for what a person typed. */
export async function run(name: string, args: readonly string[]): Promise<number> {
  if (linkNames.includes(name)) {
    const { runLink } = await import("../tool/links.ts");
    return runLink(name, args);
  }
  const table = { ...commandTable(), versionLine: versionLine(), welcome, write, note };
  const code = await runTable(table, args);
  endSupervision(code);
  return code;
}

async function welcome(): Promise<number> {
  const { welcomeCommand } = await import("../welcome/welcome.ts");
  const { thisMachine } = await import("../welcome/facts.ts");
  return welcomeCommand({ identity, machine: thisMachine, write });
}
