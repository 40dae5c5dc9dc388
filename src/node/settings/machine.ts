// What decides beside the file whether a configuration is good: names and addresses of this machine, its users and directories.
// Host code; tests have machines of their own.
import { lookupService } from "node:dns/promises";
import { existsSync, readFileSync, statSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { dirname, resolve } from "node:path";
import type { Conf } from "../../conf.ts";
import type { DaemonFacts } from "./conf-daemon.ts";
import { findByHostName, findByName, isOneOf, type LocalFacts } from "./local-node.ts";
import { candidates } from "./read-nodes.ts";
import { addressesOf, type Ask, byResolver, type FoundAddress } from "./resolve.ts";

/** A dead directory service must not hold a node for long. */
const getentMsMax = 5000;
/** Nor a dead DNS server, which the runtime asks for 20 s and more for each address. */
const nameMsMax = 5000;
/** After that, for a minute: enough for what /etc/hosts knows. */
const localMsMax = 1000;
const silentMs = 60_000;

export interface Machine extends DaemonFacts {
  readonly host: () => string;
  /** Of all interfaces, the loopback's included. */
  readonly addresses: () => readonly FoundAddress[];
  readonly ask: Ask;
  /** What the resolver calls one of these addresses; undefined: nothing. */
  readonly nameOf: (address: string) => Promise<string | undefined>;
}

/**
 * The resolver is asked at a start only, where the host name says nothing, and until it has said enough: a dead DNS server must not
 * delay without need. A running node is known by its nodeid.
 */
export async function factsOf(machine: Machine, conf: Conf, isStart: boolean): Promise<LocalFacts> {
  const labels = machine.host().split(".");
  const names = labels.map((_, cut) => labels.slice(0, labels.length - cut).join("."));
  const own = machine.addresses();
  const shortName = labels[0] ?? "";
  const facts = { names, shortName, addresses: own.map(({ address }) => address) };
  const nodes = candidates(conf);
  if (!isStart || findByHostName(nodes, facts) !== undefined) return facts;
  const aliases: string[] = [];
  // The system lists all its IPv4 addresses first.
  for (const { address, family } of own.toSorted((a, b) => a.family - b.family)) {
    const name = (await machine.nameOf(address)) ?? address;
    aliases.push(name, name.split(".")[0] ?? "", ...(family === 4 ? [address] : []));
    if (findByName(nodes, aliases) !== undefined) return { ...facts, aliases };
  }
  const resolved = new Map<string, readonly string[]>();
  for (const text of nodes.flatMap(({ name, address }) => [name, address])) {
    if (text === undefined || resolved.has(text)) continue;
    const addresses = (await addressesOf(text, 0, machine.ask)).map(({ address }) => address);
    resolved.set(text, addresses);
    if (isOneOf(addresses, facts)) break;
  }
  return { ...facts, aliases, resolved };
}

export const thisMachine: Machine = {
  host: hostname,
  addresses: () =>
    Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .map(({ address, family }) => ({ address, family: family === "IPv4" ? 4 : 6 })),
  ask: byResolver,
  nameOf: boundedNames(
    async (address) => (await lookupService(address, 0)).hostname,
    nameMsMax,
    () => performance.now(),
  ),
  isKnown,
  logfileFault,
  directoryFault,
};

/** Asks for names of addresses, `msMax` milliseconds each, and less for a minute once there was no answer in time. */
export function boundedNames(
  ask: (address: string) => Promise<string>,
  msMax: number,
  now: () => number,
): Machine["nameOf"] {
  let silentUntil = Number.NEGATIVE_INFINITY;
  return async (address) => {
    const { promise: late, resolve: giveUp } = Promise.withResolvers<undefined>();
    const timer = setTimeout(
      () => {
        silentUntil = now() + silentMs;
        giveUp(undefined);
      },
      now() < silentUntil ? Math.min(msMax, localMsMax) : msMax,
    );
    try {
      return await Promise.race([ask(address), late]);
    } catch {
      return undefined; // Nobody knows the address by a name.
    } finally {
      clearTimeout(timer);
    }
  };
}

/** By the local files, and by `getent` for what a directory service knows. */
function isKnown(kind: "user" | "group", name: string): boolean {
  const base = kind === "user" ? "passwd" : "group";
  const file = `/etc/${base}`;
  if (existsSync(file)) {
    const lines = readFileSync(file, "latin1").split("\n");
    if (lines.some((line) => line.startsWith(`${name}:`))) return true;
  }
  if (Bun.which("getent") === null) return false;
  const found = Bun.spawnSync(["getent", "--", base, name], {
    stdout: "ignore",
    timeout: getentMsMax,
  });
  return found.exitCode === 0;
}

/** Nothing is made, and permissions are not checked: corosync runs as root. Relative paths are a service's, which begins in "/". */
function logfileFault(path: string): string | undefined {
  const file = resolve("/", path);
  if (path === "") return "No such file or directory";
  if (isDirectory(file)) return "Is a directory";
  return isDirectory(dirname(file)) ? undefined : "No such file or directory";
}

function directoryFault(path: string): string | undefined {
  return isDirectory(resolve("/", path)) ? undefined : "No such directory";
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // Not there, or behind something that is no directory.
  }
}
