// The tree on which the rows of pmxcfs/behaviour.tsv were recorded (pmxcfs.md §8), in each of its states, and where ours differs.
import { readFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { bytesOf } from "../../src/bytes.ts";
import type { Files } from "../../src/fs/tree/files.ts";
import { ConfigurationTree } from "../../src/fs/fs.ts";
import type { Clock } from "../../src/world.ts";
import { MemberBus, type MemberPort } from "../fs/member-bus.ts";
import { plainQuorum } from "../fs/plain-quorum.ts";

export const states = ["local", "quorate", "nonquorate"] as const;
export type State = (typeof states)[number];

export const me = "pd";
export const other = "pb";
/** Of the recorded run in local mode. */
export const startTimeS = 1_795_225_781;
export const pid = 13_494;
export const guests = `nodes/${me}/qemu-server`;
export const containers = `nodes/${me}/lxc`;
export const foreign = `nodes/${other}/qemu-server`;

export interface Row {
  readonly operation: string;
  /** "OK", "OK value" or an errno. */
  readonly expected: string;
}

export function rowsOf(state: string): readonly Row[] {
  return readFileSync(join(import.meta.dir, "pmxcfs/behaviour.tsv"), "utf8")
    .split("\n")
    .map((line) => line.split("\t"))
    .filter((columns) => columns[0] === state)
    .map(([, operation, result, errno]) => ({
      operation: operation!,
      // Two names of one number.
      expected: result === "FAIL" ? errno!.replace("EOPNOTSUPP", "ENOTSUP") : result!,
    }));
}

interface Difference {
  readonly state: State;
  readonly operation: string;
  readonly ours: string;
  /** Why ours is not the recorded result. */
  readonly why: string;
}

const dead =
  "the original dies of it: the file has a size and no bytes; ours grows by a byte of zeros";
const wraps = "the offset is 32 bits on the wire and wraps; ours is refused before it is sent";
const cached = "the original shows the size it had for a second; ours is read when it is asked for";

const [major = 0, minor = 0] = release().split(".").map(Number);
const mapsDirect = major > 6 || (major === 6 && minor >= 6);

export const differences: readonly Difference[] = [
  ...(mapsDirect ? states : []).map((state) => ({
    state,
    operation: "mmap MAP_SHARED",
    ours: "OK",
    why: "recorded on a kernel before 6.6, which maps no file that is read past the page cache",
  })),
  { state: "quorate", operation: "truncate 4294967296+3", ours: "EFBIG", why: wraps },
  { state: "quorate", operation: "size after", ours: "OK 1048576", why: wraps },
  { state: "quorate", operation: "read of that file", ours: `OK ${"00".repeat(10)}`, why: dead },
  {
    state: "local",
    operation: "truncate(2) to 10 on an empty file, then read",
    ours: `OK ${"00".repeat(10)}`,
    why: dead,
  },
  ...states.map((state) => ({ state, operation: "read .debug", ours: "OK b'1\\n'", why: cached })),
  {
    state: "quorate",
    operation: "lstat .debug after write, within 1 s",
    ours: "OK fresh",
    why: cached,
  },
  {
    state: "quorate",
    operation: "stat of a path just removed by another node",
    ours: "ENOENT",
    why: "the kernel is told of changes by others (ARCHITECTURE.md)",
  },
  {
    state: "quorate",
    operation: "next state exchange with that file present on the leader",
    ours: "OK",
    why: dead,
  },
];

/** What ours must give: the recorded result, or what stands in `differences`. */
export function oursOf(state: State, { operation, expected }: Row): string {
  const found = differences.find((each) => each.state === state && each.operation === operation);
  return found?.ours ?? expected;
}

/** Whether `got` is what a row asks for: a bare "OK" says nothing of the value. */
export function matches(got: string, wanted: string): boolean {
  return wanted === "OK" ? /^OK( |$)/.test(got) : got === wanted;
}

export interface BehaviourTree {
  readonly tree: ConfigurationTree;
  /** Another member, where there is a group. */
  readonly peer: ConfigurationTree | undefined;
  /** One more member, quorate; a mute one answers nobody until `unmute`. */
  readonly join: (nodeid: number, how?: { readonly isMute: boolean }) => Promise<ConfigurationTree>;
  readonly unmute: () => void;
  readonly stop: () => Promise<void>;
}

/** A prepared tree in `state`. `wallS`, `clock`: where a run needs its own. */
export async function openTree(
  state: State,
  directory: string,
  options: { readonly wallS: () => number; readonly clock?: Clock },
): Promise<BehaviourTree> {
  const bus = new MemberBus();
  const ports: MemberPort[] = [];
  const isLocal = state === "local";
  const all: ConfigurationTree[] = [];
  const open = async (nodeid: number, nodeName: string, isMute = false) => {
    const port = bus.port(nodeid);
    port.isMute = isMute;
    ports.push(port);
    const opened = await ConfigurationTree.open({
      ...options,
      ...{ directory: join(directory, nodeName), nodeid, nodeName, pid },
      groups: isLocal ? undefined : port,
      cluster: isLocal ? undefined : { name: "c", configVersion: 1, nodes: [] },
      corosyncConfPath: join(directory, `${nodeName}.conf`),
      ...{ durability: "normal", gid: 33 },
      log: () => undefined,
      onFatal: (reason) => {
        throw new Error(reason);
      },
      onCorosyncConf: () => undefined,
    });
    if (!opened.ok) throw new Error(opened.reason);
    all.push(opened.value);
    opened.value.setQuorum(plainQuorum(true), "");
    return opened.value;
  };
  const tree = await open(1, me);
  const peer = isLocal ? undefined : await open(2, other);
  await synced(all);
  await prepare(tree);
  if (state === "nonquorate")
    for (const each of all) each.setQuorum(plainQuorum(false), "no quorum");
  return {
    tree,
    peer,
    join: (nodeid, how) => open(nodeid, `n${nodeid}`, how?.isMute),
    unmute: () => {
      for (const port of ports) port.isMute = false;
      bus.schedule();
    },
    stop: async () => {
      for (const each of all) await each.stop();
    },
  };
}

/** Until the group has all of them and each has the tree; the bus delivers in turns of the event loop. */
export async function synced(all: readonly ConfigurationTree[]): Promise<void> {
  const isDone = (tree: ConfigurationTree): boolean => {
    const { members, mode } = tree.status();
    return mode === "local" || (mode === "synced" && members.length === all.length);
  };
  while (!all.every(isDone)) await new Promise((resolve) => setImmediate(resolve));
}

async function prepare(tree: Files): Promise<void> {
  const folders = [
    ...["t", "t/full", "t/full2", "t/empty", "t/empty2", "priv", "priv/lock", "priv/lock/held"],
    ...["nodes", `nodes/${me}`, `nodes/${other}`, `nodes/${me}/priv`],
    ...[guests, containers, foreign, `nodes/${other}/lxc`],
  ];
  for (const path of folders) await tree.mkdir(path);
  const files: readonly [string, string][] = [
    ["t/f", "hello"],
    ["t/g", "g"],
    ["t/full/x", "x"],
    ["t/full2/y", "y"],
    ["priv/secret", "s"],
    [`nodes/${me}/priv/k`, "k"],
    [`${guests}/100.conf`, "name: vm100\n"],
    [`${foreign}/200.conf`, "x"],
    [`${containers}/300.conf`, "x"],
  ];
  for (const [path, data] of files) {
    await tree.create(path);
    await tree.write(path, 0, bytesOf(data));
  }
}
