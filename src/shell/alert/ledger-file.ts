// What was announced, on this machine's disk, so that a start of all nodes at once announces nothing twice and nothing too little. Of the cluster that it was
// announced in: what a node of another one told is none of its next one's. Nothing waits for the disk.
import { readFile, stat } from "node:fs/promises";
import * as v from "valibot";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { replaceFile } from "../replaced-file.ts";
import { decodeJson } from "../stored-json.ts";
import { encodeLedger, type Ledger, tellBytesMax } from "./ledger.ts";

const fileBytesMax = 4 * tellBytesMax;
const schema = v.object({ cluster: v.string(), ledger: v.string() });

/** Bytes for the core; undefined: nothing is remembered of this cluster. A failure says why what is there cannot be used. Never rejects. */
export async function readLedger(
  path: string,
  cluster: string,
): Promise<Result<Uint8Array | undefined>> {
  const unusable = (reason: string) =>
    failure(
      `what was announced of alerts (${path}) cannot be used, and open ones may be announced again: ${reason}`,
    );
  try {
    const facts = await stat(path).catch(() => undefined);
    if (facts === undefined) return success(undefined);
    if (!facts.isFile() || facts.size > fileBytesMax) return unusable("it is no file of ours");
    const read = decodeJson(schema, await readFile(path, "utf8"), fileBytesMax);
    if (!read.ok) return unusable(read.reason);
    if (read.value.cluster !== cluster) return success(undefined);
    return success(new TextEncoder().encode(read.value.ledger));
  } catch (error) {
    return unusable(reasonOf(error));
  }
}

/** Whole under its name or as it was. Never rejects; "" or why it could not be written. */
export async function writeLedger(path: string, cluster: string, ledger: Ledger): Promise<string> {
  const text = new TextDecoder().decode(encodeLedger(ledger)).replace(/\0$/, "");
  try {
    await replaceFile(path, `${JSON.stringify({ cluster, ledger: text })}\n`);
    return "";
  } catch (error) {
    return `what was announced of alerts could not be written to ${path}: ${reasonOf(error)}`;
  }
}
