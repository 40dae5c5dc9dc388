// The files of an upgrade: carries out what the core orders, each step durable when it returns. At every instant one whole program has the
// installed name: it is only ever replaced by a rename. Everything here throws what the disk says; the driver makes a value of it.
import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { dirname } from "node:path";
import { type Result, success, failure } from "../../result.ts";
import { flushDirectory, replaceDurably } from "../../durable-file.ts";
import { digestOf } from "../release/digest.ts";
import type { Build, Disk, UpgradeRecord } from "./events.ts";
import type { UpgradePlaces } from "./places.ts";
import {
  type BadBuild,
  badBuildsMax,
  decodeBadBuilds,
  decodeEventLine,
  decodeRecord,
  encodeRecord,
  type EventLine,
  recordBytesMax,
} from "./record.ts";

const stateMode = 0o755;
const fileMode = 0o600;
const logMode = 0o644;
const othersMayWrite = 0o022;
const urlBytesMax = 4096;
const logBytesMax = 256 * 1024;

/** SHA-256 of a file, hexadecimal; undefined when there is none. */
export function fileHash(path: string): string | undefined {
  return existsSync(path) ? digestOf(path).sha256 : undefined;
}

export class UpgradeMachine {
  readonly places: UpgradePlaces;

  constructor(places: UpgradePlaces) {
    this.places = places;
  }

  /** Makes the state directory; a reason when others may write to it: they could choose what root runs. */
  prepareState(): string | undefined {
    mkdirSync(this.places.state, { recursive: true, mode: stateMode });
    return trusted(this.places.state);
  }

  /** The record; undefined: no upgrade is under way. */
  record(): Result<UpgradeRecord | undefined> {
    const { record } = this.places;
    if (!existsSync(record)) return success(undefined);
    const fault = trusted(this.places.state) ?? trusted(record);
    if (fault !== undefined) return failure(fault);
    if (statSync(record).size > recordBytesMax) return failure(`${record} is too long`);
    const read = decodeRecord(readFileSync(record, "utf8"));
    return read.ok ? read : failure(`${record} cannot be read: ${read.reason}`);
  }

  /** Where the installer found the release; undefined when it came from a directory, or others could have written it. */
  releaseUrl(): string | undefined {
    const { releaseUrl, state } = this.places;
    if (!existsSync(releaseUrl) || statSync(releaseUrl).size > urlBytesMax) return undefined;
    if ((trusted(state) ?? trusted(releaseUrl)) !== undefined) return undefined;
    return readFileSync(releaseUrl, "utf8").trim() || undefined;
  }

  disk({ from, to }: UpgradeRecord): Disk {
    const current = fileHash(this.places.bin);
    return {
      current: current === from.sha256 ? "from" : current === to.sha256 ? "to" : "other",
      hasNext: fileHash(this.places.next) === to.sha256,
      hasPrevious: fileHash(this.places.previous) === from.sha256,
    };
  }

  persist(record: UpgradeRecord): void {
    replaceDurably(this.places.record, new TextEncoder().encode(encodeRecord(record)), fileMode);
  }

  /** The installed file gets its second name too; what had it loses it. */
  keepPrevious(): void {
    const { bin, previous } = this.places;
    linkOver(bin, previous);
  }

  swapIn(): void {
    const { bin, next } = this.places;
    renameSync(next, bin);
    flushDirectory(dirname(bin));
  }

  swapBack(): void {
    const { bin, previous } = this.places;
    linkOver(previous, bin);
  }

  forget(): void {
    rmSync(this.places.next, { force: true });
    rmSync(this.places.record, { force: true });
    flushDirectory(dirname(this.places.record));
  }

  /** What cannot be read counts as no entry: it only keeps people from trying the same file twice. */
  badBuilds(): readonly BadBuild[] {
    const { bad } = this.places;
    if (!existsSync(bad)) return [];
    const read = decodeBadBuilds(readFileSync(bad, "utf8"));
    return read.ok ? read.value : [];
  }

  markBad({ version, sha256 }: Build, reason: string): void {
    const others = this.badBuilds().filter((one) => one.sha256 !== sha256);
    const all = [...others, { version, sha256, reason, at: new Date().toISOString() }];
    const text = `${JSON.stringify(all.slice(-badBuildsMax), null, 2)}\n`;
    replaceDurably(this.places.bad, new TextEncoder().encode(text), fileMode);
  }

  /** One line of the events' file; the file begins anew when it has grown long. */
  tell(line: EventLine): void {
    const { log } = this.places;
    if (existsSync(log) && statSync(log).size > logBytesMax) truncateSync(log, 0);
    appendFileSync(log, `${JSON.stringify(line)}\n`, { mode: logMode });
  }

  events(): readonly EventLine[] {
    const { log } = this.places;
    if (!existsSync(log)) return [];
    return readFileSync(log, "utf8")
      .split("\n")
      .flatMap((text) => {
        const line = text === "" ? undefined : decodeEventLine(text);
        return line?.ok === true ? [line.value] : [];
      });
  }

  /** The staged file is whole: makes it an executable that outlasts a power cut. */
  flushNext(): void {
    chmodSync(this.places.next, 0o755);
    flushFile(this.places.next);
    flushDirectory(dirname(this.places.next));
  }
}

/** Gives the file `source` the name `target` too, in place of what has it: at every instant a whole file has the name. */
function linkOver(source: string, target: string): void {
  const temporary = `${target}.link`;
  rmSync(temporary, { force: true });
  try {
    linkSync(source, temporary);
  } catch {
    // A file system without links, as on some memory cards.
    copyFileSync(source, temporary);
    flushFile(temporary);
  }
  renameSync(temporary, target);
  // Two names of one file: rename(2) then does nothing and leaves the temporary one.
  rmSync(temporary, { force: true });
  flushDirectory(dirname(target));
}

function flushFile(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** Undefined when only root and we can change it. */
function trusted(path: string): string | undefined {
  const { uid, mode } = statSync(path);
  if (uid !== 0 && uid !== process.getuid?.()) {
    return `${path} belongs to user ${uid}, who could choose what is run: give it to root`;
  }
  if ((mode & othersMayWrite) !== 0) {
    return `${path} can be written by others, who could choose what is run: chmod go-w ${path}`;
  }
  return undefined;
}
