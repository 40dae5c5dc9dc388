// The history of a node on disk: read once, written now and then beside everything else. A loss of it harms nobody, so nothing waits for the disk.
import { stat } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { replaceFile } from "../replaced-file.ts";
import { History } from "./history.ts";
import { historyBytesMax, historyOf, historyText } from "./history-text.ts";

/** An empty one where there is none yet; a failure says why what is there cannot be used. */
export async function readHistory(path: string): Promise<Result<History>> {
  const facts = await stat(path).catch(() => undefined);
  if (facts === undefined) return success(new History());
  const unusable = (reason: string) =>
    failure(`the history of the charts in ${path} cannot be used, and begins anew: ${reason}`);
  if (!facts.isFile()) return unusable("it is no file");
  if (facts.size > historyBytesMax) return unusable(`it has ${facts.size} bytes`);
  try {
    const read = historyOf(readFileSync(path, "utf8"));
    return read.ok ? read : unusable(read.reason);
  } catch (error) {
    return unusable(reasonOf(error));
  }
}

/** Whole under its name or as it was. Never rejects; "" or why it could not be written. */
export async function writeHistory(path: string, history: History): Promise<string> {
  try {
    await replaceFile(path, historyText(history));
    return "";
  } catch (error) {
    return `the history of the charts could not be written to ${path}: ${reasonOf(error)}`;
  }
}
