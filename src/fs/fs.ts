// The replicated configuration tree of one node, start to stop: database, tree, groups, status and generated files behind
// the one interface `Files`. Spec: pmxcfs.md §1.5, §2, §3; design.md "How a write flows". Reads are answered from memory;
// changes go through tree-store.ts. This file checks what must never be sent and wires the parts; it decides nothing else.
import { join } from "node:path";
import { byteStringOfText } from "../bytes.ts";
import { type Result, success } from "../result.ts";
import { systemClock } from "../deadlines.ts";
import type { LogAction, PortEvent, Receipts } from "../world.ts";
import { followConf } from "./disk/conf-file.ts";
import { firstContent } from "./disk/first-content.ts";
import type { JournalCounts } from "./disk/commit-queue.ts";
import { directoryType, fileType, type TreeOperation } from "./tree/entry.ts";
import type {
  Files,
  FileStat,
  FileSystemStat,
  Gathered,
  Outcome,
  Promised,
  TreeStatus,
} from "./tree/files.ts";
import type { Journal } from "./disk/journal.ts";
import { lostSentence, LostTrees } from "./disk/lost-trees.ts";
import type { QuorumOfRing } from "./epoch/events.ts";
import type { LostTree } from "./epoch/lost-changes.ts";
import { sha256, treeOf } from "./disk/load-tree.ts";
import { Gathering } from "./gathering.ts";
import { debugOfWrite } from "./plugin/debug.ts";
import { generatedFiles } from "./plugin/generated.ts";
import { linkTargets } from "./plugin/links.ts";
import { corosyncConfPath, fileBytesMax, isLockPath } from "./tree/rules.ts";
import { StatusHost } from "./replica/status-host.ts";
import type { Tree } from "./tree/tree.ts";
import { TreeStore, type TreeStoreOptions } from "./tree-store.ts";
import { done, found, isDirectory, isOffset, nothing, settled, tooBig } from "./outcomes.ts";
import { debugName, type Named, refused, View } from "./tree/view.ts";
import type { ClusterInfo, TreeOptionsOfNode } from "./tree-options.ts";

export class ConfigurationTree implements Files {
  /** Status values and the cluster log. */
  readonly statusStore: StatusHost;
  /** What was in trees of this node that lost a state exchange. */
  readonly lostTrees: LostTrees;
  readonly #options: TreeOptionsOfNode;
  readonly #journal: Journal;
  readonly #store: TreeStore;
  readonly #gathering: Gathering;
  readonly #view: View;
  readonly #startTime: number;
  #cluster: ClusterInfo | undefined;
  #debug = false;
  /** Drafts of new files. */
  #made = 0;
  readonly #onChanged: TreeStoreOptions["onChanged"][] = [];
  readonly #onMode: (() => void)[] = [];
  #stopped: Promise<void> | undefined;

  private constructor(options: TreeOptionsOfNode, parts: { journal: Journal; tree: Tree }) {
    this.#options = options;
    this.#journal = parts.journal;
    this.#cluster = options.cluster;
    this.#startTime = options.wallS();
    this.lostTrees = new LostTrees({
      directory: join(options.directory, "lost"),
      wallS: options.wallS,
    });
    const { groups, log, wallS, clock = systemClock } = options;
    this.#store = new TreeStore({
      tree: parts.tree,
      options: { sha256 },
      groups,
      commit: (changes) => parts.journal.commit(changes),
      lineage: parts.journal.lineage,
      durability: options.durability,
      onLost: (lost) => this.#keep(lost),
      clock,
      wallS,
      log,
      onFatal: options.onFatal,
      onChanged: (paths, isOwn) => {
        for (const listener of this.#onChanged) listener(paths, isOwn);
      },
      onMode: () => {
        for (const listener of this.#onMode) listener();
      },
      onCorosyncConf: (isOwn) => this.#syncCorosyncConf(isOwn),
    });
    const nodeName = byteStringOfText(options.nodeName);
    const { nodeid, pid, address } = options;
    this.statusStore = new StatusHost({
      ...{ nodeid, pid, nodeName, address, groups, clock, wallS, log },
    });
    if (options.cluster !== undefined) this.setCluster(options.cluster);
    this.#gathering = new Gathering({
      ...{ clock, wallS },
      send: (write, executed) =>
        // Mostly its handle is closed, which waits for more.
        this.#store.change(
          { kind: "write", truncate: false, ...write },
          "ordered",
          executed,
          "held",
        ),
    });
    const tree = (): Tree => this.#store.tree;
    const isQuorate = (): boolean => this.#store.isWritable;
    this.#view = new View({
      tree,
      ahead: (path, entry) => this.#gathering.ahead(path, entry),
      isWritable: isQuorate,
      generated: generatedFiles({
        ...{ nodeid, nodeName, tree, isQuorate, startTime: this.#startTime, now: clock.now },
        files: this.#store.files,
        status: this.statusStore.store,
        cluster: () => (groups === undefined ? undefined : this.#cluster),
        isDebug: () => this.#debug,
      }),
      links: linkTargets(nodeName),
      gid: options.gid,
    });
  }

  /** Opens the database of `directory`, joins the groups and answers; or the sentence that says why it cannot. */
  static async open(options: TreeOptionsOfNode): Promise<Result<ConfigurationTree>> {
    // The database packages are loaded here and nowhere else: no other role may need them.
    const { Journal } = await import("./disk/journal.ts");
    const mtime = options.wallS();
    const durability = options.durability === "normal" ? "normal" : "full";
    const opened = await Journal.open({ ...options, durability }, (rows, path) =>
      treeOf(rows, path, mtime),
    );
    if (!opened.ok) return opened;
    const { journal, loaded } = opened.value;
    const first = await firstContent({
      ...loaded,
      ...{ journal, sha256, mtime },
      conf: options.groups === undefined ? undefined : options.corosyncConfPath,
      note: (level, text) => options.log({ kind: "log", level, subsystem: "database", text }),
    });
    if (!first.ok) {
      await journal.close();
      return first;
    }
    const { tree, mayJoin } = first.value;
    const groups = mayJoin ? options.groups : undefined;
    const files = new ConfigurationTree({ ...options, groups }, { journal, tree });
    files.#start();
    return success(files);
  }

  #start(): void {
    const { groups } = this.#options;
    if (groups === undefined) return;
    this.#syncCorosyncConf(true);
    groups.listen((events) => this.#portEvents(events));
    this.#store.start();
    this.statusStore.start();
  }

  #portEvents(events: readonly PortEvent[]): void {
    for (const event of events) {
      if (event.kind === "stable") {
        this.#store.stable(event.deliveries);
        continue;
      }
      this.#store.groupEvent(event);
      this.statusStore.groupEvent(event);
    }
  }

  /** Leaves the groups, waits for the disk, closes the database. Callers that wait get EBUSY. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    this.statusStore.stop();
    this.#gathering.sendAll();
    await this.#store.stop();
    const closed = await this.#journal.close();
    if (!closed.ok) this.#log("error", closed.reason);
  }

  /** The ring has ended: callers that wait, and all from now on, get EIO with `reason`. */
  abandon(reason: string): void {
    this.#store.abandon(reason);
  }

  /** `reason`: a sentence that names the missing votes. Ignored in local mode. */
  setQuorum(view: QuorumOfRing, reason: string): void {
    this.#store.setQuorum(view, reason);
    this.statusStore.setQuorate(view.quorate);
  }

  /** Of the tree's group; undefined where nobody else changes the tree. */
  get receipts(): Receipts | undefined {
    return this.#options.groups?.receipts;
  }

  /** The node list or the configuration version was read again. */
  setCluster(cluster: ClusterInfo): void {
    this.#cluster = cluster;
    this.statusStore.store.nodesChanged(cluster.nodes.map(({ nodeid }) => nodeid));
  }

  /** Whoever remembers what it read (the kernel, the network API) is told of each change when it is made. */
  onChanged(listener: TreeStoreOptions["onChanged"]): void {
    this.#onChanged.push(listener);
  }

  /** Called whenever the tree begins or ends to be compared with those of others. */
  onMode(listener: () => void): void {
    this.#onMode.push(listener);
  }

  /** nodeids in the tree's group, this one among them, once all have the same tree; empty while they are being compared. */
  get synced(): readonly number[] {
    return this.#store.synced;
  }

  /** For the operator; costs a hash over the whole tree after a change. */
  status(): TreeStatus {
    const digest = Buffer.from(this.#store.tree.checksum()).toString("hex");
    return { ...this.#store.status(), digest };
  }

  /** The same without the digest, which is made anew after a change, and with what the disk has had to do. */
  counts(): Omit<TreeStatus, "digest"> & { readonly journal: JournalCounts } {
    return { ...this.#store.status(), journal: this.#store.journal };
  }

  /** Whether a change would be taken now; without the digest, which is made anew for each status. */
  get isWritable(): boolean {
    return this.#store.status().writable;
  }

  // Files: reads

  stat(path: string): Outcome<FileStat> {
    return this.#view.stat(path);
  }
  list(path: string): Outcome<readonly { readonly name: string; readonly stat: FileStat }[]> {
    return this.#view.list(path);
  }
  read(path: string): Outcome<Uint8Array> {
    return this.#view.read(path);
  }
  readlink(path: string): Outcome<string> {
    return this.#view.readlink(path);
  }
  statfs(): FileSystemStat {
    return this.#view.statfs();
  }
  chmod(path: string, mode: number): Outcome<undefined> {
    return this.#view.chmod(path, mode);
  }
  chown(path: string, uid: number | undefined, gid: number | undefined): Outcome<undefined> {
    return this.#view.chown(path, uid, gid);
  }

  // Files: changes

  caughtUp(): Promise<void> {
    return this.#options.groups?.caughtUp() ?? Promise.resolve();
  }

  async mkdir(path: string): Promise<Outcome<undefined>> {
    const named = this.#storedPath(path, "EEXIST", "this name is there already");
    if (!named.ok) return named;
    return nothing(await this.#change({ kind: "mkdir", path: named.value }));
  }

  async create(path: string, promised?: Promised): Promise<Outcome<undefined>> {
    const named = this.#storedPath(path, "EEXIST", "this name is there already");
    if (!named.ok) return named;
    return nothing(await this.#change({ kind: "create", path: named.value }, promised));
  }

  async write(
    path: string,
    offset: number,
    data: Uint8Array,
    promised?: Promised,
  ): Promise<Outcome<number>> {
    const named = this.#view.named(path);
    if (!named.ok) return named;
    if (named.value.kind === "generated")
      return this.#writeGenerated(named.value.name, offset, data);
    const target = this.#writable(named.value, offset, data);
    // A message without bytes behind the end would be an extension without content: nothing to do.
    if (!target.ok || data.length === 0) return target.ok ? { ok: true, value: 0 } : target;
    const operation = { path: target.value, offset, data, truncate: false } as const;
    return this.#change({ kind: "write", ...operation }, promised);
  }

  gather(
    path: string,
    offset: number,
    data: Uint8Array,
  ): Outcome<Gathered> | Promise<Outcome<Gathered>> {
    const named = this.#view.named(path);
    if (!named.ok) return named;
    const isStored = named.value.kind === "stored";
    // Where every change waits for the disks, or there is nothing to gather.
    if (this.#options.durability === "strict" || !isStored || data.length === 0) {
      return this.write(path, offset, data.slice()).then(settled);
    }
    const target = this.#writable(named.value, offset, data);
    const refusal = target.ok ? this.#store.refusal() : target;
    if (refusal !== undefined) return refusal;
    if (!target.ok) return target;
    const gathered = this.#gathering.add(target.value, offset, data);
    return gathered instanceof Promise ? gathered.then(found) : found(gathered);
  }

  /** The stored file that a write is for, or what stops it now. */
  #writable(named: Named, offset: number, data: Uint8Array): Outcome<string> {
    if (named.kind !== "stored") return refused("EIO", "a symbolic link cannot be written");
    if (!isOffset(offset)) return refused("EINVAL", "an offset is a whole number from 0");
    if (offset + data.length > fileBytesMax) return this.#refusal(tooBig());
    const stored = this.#view.stored(named.path);
    return stored.ok ? found(named.path) : stored;
  }

  /** Behind what was gathered for the same files. */
  #change(operation: TreeOperation, promised?: Promised): Promise<Outcome<number>> {
    this.#gathering.send(operation.path);
    if (operation.kind === "rename") this.#gathering.send(operation.to);
    return this.#store.change(operation, promised);
  }

  async replace(path: string, data: Uint8Array, promised?: Promised): Promise<Outcome<undefined>> {
    const named = this.#storedPath(path, "EACCES", "this name cannot be replaced");
    if (!named.ok) return named;
    if (data.length > fileBytesMax) return this.#refusal(tooBig());
    const stored = this.#view.stored(named.value);
    if (stored.ok && stored.value.type === directoryType) return refused("EISDIR", isDirectory);
    if (stored.ok) {
      const whole = { kind: "write", path: named.value, offset: 0, data, truncate: true } as const;
      const written = await this.#change(whole, promised);
      // Unless a peer has just removed it.
      if (written.ok || written.errno !== "ENOENT") return nothing(written);
    } else if (stored.errno !== "ENOENT") return stored;
    return this.#make(named.value, data, promised);
  }

  /** A new file with its content: a temporary name, then a rename, which leave together; so that nobody ever reads half of it. */
  async #make(path: string, data: Uint8Array, promised?: Promised): Promise<Outcome<undefined>> {
    this.#made += 1;
    const { nodeid, pid } = this.#options;
    // No other node's; as Proxmox's tools name theirs, which watchers of the tree know.
    const draft = `${path}.tmp.${pid}.${nodeid}${String(this.#made).padStart(9, "0")}`;
    const content = { kind: "write", path: draft, offset: 0, data, truncate: false } as const;
    const moved = await this.#store.changes(
      [
        { kind: "create", path: draft },
        ...(data.length === 0 ? [] : [content]),
        { kind: "rename", path: draft, to: path },
      ],
      promised,
    );
    // The refusal is what the caller must know; a draft that cannot be removed either is only litter.
    if (!moved.ok && this.#view.stored(draft).ok) await this.remove(draft);
    return nothing(moved);
  }

  async truncate(path: string, size: number, promised?: Promised): Promise<Outcome<undefined>> {
    const named = this.#view.named(path);
    if (!named.ok) return named;
    if (named.value.kind === "generated" && named.value.name === debugName) return done;
    if (named.value.kind !== "stored") return refused("EIO", "a generated file cannot be cut");
    if (!isOffset(size)) return refused("EINVAL", "a size is a whole number from 0");
    if (size > fileBytesMax) return this.#refusal(tooBig());
    const stored = this.#view.stored(named.value.path);
    if (!stored.ok) return stored;
    const { type, data } = stored.value;
    if (type === directoryType) return refused("EISDIR", isDirectory);
    const head = { kind: "write", path: named.value.path } as const;
    // Growing sends a byte of zeros: growing an empty file without one crashes every original member (pmxcfs.md §2.6).
    const grows = size > data.length;
    return nothing(
      await this.#change(
        grows
          ? { ...head, offset: size - 1, data: new Uint8Array(1), truncate: false }
          : { ...head, offset: size, data: new Uint8Array(0), truncate: true },
        promised,
      ),
    );
  }

  async remove(path: string): Promise<Outcome<undefined>> {
    const named = this.#storedPath(path, "EACCES", "this name cannot be removed");
    if (!named.ok) return named;
    return nothing(await this.#change({ kind: "delete", path: named.value }));
  }

  async rename(from: string, to: string): Promise<Outcome<undefined>> {
    const source = this.#storedPath(from, "EACCES", "this name cannot be moved");
    if (!source.ok) return source;
    const target = this.#storedPath(to, "EACCES", "this name cannot be replaced");
    if (!target.ok) return target;
    const entry = this.#view.stored(source.value);
    if (!entry.ok) return entry;
    // These are undefined or do damage on the original's members, so they never travel (pmxcfs.md §2.6, §9.2).
    if (source.value === target.value) return done;
    if (target.value.startsWith(`${source.value}/`)) {
      return refused("EINVAL", "a directory cannot be moved into itself");
    }
    const isFull = !this.#store.tree.children(entry.value.inode).next().done;
    if (isFull && entry.value.inode !== 0) {
      return this.#refusal(refused("ENOTEMPTY", "only an empty directory can be moved"));
    }
    return nothing(await this.#change({ kind: "rename", path: source.value, to: target.value }));
  }

  async setMtime(path: string, seconds: number, promised?: Promised): Promise<Outcome<undefined>> {
    const named = this.#storedPath(path, "EACCES", "this name has no time");
    if (!named.ok) return named;
    const mtime = Math.trunc(seconds) >>> 0;
    if (mtime === 0 && isLockPath(named.value)) this.#requestUnlock(named.value);
    const operation = { kind: "setMtime", path: named.value, mtime } as const;
    return nothing(await this.#change(operation, promised));
  }

  get losses(): number {
    return this.#store.losses;
  }

  async sync(promised?: "held" | "durable", since?: number): Promise<Outcome<undefined>> {
    // Who asks for `held` asks for what he wrote himself, and has sent it.
    if (promised !== "held") await this.#gathering.settled();
    return nothing(await this.#store.sync(promised, since));
  }

  /** A time of 0 on a lock asks for its release; the time itself is refused by the rules (pmxcfs.md §2.9). */
  #requestUnlock(path: string): void {
    const entry = this.#store.tree.lookup(path);
    if (entry === undefined || entry.type !== directoryType) return;
    const checksum = this.#store.tree.entryChecksum(entry.inode);
    if (checksum !== undefined) this.#store.requestUnlock(path, checksum);
  }

  #storedPath(path: string, errno: "EEXIST" | "EACCES", reason: string): Outcome<string> {
    const named = this.#view.named(path);
    if (!named.ok) return named;
    if (named.value.kind !== "stored") return refused(errno, reason);
    return { ok: true, value: named.value.path };
  }

  /** Why a change that is refused here is: what stops every change now (no quorum above all) before `reason`, as by pmxcfs. */
  #refusal(reason: Outcome<never>): Outcome<never> {
    return this.#store.refusal() ?? reason;
  }

  #writeGenerated(name: string, offset: number, data: Uint8Array): Outcome<number> {
    const enabled = name === debugName ? debugOfWrite(offset, data) : undefined;
    if (enabled === undefined) return refused("EIO", `${name} cannot be written so`);
    this.#debug = enabled;
    return { ok: true, value: data.length };
  }

  /** On all nodes, as soon as the group of the cluster log is there; here the tree is replaced in any case. */
  #keep(lost: LostTree): void {
    const kept = this.lostTrees.keep(lost);
    const sentence = lostSentence(lost, kept);
    this.#log(kept.ok ? "warning" : "error", sentence);
    const message = new TextEncoder().encode(sentence);
    this.statusStore.log({ ident: "root", tag: "fs", priority: kept.ok ? 4 : 3, message });
  }

  // corosync.conf (pmxcfs.md §2.8)

  #syncCorosyncConf(isOwn: boolean): void {
    const entry = this.#store.tree.lookup(corosyncConfPath);
    if (entry === undefined || entry.type !== fileType) return;
    const { corosyncConfPath: path, onCorosyncConf } = this.#options;
    const written = followConf(path, entry.data, (level, text) => this.#log(level, text));
    if (written === undefined) return;
    onCorosyncConf({ version: written.version, reload: isOwn && written.replaces !== undefined });
  }

  #log(level: LogAction["level"], text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "database", text });
  }
}
