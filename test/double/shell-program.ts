// The whole command table with verbs that only note how they were called, and what it says: for the tests of this folder.
import { type Call, runTable } from "../../src/shell/cli/table-parse.ts";
import { commandTable } from "../../src/shell/cli/verbs.ts";

export interface Outcome {
  readonly code: number;
  readonly output: string;
  readonly error: string;
  /** Of the verb that would run; undefined when none would. */
  readonly called: { readonly name: string; readonly call: Call | undefined } | undefined;
}

/** Reads one line of words; "welcome" is called when there is none. */
export async function line(...words: readonly string[]): Promise<Outcome> {
  let output = "";
  let error = "";
  let called: Outcome["called"];
  const code = await runTable(
    {
      table: commandTable(),
      versionLine: "quorate 1.2.3",
      welcome: async () => {
        called = { name: "welcome", call: undefined };
        return 0;
      },
      act: async (call) => {
        called = { name: call.command.name, call };
        return 0;
      },
      write: (text) => (output += text),
      note: (text) => (error += text),
    },
    words,
  );
  return { code, output, error, called };
}

/** What the verb that would run is given. */
export function givenOf({ called }: Outcome): Call["given"] {
  return called!.call!.given;
}
