// One client of a mount: replaces a file atomically, reads one, asks for its attributes, or writes as the disk workloads say; `bun writer.ts DIRECTORY
// NAME`, told by lines what to do. A process of its own: nobody may wait for a mount that it serves itself.
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmdirSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { answer } from "./talk.ts";

export type WriterQuestion =
  /** `isApart`: in a directory of its own. */
  | {
      readonly ask: "replace";
      readonly bytes: number;
      readonly ms: number;
      readonly isApart?: boolean;
    }
  /** So many replaces, however long it takes. */
  | { readonly ask: "replaceTimes"; readonly bytes: number; readonly count: number }
  | { readonly ask: "read" | "stat"; readonly bytes: number; readonly ms: number }
  /** A new file of `bytes`, in writes of `step`. */
  | { readonly ask: "fill"; readonly name: string; readonly bytes: number; readonly step: number }
  | { readonly ask: "remove"; readonly name: string };

export interface Worked {
  readonly count: number;
  readonly tookMs: number;
  /** Of one operation, milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const [directory = "", client = ""] = process.argv.slice(2);
const name = `${directory}/${client}.cfg`;

function fill(path: string, bytes: number, step: number): void {
  // Nothing but a create, the writes and a release: an open that truncates would be one more ordered operation.
  const fd = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY, 0o640);
  try {
    const content = new Uint8Array(step).fill(0x61);
    for (let at = 0; at < bytes; at += step) writeSync(fd, content, 0, Math.min(step, bytes - at));
  } finally {
    closeSync(fd);
  }
}

/** Three ordered operations: create, write, rename. */
function replace(bytes: number, place = directory): void {
  const temporary = `${place}/${client}.tmp`;
  fill(temporary, bytes, bytes);
  renameSync(temporary, `${place}/${client}.cfg`);
}

function replaceApart(bytes: number, ms: number): Worked {
  const place = `${directory}/of-${client}`;
  mkdirSync(place);
  const done = worked(
    () => replace(bytes, place),
    (_, spentMs) => spentMs >= ms,
  );
  unlinkSync(`${place}/${client}.cfg`);
  rmdirSync(place);
  return done;
}

const buffer = new Uint8Array(1_048_576);

function read(): void {
  const fd = openSync(name, constants.O_RDONLY);
  try {
    readSync(fd, buffer);
  } finally {
    closeSync(fd);
  }
}

function worked(act: () => void, isOver: (count: number, spentMs: number) => boolean): Worked {
  const took: number[] = [];
  const begun = performance.now();
  let now = begun;
  while (!isOver(took.length, now - begun)) {
    act();
    const after = performance.now();
    took.push(after - now);
    now = after;
  }
  took.sort((a, b) => a - b);
  const part = (share: number): number => took[Math.floor(share * took.length)] ?? 0;
  return { count: took.length, tookMs: now - begun, p50: part(0.5), p99: part(0.99) };
}

function carryOut(question: WriterQuestion): Worked {
  switch (question.ask) {
    case "replace":
      if (question.isApart === true) return replaceApart(question.bytes, question.ms);
      return worked(
        () => replace(question.bytes),
        (_, spentMs) => spentMs >= question.ms,
      );
    case "replaceTimes":
      return worked(
        () => replace(question.bytes),
        (count) => count >= question.count,
      );
    case "read":
    case "stat": {
      replace(question.bytes);
      const one = question.ask === "read" ? read : () => void statSync(name);
      return worked(one, (_, spentMs) => spentMs >= question.ms);
    }
    case "fill":
      return worked(
        () => fill(`${directory}/${question.name}`, question.bytes, question.step),
        (count) => count === 1,
      );
    case "remove":
      return worked(
        () => unlinkSync(`${directory}/${question.name}`),
        (count) => count === 1,
      );
  }
}

await answer(async (question) => carryOut(question as WriterQuestion));
