// Two nodes in one process, their trees mounted beside each other. What comes from the other is counted at once, as by a ring thread, and shown
// to a tree whose port is mute later, as by a main thread that is busy.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConfigurationTree } from "../../src/fs/fs.ts";
import { FuseMount } from "../../src/fs/fuse/mount.ts";
import type { Durability } from "../../src/fs/tree-options.ts";
import { umount2, unmountFlags } from "../../src/libc.ts";
import { MemberBus, type MemberPort } from "./member-bus.ts";
import { plainQuorum } from "./plain-quorum.ts";

export interface MountedNode {
  readonly port: MemberPort;
  readonly tree: ConfigurationTree;
  readonly mount: FuseMount;
  readonly target: string;
}

export class MountedPair {
  readonly base: string;
  readonly bus: MemberBus;
  readonly a: MountedNode;
  readonly b: MountedNode;

  private constructor(base: string, bus: MemberBus, a: MountedNode, b: MountedNode) {
    this.base = base;
    this.bus = bus;
    this.a = a;
    this.b = b;
  }

  /**
   * `withReceipts`: false to see what they are for; `durability`: "full" where a rename shall wait for the other. The clock stands still, so that no
   * time ever tells a kernel that a file changed.
   */
  static async open(withReceipts = true, durability: Durability = "normal"): Promise<MountedPair> {
    const base = mkdtempSync(join(tmpdir(), "quorate-mounted-pair-"));
    const bus = new MemberBus();
    const ports = [bus.port(1), bus.port(2)] as const;
    const trees = [
      await openTree(ports[0], base, durability),
      await openTree(ports[1], base, durability),
    ] as const;
    for (const tree of trees) tree.setQuorum(plainQuorum(true), "");
    const nodes = [
      await mountTree(ports[0], trees[0], base, withReceipts),
      await mountTree(ports[1], trees[1], base, withReceipts),
    ] as const;
    while (trees.some((tree) => tree.status().members.length < 2)) await Bun.sleep(1);
    return new MountedPair(base, bus, ...nodes);
  }

  async close(): Promise<void> {
    const nodes = [this.a, this.b];
    for (const { port } of nodes) port.isMute = false;
    this.bus.schedule();
    for (const { mount } of nodes) await mount.unmount();
    for (const { tree } of nodes) await tree.stop();
    for (const { target } of nodes) umount2(target, unmountFlags.DETACH);
    rmSync(this.base, { recursive: true, force: true });
  }

  /** What a script prints; `$A` and `$B` are the two mounts, `$BASE` is a directory beside them. */
  async run(script: string): Promise<string> {
    const child = Bun.spawn(["bash", "-euc", script], {
      env: {
        ...{ PATH: process.env["PATH"], A: this.a.target, B: this.b.target, BASE: this.base },
        ...{ LC_ALL: "C", HERE: import.meta.dir },
      },
      stdout: "pipe",
      stderr: "pipe",
    });
    const [out, err] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    if ((await child.exited) !== 0) throw new Error(`exit ${child.exitCode}: ${out}${err}`);
    return out;
  }
}

async function openTree(
  groups: MemberPort,
  base: string,
  durability: Durability,
): Promise<ConfigurationTree> {
  const { nodeid } = groups.self;
  const opened = await ConfigurationTree.open({
    directory: join(base, `n${nodeid}`),
    nodeid,
    nodeName: `n${nodeid}`,
    pid: nodeid,
    groups,
    cluster: { name: "c", configVersion: 1, nodes: [] },
    corosyncConfPath: join(base, "none"),
    durability,
    wallS: () => 1_800_000_000,
    log: () => undefined,
    onFatal: (reason) => {
      throw new Error(reason);
    },
    onCorosyncConf: () => undefined,
  });
  if (!opened.ok) throw new Error(opened.reason);
  return opened.value;
}

async function mountTree(
  port: MemberPort,
  tree: ConfigurationTree,
  base: string,
  withReceipts: boolean,
): Promise<MountedNode> {
  const target = join(base, `m${port.self.nodeid}`);
  mkdirSync(target);
  const mounted = await FuseMount.mount({
    ...{ target, files: tree, gid: 33, log: () => undefined },
    ...(withReceipts ? { receipts: tree.receipts } : {}),
  });
  if (!mounted.ok) throw new Error(mounted.reason);
  const mount = mounted.value;
  tree.onChanged((paths, isOwn) => mount.changed(paths, isOwn));
  return { port, tree, mount, target };
}
