// `pvecm` under its own name (pvecm.md §1): its command line, texts and exit codes over what quorate does anyway.
import type { SshOrder } from "../../qdevice/enrol-ssh.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { findCommand, helpText, overview } from "./commands.ts";
import { exitDied } from "./failure.ts";
import { readLink, readWords, type PvecmCommand, type PvecmWords } from "./words.ts";

export interface PvecmOptions {
  readonly root: string;
  /** Behind `pvecm`. */
  readonly args: readonly string[];
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** For `qdevice setup` and `add --use_ssh`; tests have their own. */
  readonly programs?: SshOrder["programs"];
  /** For `status`; tests have their own. */
  readonly now?: () => Date;
  /** For `mtunnel`; undefined: standard input. */
  readonly input?: AsyncIterable<Uint8Array>;
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
  { given, extra }: PvecmWords,
): Promise<number> {
  const word = (key: string): string => given.get(key) ?? "";
  const isSet = (key: string): boolean => given.get(key) === "1";
  const cluster = await import("./cluster.ts");
  switch (name) {
    case "create": {
      const { pvecmCreate } = await import("../../command/cluster/create.ts");
      await pvecmCreate(options, Object.fromEntries(given));
      return exitOk;
    }
    case "apiver": {
      const { joinApiVersion } = await import("../../join/place-edits.ts");
      options.write(`${joinApiVersion}\n`);
      return exitOk;
    }
    case "status":
      return cluster.status(options);
    case "nodes":
      return cluster.nodes(options);
    case "expected":
      return cluster.expected(options, word("expected"));
    case "keygen":
      return cluster.keygenCommand(options, word("filename"));
    case "delnode":
      await cluster.delnode(options, word("node"));
      return exitOk;
    case "add": {
      const { add } = await import("./add.ts");
      return add(options, linkAddresses(given));
    }
    case "addnode":
      await cluster.addnode(options, linkAddresses(given));
      return exitOk;
    case "updatecerts":
      await cluster.updatecerts(options, { force: isSet("force"), silent: isSet("silent") });
      return exitOk;
    case "mtunnel": {
      const { mtunnel } = await import("./mtunnel.ts");
      const { root, write, input = process.stdin } = options;
      return mtunnel(
        { root, write, input },
        {
          getsAddress: isSet("get_migration_ip"),
          network: given.get("migration_network"),
          runsCommand: isSet("run-command"),
          command: extra,
        },
      );
    }
    case "qdevice setup": {
      const { qdeviceSetup } = await import("./qdevice.ts");
      await qdeviceSetup(options, { address: word("address"), force: isSet("force") });
      return exitOk;
    }
    case "qdevice remove": {
      const { qdeviceRemove } = await import("./qdevice.ts");
      await qdeviceRemove(options);
      return exitOk;
    }
    default:
      throw new Error(`invariant broken: pvecm has the command ${name}`);
  }
}

/** Links without their priorities, which a joining node does not give. */
function linkAddresses(given: ReadonlyMap<string, string>): Record<string, string> {
  return Object.fromEntries(
    [...given].map(([key, word]) => {
      const read = /^link\d$/.test(key) ? readLink(word) : word;
      return [key, typeof read === "string" ? word : read.address];
    }),
  );
}
