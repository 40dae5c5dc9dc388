// `corosync-qnetd-certutil` (qnetd.md §4.3): options, texts and exit codes of the original, certificates without NSS. What
// `pvecm qdevice setup` runs over ssh on the vote server's machine.
import { readFileSync } from "node:fs";
import { authorityName } from "../pki/pki.ts";
import { CertificateStore } from "../pki/store.ts";
import { importNss } from "../pki/store-nss.ts";

const exitDone = 0;
const exitFailed = 1;
const exitMissing = 2;

export interface CertutilOptions {
  /** The program as it was called: the usage text begins with it. */
  readonly name: string;
  readonly args: readonly string[];
  /** The original's: /etc/corosync/qnetd/nssdb. */
  readonly directory: string;
  /** Nickname of the server's certificate in an NSS database. */
  readonly nickname: string;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

interface Words {
  readonly operation: "initialize" | "sign" | "usage";
  readonly request: string;
  readonly cluster: string;
  readonly isGroupWritable: boolean;
}

/** Runs one call to its end; answers the exit code. */
export async function certutil(options: CertutilOptions): Promise<number> {
  const words = wordsOf(options.args);
  if (typeof words === "string") {
    options.writeError(`${words}\n`);
    return exitFailed;
  }
  switch (words.operation) {
    case "usage":
      options.write(usage(options.name));
      return exitDone;
    case "initialize":
      return initialize(options, words);
    case "sign":
      return sign(options, words);
  }
  return words.operation satisfies never;
}

async function initialize(options: CertutilOptions, words: Words): Promise<number> {
  const { directory, nickname, write, writeError, now } = options;
  const store = new CertificateStore(directory);
  const fail = (reason: string): number => {
    writeError(`${reason}\n`);
    return exitFailed;
  };
  const existing = `Certificate database (${directory}) already exists. Delete it to initialize new db`;
  switch (store.state()) {
    case "ours":
      return fail(existing);
    case "nss": {
      const imported = await importNss(store, nickname, now());
      // Not the original's advice to delete it: that would end the certificates of all nodes.
      if (!imported.ok) {
        return fail(
          `Certificate database (${directory}) already exists and could not be taken over: ${imported.reason}`,
        );
      }
      write(
        `Certificate database (${directory}) of NSS imported, "${authorityName}" stays the same\n`,
      );
      return exitDone;
    }
    case "none":
      break;
  }
  write(`Creating ${directory}\n`);
  const prepared = store.prepare({ isGroupWritable: words.isGroupWritable });
  if (!prepared.ok) return fail(prepared.reason);
  write("Creating new key and cert db\nCreating new CA\n");
  const created = await store.create(now());
  if (!created.ok) return fail(created.reason);
  write(`QNetd CA certificate is exported as ${store.authorityPath}\n`);
  return exitDone;
}

async function sign(options: CertutilOptions, words: Words): Promise<number> {
  const { directory, nickname, write, writeError, now } = options;
  const request = fileOf(words.request);
  if (request === undefined) {
    writeError(`Can't open certificate file ${words.request}\n`);
    return exitMissing;
  }
  if (words.cluster === "") {
    writeError("You have to specify cluster name\n");
    return exitMissing;
  }
  const store = new CertificateStore(directory);
  const fail = (reason: string): number => {
    writeError(`${reason}\n`);
    return exitFailed;
  };
  if (store.state() === "none") {
    return fail(`Certificate database doesn't exists. Use ${options.name} -i to create it`);
  }
  if (store.state() === "nss") {
    const imported = await importNss(store, nickname, now());
    if (!imported.ok) return fail(imported.reason);
  }
  write("Signing cluster certificate\n");
  const signed = await store.sign(request, words.cluster, now());
  if (!signed.ok) return fail(`Can't sign ${words.request}: ${signed.reason}`);
  const { commonName, path } = signed.value;
  // The vote server compares names without case and refuses a cluster of another one at connect.
  if (commonName.toLowerCase() !== words.cluster.toLowerCase()) {
    writeError(
      `Warning: the request is for cluster "${commonName}", not "${words.cluster}"; the certificate is good for "${commonName}" only\n`,
    );
  }
  write(`Certificate stored in ${path}\n`);
  return exitDone;
}

/** As the shell's getopts reads them; of several operations the last counts. A string is a complaint. */
function wordsOf(args: readonly string[]): Words | string {
  let operation: Words["operation"] = "usage";
  let request = "";
  let cluster = "";
  let isGroupWritable = true;
  for (let at = 0; at < args.length; at += 1) {
    const word = args[at] ?? "";
    if (!/^-./.test(word) || word === "--") break;
    for (let letter = 1; letter < word.length; letter += 1) {
      const option = word[letter];
      switch (option) {
        case "h":
          operation = "usage";
          break;
        case "i":
          operation = "initialize";
          break;
        case "s":
          operation = "sign";
          break;
        case "G":
          isGroupWritable = false;
          break;
        case "c":
        case "n": {
          const rest = word.slice(letter + 1);
          const value = rest === "" ? args[(at += 1)] : rest;
          if (value === undefined) return `Option -${option} requires an argument.`;
          if (option === "c") request = value;
          else cluster = value;
          letter = word.length;
          break;
        }
        default:
          return `Invalid option: -${option}`;
      }
    }
  }
  return { operation, request, cluster, isGroupWritable };
}

function fileOf(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch {
    return undefined; // Absent and unreadable are one answer of the original.
  }
}

function usage(name: string): string {
  return `${name}: [-i|-s] [-c certificate] [-G] [-n cluster_name]

 -i                  Initialize QNetd CA and generate server certificate
 -s                  Sign cluster certificate (needs cluster certificate)
 -c certificate      CRQ certificate file name
 -G                  Do not set group write bit for new files
 -n cluster_name     Name of cluster (for -s operation)
`;
}
