// `pvecm` under its own name (pvecm.md §1): its command line, texts and exit codes over what quorate does anyway.
import type { SshOrder } from "../../qdevice/enrol-ssh.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { findCommand, helpText, overview } from "./commands.ts";
import { exitDied } from "./failure.ts";
import { readWords, type PvecmCommand, type PvecmWords } from "./words.ts";

/** Of the join protocol (pvecm.md §1.13). */
export const joinApiVersion = 1;

export interface PvecmOptions {
  readonly root: string;
  /** Behind `pvecm`. */
  readonly args: readonly string[];
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** For `qdevice setup`; tests have their own. */
  readonly programs?: SshOrder["programs"];
}

/** Answers the exit code; throws nothing but bugs. */
export async function pvecm(options: PvecmOptions): Promise<number> {
  const { args, write, writeError } = options;
  const found = findCommand(args);
  if (found.kind === "unknown") {
    writeError(found.complaint);
    return exitDied;
  }
  if (found.kind === "help") {
    const text = helpText(found.rest);
    if (text !== undefined) {
      write(text);
      return exitOk;
    }
    writeError(overview("", `unknown command 'pvecm ${found.rest.join(" ")}'`));
    return exitDied;
  }
  const words = readWords(found.command, found.rest);
  if (!words.ok) {
    writeError(words.complaint);
    return exitDied;
  }
  try {
    return await carryOut(options, found.command, words);
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error; // A bug: the runtime prints it with its place.
    writeError(`${error.message}\n`);
    return exitDied;
  }
}

async function carryOut(
  options: PvecmOptions,
  { name }: PvecmCommand,
  { given }: PvecmWords,
): Promise<number> {
  const word = (key: string): string => given.get(key) ?? "";
  switch (name) {
    case "apiver":
      options.write(`${joinApiVersion}\n`);
      return exitOk;
    case "qdevice setup": {
      const { qdeviceSetup } = await import("./qdevice.ts");
      await qdeviceSetup(options, { address: word("address"), force: word("force") === "1" });
      return exitOk;
    }
    case "qdevice remove": {
      const { qdeviceRemove } = await import("./qdevice.ts");
      await qdeviceRemove(options);
      return exitOk;
    }
    default:
      throw new CommandFailure(
        `pvecm ${name} is not a part of quorate yet; see \`quorate --help\``,
      );
  }
}
