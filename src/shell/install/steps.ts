// The steps of an installation and its removal, each done or, with --dry-run, only printed. What is made is written down before (record.ts);
// what exists already as it should be is no step. Failures end in CommandFailure with one sentence.
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { replaceDurably } from "../../durable-file.ts";
import { reasonOf } from "../../result.ts";
import { CommandFailure } from "../exit.ts";
import { run } from "../unit/services.ts";
import { installExits } from "./exits.ts";
import { type InstallRecord, missingDirectories } from "./record.ts";

/** A node leaves its cluster in peace before it stops. */
const commandMsMax = 120_000;

export class Steps {
  readonly #isDry: boolean;
  readonly #write: (text: string) => void;
  /** What was changed, as a person would name it. */
  readonly changed: string[] = [];

  constructor(options: { readonly isDry: boolean; readonly write: (text: string) => void }) {
    this.#isDry = options.isDry;
    this.#write = options.write;
  }

  /** A line for the operator. */
  say(text: string): void {
    this.#write(`quorate: ${text}\n`);
  }

  /** True when the file was not so before. Whole or not at all. */
  file(record: InstallRecord, path: string, text: string, mode: number): boolean {
    if (contentOf(path) === text) return false;
    this.changed.push(path);
    if (this.#isDry) {
      this.say(`would write ${path}`);
      return true;
    }
    this.#attempt(`write ${path}`, () => {
      record.add(...missingDirectories(dirname(path)).map((each) => `${each}/`), path);
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      replaceDurably(path, new TextEncoder().encode(text), mode);
    });
    return true;
  }

  link(record: InstallRecord, path: string, target: string): void {
    this.changed.push(path);
    if (this.#isDry) return this.say(`would run: ln -s ${target} ${path}`);
    this.#attempt(`make the name ${path}`, () => {
      record.add(path);
      symlinkSync(target, path);
    });
  }

  note(record: InstallRecord, ...lines: readonly string[]): void {
    if (!this.#isDry) this.#attempt("write down what is installed", () => record.add(...lines));
  }

  /** Ends with `code` when the command fails; `hint` is said with it. */
  async command(
    words: readonly string[],
    hint = "",
    code: number = installExits.service,
  ): Promise<void> {
    if (this.#isDry) return this.say(`would run: ${words.join(" ")}`);
    const done = await run(words, commandMsMax);
    if (done.code === 0) return;
    throw new CommandFailure(`\`${words.join(" ")}\` failed: ${done.words}${hint}`, code);
  }

  /** A command whose failure hinders nothing, but is said. */
  async tryCommand(words: readonly string[]): Promise<void> {
    if (this.#isDry) return this.say(`would run: ${words.join(" ")}`);
    const done = await run(words, commandMsMax);
    if (done.code !== 0) this.say(`\`${words.join(" ")}\` failed (${done.words}); going on`);
  }

  /** A file, a link, or all of a directory. */
  remove(path: string): void {
    if (!isThere(path)) return;
    this.changed.push(path);
    if (this.#isDry) return this.say(`would remove ${path}`);
    this.#attempt(`remove ${path}`, () => rmSync(path, { recursive: true, force: true }));
  }

  /** What is in a directory; the directory stays. Of a file: itself. */
  empty(path: string): void {
    if (!isThere(path)) return;
    if (!lstatSync(path).isDirectory()) return this.remove(path);
    for (const name of readdirSync(path)) this.remove(join(path, name));
  }

  /** A directory, if nothing is in it. */
  removeEmpty(path: string): void {
    if (!existsSync(path) || !lstatSync(path).isDirectory() || readdirSync(path).length > 0) return;
    this.changed.push(path);
    if (this.#isDry) return this.say(`would remove ${path}, which is empty`);
    this.#attempt(`remove ${path}`, () => rmdirSync(path));
  }

  #attempt(what: string, step: () => void): void {
    try {
      step();
    } catch (error) {
      const why = reasonOf(error);
      throw new CommandFailure(`cannot ${what}: ${why}`, installExits.service);
    }
  }
}

/** Also for a link that leads nowhere. */
export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

/** What a symbolic link says; undefined for anything else. */
export function linkTarget(path: string): string | undefined {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true
    ? readlinkSync(path)
    : undefined;
}

function contentOf(path: string): string | undefined {
  return existsSync(path) && lstatSync(path).isFile() ? readFileSync(path, "utf8") : undefined;
}
