// The command line: what the program was called by and its words, to an exit code. The commands are verbs.ts; every verb's
// code is loaded when it is called (engineering.md §2, design.md decision 7).
import { identity, versionLine } from "../version.ts";
import { commandTable } from "./verbs.ts";
import { type Call, runTable } from "./table-parse.ts";
import { note, write } from "./output.ts";
import { linkNames } from "../tool/link-names.ts";
import { endSupervision } from "../daemon/supervisor.ts";

/** Runs one command line; `name` is what the program was called by. Never throws for what a person typed. */
export async function run(name: string, args: readonly string[]): Promise<number> {
  if (linkNames.includes(name)) {
    const { runLink } = await import("../tool/links.ts");
    return runLink(name, args);
  }
  const act = (call: Call): Promise<number> => call.run();
  const program = { table: commandTable(), versionLine: versionLine(), welcome, act, write, note };
  const code = await runTable(program, args);
  endSupervision(code);
  return code;
}

async function welcome(): Promise<number> {
  const { welcomeCommand } = await import("../welcome/welcome.ts");
  const { thisMachine } = await import("../welcome/facts.ts");
  return welcomeCommand({ identity, machine: thisMachine, write });
}
