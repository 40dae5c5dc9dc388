// The creation of a cluster as this node carries it out: what it knows of itself for the checks, the ports of the plan.
import { createSocket } from "node:dgram";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { isIP } from "node:net";
import { dirname } from "node:path";
import { parseConf } from "../../../conf.ts";
import { flushDirectory, replaceDurably } from "../../../durable-file.ts";
import { readConf } from "../../../fs/disk/conf-file.ts";
import type { Outcome } from "../../../fs/tree/files.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { isOwnAddress } from "../../../node/link/own-addresses.ts";
import { thisMachine } from "../../../node/settings/machine.ts";
import { ownAddress } from "../../../node/settings/own-address.ts";
import { keyBytesMax, readSettings } from "../../../node/settings/read-settings.ts";
import { addressesOf, resolveNames } from "../../../node/settings/resolve.ts";
import { failure, reasonOf, success } from "../../../result.ts";
import { ensureCertificates } from "../../certificates/cluster-certificates.ts";
import { readClusterConf } from "../../conf/cluster-conf.ts";
import { createPlan, type CreatePorts } from "../../create/create-plan.ts";
import type { CreateSurroundings } from "../../create/create-request.ts";
import { createRoutes } from "../../create/create-routes.ts";
import type { Route } from "../../api/route.ts";
import { dropTokens } from "../../join/tokens.ts";
import { OperationFiles } from "../../operation/operation-store.ts";
import { type BoundPlan, bindPlan } from "../../operation/plan.ts";
import type { NodePaths } from "../../paths.ts";
import { originalsIn } from "../../welcome/facts.ts";
import { certificatePorts } from "../certificates.ts";
import type { NodeParts } from "./parts.ts";
import { ensureNodeDirectories } from "./tree.ts";

const keyBytes = 256;
const keyMode = 0o400;

export function creationRoutes(parts: NodeParts): readonly Route[] {
  return createRoutes({
    surroundings: () => surroundings(parts),
    start: (facts, user) =>
      parts.operations.start(
        { type: "clustercreate", id: facts.clusterName, user },
        createPlan,
        createPorts(parts),
        facts,
      ),
  });
}

export function creationPlan(parts: NodeParts): BoundPlan {
  return bindPlan(createPlan, createPorts(parts));
}

/** A cluster is being created here, and whether it comes to be is not decided: a node that cannot start as its member is to take it back. */
export function isCreationPending({ operationDir }: NodePaths): boolean {
  const found = new OperationFiles(operationDir).record();
  if (!found.ok || found.value === undefined) return false;
  const { kind, at } = found.value;
  const position = createPlan.steps.findIndex(({ name }) => name === at);
  const commit = createPlan.steps.findIndex(({ commits }) => commits === true);
  return kind === createPlan.kind && position <= commit;
}

function surroundings({ options, mode, tree, directoryName }: NodeParts): CreateSurroundings {
  const { paths } = options;
  const nodeName = directoryName;
  return {
    ...{ nodeName, mode },
    conf: () => latin1(tree.read(corosyncConfPath)),
    keyBytes: () => readKey(paths)?.length,
    ownAddress: () => ownAddress(nodeName),
    resolve: async (address) => {
      const found = (await addressesOf(address)).map((each) => each.address);
      return found.length > 0 ? success(found) : failure("it does not resolve to an address");
    },
    isLocal: isOwnAddress,
    portFault,
    others: () =>
      paths.root === "/"
        ? originalsIn("/proc").filter((name) => name === "corosync" || name === "pmxcfs")
        : [],
    confProblem: (conf) => confProblem(conf, nodeName),
  };
}

/** As a start reads it, with the key that there will be. */
async function confProblem(text: string, nodeName: string): Promise<string> {
  const conf = parseConf(text);
  if (!conf.ok) return `corosync.conf:${conf.line}: ${conf.reason}`;
  const cluster = readClusterConf(text);
  if (!cluster.ok) return cluster.reason;
  const addresses = cluster.value.nodes.flatMap((node) => [...node.addresses.values()]);
  const read = readSettings({
    conf: conf.value,
    file: corosyncConfPath,
    local: { names: [nodeName], addresses: [] },
    resolved: await resolveNames(addresses, "ipv4-6"),
    key: { ok: true, bytes: new Uint8Array(keyBytes), path: undefined },
    daemon: thisMachine,
  });
  return read.ok ? "" : read.reason;
}

/** "" when a socket can be bound there. */
function portFault(address: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const socket = createSocket(isIP(address) === 6 ? "udp6" : "udp4");
  socket.once("error", (error) => {
    socket.close();
    resolve(reasonOf(error));
  });
  socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve("")));
  return promise;
}

function createPorts(parts: NodeParts): CreatePorts {
  const { options, mode, tree, directoryName, clusterLog } = parts;
  const { paths } = options;
  return {
    node: {
      mode: async () => mode,
      startFault: async () => parts.startFault,
      restart: (reason) => {
        parts.restart(reason);
        // The next process goes on.
        const { ending } = parts;
        return new Promise((_, reject) => {
          ending.addEventListener("abort", () => reject(ending.reason), { once: true });
        });
      },
      writable: (signal) => untilWritable(parts, signal),
      finish: async (tell) => {
        const made = await ensureNodeDirectories(tree, directoryName);
        if (!made.ok) throw new Error(made.reason);
        const ports = certificatePorts({ files: tree, nodeName: directoryName, paths });
        const ensured = await ensureCertificates(ports, { note: tell });
        if (!ensured.ok) throw new Error(ensured.reason);
      },
      log: async (user, message) => clusterLog({ user, isFailure: false, message }),
    },
    key: {
      read: async () => {
        const key = readKey(paths);
        return key && Buffer.from(key).toString("base64");
      },
      random: async () =>
        Buffer.from(crypto.getRandomValues(new Uint8Array(keyBytes))).toString("base64"),
      write: async (key) => {
        mkdirSync(dirname(paths.authkey), { recursive: true, mode: 0o755 });
        replaceDurably(paths.authkey, Buffer.from(key, "base64"), keyMode);
      },
      remove: async () => removeDurably(paths.authkey),
    },
    conf: {
      inTree: async () => latin1(tree.read(corosyncConfPath)),
      putInTree: async (conf) => {
        // Of a cluster that it was in before.
        const dropped = await dropTokens(tree);
        if (!dropped.ok) throw new Error(dropped.reason);
        done(await tree.replace(corosyncConfPath, Buffer.from(conf, "latin1")));
      },
      removeFromTree: async () => done(await tree.remove(corosyncConfPath)),
      onDisk: async () => {
        const conf = readConf(paths.conf);
        return conf && Buffer.from(conf).toString("latin1");
      },
      removeFromDisk: async () => removeDurably(paths.conf),
    },
  };
}

async function untilWritable({ tree, cluster }: NodeParts, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const look = (): void => {
    if (tree.status().writable) resolve();
  };
  const stop = (): void => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  tree.onMode(look);
  cluster.onQuorum(look);
  look();
  await promise.finally(() => signal.removeEventListener("abort", stop));
}

/** Undefined: there is none. Throws when it cannot be read. */
function readKey({ authkey }: NodePaths): Uint8Array | undefined {
  if (!existsSync(authkey)) return undefined;
  return new Uint8Array(readFileSync(authkey).subarray(0, keyBytesMax));
}

function removeDurably(path: string): void {
  rmSync(path, { force: true });
  flushDirectory(dirname(path));
}

function latin1(outcome: Outcome<Uint8Array>): string | undefined {
  return outcome.ok ? Buffer.from(outcome.value).toString("latin1") : undefined;
}

function done(outcome: Outcome<unknown>): void {
  if (!outcome.ok) throw new Error(outcome.reason);
}
