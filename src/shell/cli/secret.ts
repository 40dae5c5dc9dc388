// Tokens and passwords that do not stand on the command line, where every user of the machine can read them: "-" is the first
// line of standard input, a path the first line of a file.
import { createReadStream } from "node:fs";
import { reasonOf } from "../../result.ts";
import { CommandFailure, exitUsage } from "../exit.ts";
import { standardError } from "./output.ts";

const lineBytesMax = 8192;

export interface SecretSources {
  readonly input: AsyncIterable<Uint8Array>;
  /** A person types there: they are told what is waited for. */
  readonly isTerminal: boolean;
  /** For stderr. */
  readonly note: (text: string) => void;
}

const ownInput = (): SecretSources => ({
  input: process.stdin,
  isTerminal: process.stdin.isTTY,
  note: (text) => void standardError.write(text),
});

/** The first line of standard input when `word` is "-", else that of the file `word`. `what`: "token", for sentences. */
export async function readSecret(
  word: string,
  what: string,
  sources: () => SecretSources = ownInput,
): Promise<string> {
  if (word !== "-") return firstLine(createReadStream(word), what, `in ${word}`);
  const { input, isTerminal, note } = sources();
  if (isTerminal) note(`Type or paste the ${what}, then Enter: `);
  return firstLine(input, what, "on standard input");
}

/** The password of `--password`, or of `--password-file`; "" when neither is given. */
export async function passwordOf(
  password: string | undefined,
  file: string | undefined,
): Promise<string> {
  if (password !== undefined && file !== undefined) {
    throw new CommandFailure("give --password or --password-file, not both", exitUsage);
  }
  if (file !== undefined) return readSecret(file, "password");
  return password === "-" ? readSecret("-", "password") : (password ?? "");
}

async function firstLine(
  input: AsyncIterable<Uint8Array>,
  what: string,
  where: string,
): Promise<string> {
  let text = Buffer.alloc(0);
  try {
    for await (const piece of input) {
      text = Buffer.concat([text, piece]);
      if (text.includes(10) || text.length > lineBytesMax) break;
    }
  } catch (error) {
    throw new CommandFailure(`the ${what} ${where} cannot be read: ${reasonOf(error)}`);
  }
  const end = text.indexOf(10);
  const line = text.subarray(0, end < 0 ? text.length : end);
  if (line.length > lineBytesMax) {
    throw new CommandFailure(`the first line ${where} is too long to be a ${what}`);
  }
  const secret = line.toString("utf8").replace(/\r$/, "");
  if (secret === "") throw new CommandFailure(`there is no ${what} ${where}`);
  return secret;
}
