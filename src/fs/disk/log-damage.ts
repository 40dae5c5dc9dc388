// Damage in SQLite's write-ahead log. SQLite reads a log up to the first frame that does not fit and takes the rest for what a crash
// left unfinished, so acknowledged transactions behind a damaged frame are lost without a word. Format: sqlite.org/fileformat2.html §4.
import { equalBytes } from "../../bytes.ts";

const headBytes = 32;
const frameHeadBytes = 24;
const magic = 0x377f0682;
const usualPageBytes = 4096;

/**
 * True when two transactions that follow one another lie behind the place where SQLite stops. A crash cannot do that when each commit is
 * flushed: it spoils the last transaction only, and frames of before the log was begun anew have another salt. `read` answers
 * with the bytes asked for; `size`: of the log.
 */
export function hasLostTransactions(
  size: number,
  read: (offset: number, length: number) => Uint8Array,
): boolean {
  if (size < headBytes + frameHeadBytes) return false;
  const head = read(0, headBytes);
  const words = view(head);
  const isLittle = (words.getUint32(0) & 1) === 0;
  const pageBytes = words.getUint32(8);
  const headSum: Sum = [words.getUint32(24), words.getUint32(28)];
  const isHead =
    (words.getUint32(0) & ~1) >>> 0 === magic &&
    isPageSize(pageBytes) &&
    isSame(headSum, checksum(head.subarray(0, 24), [0, 0], isLittle));
  const salt = isHead ? head.subarray(16, 24) : read(headBytes + 8, 8);
  const frameBytes = frameHeadBytes + (isHead ? pageBytes : usualPageBytes);
  let sum = headSum;
  let isRead = isHead;
  let commits = 0;
  for (let at = headBytes; at + frameBytes <= size; at += frameBytes) {
    const frame = read(at, frameBytes);
    const fields = view(frame);
    const stored: Sum = [fields.getUint32(16), fields.getUint32(20)];
    const begun = checksum(frame.subarray(0, 8), sum, isLittle);
    const fits =
      equalBytes(frame.subarray(8, 16), salt) &&
      isSame(stored, checksum(frame.subarray(frameHeadBytes), begun, isLittle));
    sum = stored;
    if (!fits) {
      isRead = false;
      commits = 0;
    } else if (!isRead && fields.getUint32(4) !== 0) {
      commits += 1; // The size of the database after a commit; 0 in all other frames.
      if (commits === 2) return true;
    }
  }
  return false;
}

type Sum = readonly [number, number];

function isSame(a: Sum, b: Sum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

function isPageSize(bytes: number): boolean {
  return bytes >= 512 && bytes <= 65536 && (bytes & (bytes - 1)) === 0;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Carried on from `sum`; each frame's from the one before. */
function checksum(bytes: Uint8Array, sum: Sum, isLittle: boolean): Sum {
  const words = view(bytes);
  let [first, second] = sum;
  for (let at = 0; at < bytes.length; at += 8) {
    first = (first + words.getUint32(at, isLittle) + second) >>> 0;
    second = (second + words.getUint32(at + 4, isLittle) + first) >>> 0;
  }
  return [first, second];
}
