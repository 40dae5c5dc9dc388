// The whole command table with verbs that only note how they were called, and what it says: for the tests of this folder.
import { runTable } from "../../src/shell/cli/table-parse.ts";
import { commandTable } from "../../src/shell/cli/verbs.ts";

export interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly error: string;
  /** "qnetd" and what its action was given; undefined when none ran. */
  readonly called: { readonly name: string; readonly args: readonly unknown[] } | undefined;
}

/** Runs one line of words; "welcome" is called when there is none. */
export async function line(...words: readonly string[]): Promise<Outcome> {
  const { cli, table } = commandTable();
  let output = "";
  let error = "";
  let called: Outcome["called"];
  const note = (name: string, args: readonly unknown[]): number => {
    called = { name, args };
    return 0;
  };
  for (const command of cli.commands) {
    command.action((...args: unknown[]) => note(command.name, args));
  }
  const code = await runTable(
    {
      cli,
      table,
      versionLine: "quorate 1.2.3",
      welcome: async () => note("welcome", []),
      write: (text) => (output += text),
      note: (text) => (error += text),
    },
    words,
  );
  return { code, output, error, called };
}

/** The options that an action was given. */
export function optionsOf({ called }: Outcome): Readonly<Record<string, unknown>> {
  return called!.args.at(-1) as Readonly<Record<string, unknown>>;
}
