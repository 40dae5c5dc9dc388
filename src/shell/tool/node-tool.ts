// What the tools under corosync's names share (services.md §7): what they find around them, numbers as the originals read them, and who
// fails how.
import { lookupService } from "node:dns/promises";
import type { NodeClient } from "../api/client.ts";
import { CommandFailure, exitNotRunning } from "../exit.ts";

export interface NodeToolOptions {
  readonly args: readonly string[];
  readonly node: NodeClient;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  readonly now: () => Date;
  /** The name of an address; "" when it has none. */
  readonly hostName: (address: string) => Promise<string>;
  /** Resolves when a monitoring tool looks again; undefined: it ends. */
  readonly again: () => Promise<boolean>;
}

export const exits = { success: 0, failure: 1, notQuorate: 2 } as const;

/** A whole number between the limits, as strtol reads it to the end of the word; undefined for anything else. */
export function wholeNumber(word: string, min: number, max: number): number | undefined {
  if (!/^\s*[+-]?\d+$/.test(word)) return undefined;
  const value = Number(word);
  return value >= min && value <= max ? value : undefined;
}

/** What is said of a node that could not be asked: the original's words, and the reason where it is another than that none runs. */
export function sayUnreachable(
  error: unknown,
  words: string,
  writeError: (text: string) => void,
): void {
  if (!(error instanceof CommandFailure)) throw error;
  writeError(`${words}\n`);
  if (error.code !== exitNotRunning) writeError(`${error.message}\n`);
}

/** The name that this machine's resolver has for an address; "" for none. */
export async function hostNameOf(address: string): Promise<string> {
  const port = 22; // It asks for a service too.
  const found = await lookupService(address, port).catch(() => undefined);
  return found === undefined || found.hostname === address ? "" : found.hostname;
}
