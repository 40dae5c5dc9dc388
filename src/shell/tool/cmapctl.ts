// `corosync-cmapctl` (services.md §7.3): options, texts and exit codes of the original 3.1.7, towards the maps of a running node.
import { clearable } from "../cmap/configuration-map.ts";
import { type MapName, mapTypes } from "../cmap/map-entry.ts";
import { entryLine, parseValue, valueText } from "../cmap/map-value.ts";
import type { MapClient } from "../api/cmap-client.ts";
import { getopt, operands } from "./getopt.ts";
import { cmapctlUsage } from "./cmapctl-usage.ts";
import { trackKeys } from "./cmapctl-track.ts";
import { sayUnreachable } from "./node-tool.ts";
import { errnoText } from "./tool-call.ts";

const name = "corosync-cmapctl";
const unreachable = "Failed to initialize the cmap API. Error CS_ERR_LIBRARY";
const letters = "m:hgsdDtTbqp:C:";
const exits = { done: 0, failed: 1 } as const;

export interface CmapctlOptions {
  readonly args: readonly string[];
  readonly map: MapClient;
  readonly write: (text: string) => void;
  readonly writeError: (text: string) => void;
  /** A file's bytes, of "-" those of standard input; throws an error with a code. */
  readonly readFile: (path: string) => Promise<Uint8Array>;
  /** Resolves when the operator has had enough of -t or -T: "q" or the end of standard input. */
  readonly untilQuit: () => Promise<void>;
}

/** A complaint that ends the call with status 1. */
class Complaint extends Error {}

type Action = "list" | "get" | "set" | "delete" | "deletePrefix" | "track" | "trackPrefix";
type Order =
  | { readonly kind: "help" }
  | { readonly kind: "load"; readonly file: string }
  | { readonly kind: "clear"; readonly what: string }
  | {
      readonly kind: Action;
      readonly map: MapName;
      readonly isBinaryShown: boolean;
      readonly isQuiet: boolean;
      readonly words: readonly string[];
    };

const actions: ReadonlyMap<string, Action> = new Map([
  ["g", "get"],
  ["s", "set"],
  ["d", "delete"],
  ["D", "deletePrefix"],
  ["t", "track"],
  ["T", "trackPrefix"],
]);

/** Runs one call; answers the exit code. */
export async function cmapctl(options: CmapctlOptions): Promise<number> {
  try {
    const order = readOrder(options.args);
    if (order.kind === "help") {
      options.write(cmapctlUsage);
      return exits.done;
    }
    return await carryOut(options, order);
  } catch (error) {
    if (error instanceof Complaint) {
      options.writeError(`${error.message}\n`);
      return exits.failed;
    }
    sayUnreachable(error, unreachable, options.writeError);
    return exits.failed;
  }
}

/** Of several actions the last one counts. */
function readOrder(args: readonly string[]): Order {
  let map: MapName = "icmap";
  let action: Action | { readonly file: string } | { readonly what: string } = "list";
  let isBinaryShown = false;
  let isQuiet = false;
  for (const option of getopt(args, letters)) {
    if (typeof option === "string") throw new Complaint(`${name}: ${option}`);
    const { letter, value } = option;
    if (letter === "h") return { kind: "help" };
    if (letter === "b") isBinaryShown = true;
    else if (letter === "q") isQuiet = true;
    else if (letter === "m") map = mapOf(value);
    else if (letter === "p") action = { file: value };
    else if (letter === "C") action = { what: partOf(value) };
    else action = actions.get(letter) ?? action;
  }
  const words = operands(args, letters);
  if (typeof action !== "string") {
    return "file" in action
      ? { kind: "load", file: action.file }
      : { kind: "clear", what: action.what };
  }
  if (action !== "list" && words.length === 0) throw new Complaint("Expected key after options");
  if (action === "set" && words.length < 3) {
    throw new Complaint("At least 3 parameters are expected for set");
  }
  return { kind: action, map, isBinaryShown, isQuiet, words };
}

function mapOf(word: string): MapName {
  if (word === "icmap" || word === "default") return "icmap";
  if (word === "stats") return "stats";
  throw new Complaint("invalid map name, must be 'default', 'icmap' or 'stats'");
}

function partOf(word: string): string {
  if (clearable.some((part) => part === word)) return word;
  throw new Complaint("argument to -C should be 'knet', 'totem', 'ipc', 'schedmiss' or 'all'");
}

async function carryOut(
  options: CmapctlOptions,
  order: Exclude<Order, { kind: "help" }>,
): Promise<number> {
  const { map: port } = options;
  switch (order.kind) {
    case "load":
      return load(options, order.file);
    case "clear":
      await port.set("stats", { key: `stats.clear.${order.what}`, type: "u32", value: "1" });
      return exits.done;
    case "list":
      return list(options, order);
    case "get":
      return get(options, order);
    case "set": {
      const [key = "", type = "", text = ""] = order.words;
      await set(options, order.map, { key, type, text });
      return exits.done;
    }
    case "delete":
      for (const key of order.words) {
        const result = await port.delete(order.map, key);
        if (result !== "CS_OK") throw new Complaint(`Can't delete key ${key}. Error ${result}`);
      }
      return exits.done;
    case "deletePrefix":
      for (const prefix of order.words) await deletePrefix(options, order.map, prefix);
      return exits.done;
    case "track":
    case "trackPrefix":
      await trackKeys({
        read: () =>
          port.read(
            order.map,
            order.kind === "track" || order.words.length > 1 ? "" : (order.words[0] ?? ""),
          ),
        isTracked: (key) =>
          order.words.some((word) =>
            order.kind === "track" ? key === word : key.startsWith(word),
          ),
        write: options.write,
        isBinaryShown: order.isBinaryShown,
        untilQuit: options.untilQuit,
      });
      return exits.done;
  }
  return order satisfies never;
}

type Shown = Extract<Order, { readonly map: MapName }>;

async function list({ map, write }: CmapctlOptions, order: Shown): Promise<number> {
  const prefixes = order.words.length === 0 ? [""] : order.words;
  let isEmpty = true;
  for (const prefix of prefixes) {
    for (const entry of await map.read(order.map, prefix)) {
      isEmpty = false;
      write(`${entryLine(entry, order.isBinaryShown)}\n`);
    }
  }
  return isEmpty ? exits.failed : exits.done;
}

async function get({ map, write }: CmapctlOptions, order: Shown): Promise<number> {
  for (const key of order.words) {
    const entry = (await map.read(order.map, key)).find((each) => each.key === key);
    if (entry === undefined) {
      throw new Complaint(`Can't get key ${key}. Error CS_ERR_NOT_EXIST`);
    }
    write(`${order.isQuiet ? valueText(entry) : entryLine(entry, order.isBinaryShown)}\n`);
  }
  return exits.done;
}

interface Words {
  readonly key: string;
  readonly type: string;
  readonly text: string;
}

async function set(options: CmapctlOptions, map: MapName, { key, type, text }: Words) {
  const known = mapTypes.find((candidate) => candidate === type);
  if (known === undefined) throw new Complaint(`Unknown type ${type}`);
  let value: string;
  if (known === "bin") value = Buffer.from(await bytesOf(options, text)).toString("base64");
  else {
    const parsed = parseValue(known, text);
    if (!parsed.ok) throw new Complaint(parsed.reason);
    value = parsed.value;
  }
  const result = await options.map.set(map, { key, type: known, value });
  if (result !== "CS_OK") throw new Complaint(`Failed to set key ${key}. Error ${result}`);
}

async function bytesOf({ readFile }: CmapctlOptions, path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Complaint(`Can't open input file: ${errorText(error)}`);
  }
}

function errorText(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "EIO";
  return errnoText(code);
}

/** What cannot be deleted is told, and the call succeeds, as the original's does. */
async function deletePrefix({ map, writeError }: CmapctlOptions, name_: MapName, prefix: string) {
  for (const { key } of await map.read(name_, prefix)) {
    const result = await map.delete(name_, key);
    if (result !== "CS_OK") writeError(`Can't delete key ${key}. Error ${result}\n`);
  }
}

/** Line by line: "^" deletes a key, "^^" all with a prefix, others are set. A file that cannot be read is told, with status 0. */
async function load(options: CmapctlOptions, file: string): Promise<number> {
  let bytes: Uint8Array;
  try {
    if (file === "-") throw Object.assign(new Error("no such file"), { code: "ENOENT" });
    bytes = await options.readFile(file);
  } catch (error) {
    options.writeError(`Couldn't open file.: ${errorText(error)}\n`);
    return exits.done;
  }
  for (const raw of new TextDecoder().decode(bytes).split("\n")) {
    const line = raw.replace(/^[ \t]+/, "");
    if (line === "" || line.startsWith("#")) continue;
    await loadLine(options, line);
  }
  return exits.done;
}

async function loadLine(options: CmapctlOptions, line: string): Promise<void> {
  const carets = line.startsWith("^^") ? 2 : line.startsWith("^") ? 1 : 0;
  const rest = line.slice(carets);
  const [key = "", type, text] =
    carets > 0 ? [rest.split(" ", 1)[0]] : rest.split(" ").filter((word) => word !== "");
  if (carets === 2) return deletePrefix(options, "icmap", key);
  if (carets === 1) {
    const result = await options.map.delete("icmap", key);
    if (result !== "CS_OK") options.writeError(`Can't delete key ${key}. Error ${result}\n`);
    return;
  }
  if (type === undefined || text === undefined) {
    throw new Complaint(`Both type and value for key ${key} are required`);
  }
  await set(options, "icmap", { key, type, text });
}
