// The record of an operation on disk, and the lock of who runs it. One directory holds one operation at a time, whichever process runs it.
import { existsSync, mkdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { flushDirectory, replaceDurably } from "../../durable-file.ts";
import { closeFd, errnoName, errnos, lockFile } from "../../libc.ts";
import { type Result, failure, success } from "../../result.ts";
import {
  decodeLeftover,
  decodeOperation,
  encodeJson,
  type Leftover,
  type OperationRecord,
  recordBytesMax,
} from "./operation-record.ts";

/** What `Operations` needs of a disk. What writes is durable when it returns, and throws what the disk says. */
export interface OperationStore {
  /** Held until it is disposed or the process ends. Undefined: another process, or this one, has it. */
  lock(): Result<Disposable | undefined>;
  /** Undefined: no operation is under way. */
  record(): Result<OperationRecord | undefined>;
  persist(record: OperationRecord): void;
  forget(): void;
  /** Stores what is left to be done by hand in place of the record. */
  setAside(leftover: Leftover): void;
  /** Of the last operation that left something. */
  leftover(): Result<Leftover | undefined>;
  /** An operation was completed since: somebody has done it. */
  dismissLeftover(): void;
}

/** In the operations' directory. */
export const leftoverFile = "operation-by-hand.json";
const directoryMode = 0o755;
/** Facts may hold keys. */
const fileMode = 0o600;
const othersMayWrite = 0o022;

export class OperationFiles implements OperationStore {
  readonly #directory: string;
  readonly #record: string;
  readonly #leftover: string;

  /** `directory`: `nodePaths(root).operationDir`; made when something is written. */
  constructor(directory: string) {
    this.#directory = directory;
    this.#record = join(directory, "operation.json");
    this.#leftover = join(directory, leftoverFile);
  }

  lock(): Result<Disposable | undefined> {
    mkdirSync(this.#directory, { recursive: true, mode: directoryMode });
    const path = join(this.#directory, "operation.lock");
    const locked = lockFile(path);
    if (locked.ok) return success({ [Symbol.dispose]: () => closeFd(locked.fd) });
    if (locked.errno === errnos.EAGAIN) return success(undefined);
    return failure(`${path}: ${errnoName(locked.errno)}`);
  }

  record(): Result<OperationRecord | undefined> {
    return readBy(this.#record, decodeOperation);
  }

  persist(record: OperationRecord): void {
    replaceDurably(this.#record, encodeJson(record), fileMode);
  }

  forget(): void {
    removeDurably(this.#record);
  }

  setAside(leftover: Leftover): void {
    replaceDurably(this.#leftover, encodeJson(leftover), fileMode);
    this.forget();
  }

  leftover(): Result<Leftover | undefined> {
    return readBy(this.#leftover, decodeLeftover);
  }

  dismissLeftover(): void {
    removeDurably(this.#leftover);
  }
}

/** What is in it is carried out with our rights: a file that others may write is not taken. */
function readBy<T>(path: string, decode: (text: string) => Result<T>): Result<T | undefined> {
  if (!existsSync(path)) return success(undefined);
  const { uid, mode, size } = statSync(path);
  if (uid !== 0 && uid !== process.getuid?.()) {
    return failure(`${path} belongs to user ${uid}: remove it if nobody of yours made it`);
  }
  if ((mode & othersMayWrite) !== 0) {
    return failure(`${path} can be written by others: remove it if nobody of yours made it so`);
  }
  if (size > recordBytesMax) return failure(`${path} is too long`);
  const read = decode(readFileSync(path, "utf8"));
  return read.ok ? read : failure(`${path} cannot be read: ${read.reason}`);
}

function removeDurably(path: string): void {
  if (!existsSync(path)) return;
  rmSync(path, { force: true });
  flushDirectory(dirname(path));
}
