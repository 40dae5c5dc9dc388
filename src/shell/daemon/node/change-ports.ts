// The ports of changes of a running cluster (shell/change), carried out by the node itself: its tree, its ring, its view of the others.
import { isIP } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { byteString, bytesOf } from "../../../bytes.ts";
import type { Files, Outcome } from "../../../fs/tree/files.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { addressesOf } from "../../../node/settings/resolve.ts";
import type { ReloadOutcome } from "../../../node/thread/reloader.ts";
import { leftLockMsMax, withTreeLock } from "../../api/tree-file.ts";
import {
  type ChangePorts,
  type ClusterView,
  notClusteredText,
  turnMs,
} from "../../change/ports.ts";
import { CommandFailure } from "../../exit.ts";
import type { NodeParts } from "./parts.ts";

/** Proxmox's name of the lock of corosync.conf. */
const confLock = "file-corosync_conf";

export interface ChangeSource extends Pick<NodeParts, "tree" | "cluster"> {
  /** Who the cluster log names. */
  readonly user: string;
  /** Why no node could use this corosync.conf, a sentence; "" when they could. */
  readonly confProblem: (content: Uint8Array) => Promise<string>;
}

export function changePorts(source: ChangeSource): ChangePorts {
  const { tree, cluster, user, confProblem } = source;
  // A refusal of an earlier file says nothing of what is written now.
  let earlier: ReloadOutcome | undefined = cluster.lastReload;
  /** What may be changed while the lock is held. */
  let written: Files = tree;
  return {
    cluster: {
      view: async () => viewOf(source, earlier),
      turn: async (signal) => {
        await wait(turnMs, undefined, { signal });
      },
      conf: async () => {
        const read = tree.read(corosyncConfPath);
        if (!read.ok && read.errno === "ENOENT") throw new CommandFailure(notClusteredText);
        return byteString(valueOf(corosyncConfPath, read));
      },
      putConf: async (text) => {
        const content = bytesOf(text);
        const problem = await confProblem(content);
        if (problem !== "") throw new CommandFailure(problem);
        earlier = cluster.lastReload;
        valueOf(corosyncConfPath, await written.replace(corosyncConfPath, content));
      },
      locked: async (isRepeated, work) => {
        const waitMs = isRepeated ? leftLockMsMax : undefined;
        const underLock = async (held: Files): Promise<void> => {
          written = held;
          await work().finally(() => (written = tree));
        };
        const done = await withTreeLock(
          tree,
          confLock,
          underLock,
          waitMs === undefined ? {} : { waitMs },
        );
        if (!done.ok) throw new CommandFailure(`cfs-lock '${confLock}' error: ${done.reason}`);
      },
      kill: async (nodeid, reason) => {
        const killed = await cluster.killNode(nodeid, reason);
        if (!killed.ok) throw new CommandFailure(killed.reason);
      },
      addressFault,
      log: async (message) =>
        tree.statusStore.log({
          ident: user,
          tag: "quorate",
          priority: 5,
          message: new TextEncoder().encode(message),
        }),
    },
    tree: treePorts(tree),
  };
}

async function addressFault(address: string): Promise<string> {
  if (isIP(address) !== 0) return "";
  if (/^[0-9.]+$|:/.test(address)) return "is no IP address";
  const found = await addressesOf(address);
  return found.length > 0
    ? ""
    : "is a name that does not resolve here: every node needs it in /etc/hosts, or give an address";
}

async function viewOf(
  { cluster }: ChangeSource,
  earlier: ReloadOutcome | undefined,
): Promise<ClusterView> {
  const { settings, lastReload } = cluster;
  const { member, links } = await cluster.snapshot();
  const { quorate, totalVotes, quorum } = member.quorum;
  const isRefused = lastReload !== undefined && lastReload !== earlier && !lastReload.ok;
  return {
    self: settings.nodeid,
    configVersion: settings.configVersion,
    refusal: isRefused ? lastReload.reason : "",
    ...{ quorate, totalVotes, quorum },
    members: member.members,
    versions: member.configVersions,
    links: links.map(({ nodeid, link, connected, remoteAddress }) => ({
      ...{ nodeid, link, remoteAddress },
      isConnected: connected,
    })),
  };
}

function treePorts(tree: NodeParts["tree"]): ChangePorts["tree"] {
  const absent = (outcome: Outcome<unknown>): boolean => !outcome.ok && outcome.errno === "ENOENT";
  return {
    list: async (path) => {
      const listed = tree.list(path);
      if (absent(listed)) return [];
      return valueOf(path, listed).map(({ name, stat }) =>
        stat.type === "directory" ? `${name}/` : name,
      );
    },
    read: async (path) => {
      const read = tree.read(path);
      return absent(read) ? undefined : byteString(valueOf(path, read));
    },
    put: async (path, text) => {
      valueOf(path, await tree.replace(path, bytesOf(text)));
    },
    remove: async (path) => {
      const removed = await tree.remove(path);
      if (!absent(removed)) valueOf(path, removed);
    },
    move: async (from, to) => {
      valueOf(from, await tree.rename(from, to));
    },
    makeDirectory: async (path) => {
      const made = await tree.mkdir(path);
      if (made.ok || made.errno !== "EEXIST") valueOf(path, made);
    },
  };
}

function valueOf<T>(path: string, outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  throw new CommandFailure(`/etc/pve/${path}: ${outcome.reason} (${outcome.errno})`);
}
