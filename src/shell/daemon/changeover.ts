// How a standalone node becomes a member of a cluster, and how it becomes what it was again: its database, key and corosync.conf are changed
// between the stop of the one and the start of the other (pvecm.md §3.4). What is to be done, and how far it is, is on disk before it is
// done, so that a start after a SIGKILL at any moment goes on with it. Until the join is settled the node is a member on trial: one that
// cannot start, or dies again and again, becomes standalone by itself.
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { flushDirectory, replaceDurably } from "../../durable-file.ts";
import { reasonOf } from "../../result.ts";
import type { ChangeoverState } from "../join/changeover-state.ts";
import type { NodePaths } from "../paths.ts";
import { dumpTree } from "./tree-dump.ts";

/** So often may a member on trial be started before it is given up. */
const startsMax = 5;
const backupsMax = 10;
const recordBytesMax = 4 * 1024 * 1024;
const databaseEnds = ["", "-wal", "-shm", "-journal"] as const;

const schema = v.object({
  format: v.literal(1),
  /** member: becomes one. standalone: becomes what it was. */
  to: v.picklist(["member", "standalone"]),
  /**
   * Of the way there: ordered (the old files are on their way aside), aside (all of them are there, new ones are being written), applied. Of
   * the way back: clearing (the new files go), restoring (the old ones come back), applied.
   */
  stage: v.picklist(["ordered", "aside", "applied", "clearing", "restoring"]),
  /** Unix seconds; in the names of what is kept. */
  stamp: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** Of the cluster, one character a byte. */
  conf: v.string(),
  /** base64 */
  key: v.string(),
  nodeid: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
  /** As a member. */
  starts: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /** Why it becomes standalone again. */
  reason: v.string(),
});

type ChangeoverRecord = Readonly<v.InferOutput<typeof schema>>;

/** What a joining node gets from its cluster. */
export interface NewIdentity {
  /** corosync.conf, one character a byte. */
  readonly conf: string;
  readonly key: Uint8Array;
  /** Of this node in it. */
  readonly nodeid: number;
  /** Unix seconds. */
  readonly stamp: number;
}

export class Changeover {
  readonly #paths: NodePaths;
  readonly #tell: (text: string) => void;
  readonly #before: () => void;
  readonly #file: string;

  /** `tell`: a line of progress. `before`: called before each change of the disk; tests end the process there. */
  constructor(
    paths: NodePaths,
    tell: (text: string) => void,
    before: () => void = () => undefined,
  ) {
    this.#paths = paths;
    this.#tell = tell;
    this.#before = before;
    this.#file = join(paths.operationDir, "changeover.json");
  }

  get state(): ChangeoverState {
    const record = this.#read();
    if (record === undefined) return { kind: "none" };
    const { to, stage, reason } = record;
    if (to === "standalone") return { kind: "back", reason, isDone: stage === "applied" };
    return { kind: stage === "applied" ? "onTrial" : "ordered" };
  }

  /** A member on trial that was started once: nobody can have confirmed it while it did not run. */
  get isFirstStart(): boolean {
    return this.#read()?.starts === 1;
  }

  /** The next start makes a member of this node. Throws what the disk says; then nothing was changed. */
  order({ conf, key, nodeid, stamp }: NewIdentity): void {
    const code = Buffer.from(key).toString("base64");
    this.#write({
      ...{ format: 1, to: "member", stage: "ordered", stamp, conf, key: code, nodeid },
      ...{ starts: 0, reason: "" },
    });
  }

  /** The next start makes it standalone again; nothing happens to a node that was never changed. */
  orderBack(reason: string): void {
    const record = this.#read();
    if (record === undefined || record.to === "standalone") return;
    // What was not moved yet is still the old one.
    const stage = record.stage === "ordered" ? "restoring" : "clearing";
    this.#write({ ...record, to: "standalone", stage, reason: reason.slice(0, 4096) });
  }

  /** At each start, before anything of the node is read. Throws what the disk says: the next start tries again. */
  async apply(): Promise<ChangeoverState> {
    const record = this.#read();
    if (record === undefined) return { kind: "none" };
    if (record.to === "standalone") this.#restore(record);
    else if (record.starts >= startsMax) {
      this.orderBack(`it did not become a member in ${startsMax} starts; its log says why`);
      return this.apply();
    } else await this.#replace(record);
    return this.state;
  }

  /** The node is what it shall be: what was kept for the way back goes, except the backup. */
  settle(): void {
    const record = this.#read();
    if (record === undefined) return;
    if (record.to === "member") {
      // Without a dump the old database is itself the backup (pvecm.md §3.4).
      const isDumped = existsSync(this.#backupFile(record));
      for (const { aside, isDatabase } of this.#files(record)) {
        if (isDumped || !isDatabase) this.#remove(aside);
      }
    }
    this.#dropOldBackups();
    this.#remove(this.#file);
  }

  /** Where the tree of before is kept, for people; "" when it is in its place. */
  get backup(): string {
    const record = this.#read();
    if (record === undefined) return "";
    const [dump, aside] = [this.#backupFile(record), this.#asideDatabase(record)];
    return existsSync(dump) ? dump : existsSync(aside) ? aside : "";
  }

  async #replace(record: ChangeoverRecord): Promise<void> {
    const { treeDir, authkey, conf } = this.#paths;
    if (record.stage === "ordered") {
      mkdirSync(treeDir, { recursive: true, mode: 0o750 });
      // Killed after this, the database may be aside already, and nothing stands in its place.
      if (!existsSync(this.#asideDatabase(record))) await this.#dump(record);
      for (const { place, aside } of this.#files(record)) {
        this.#move(place, aside);
      }
      this.#write({ ...record, stage: "aside" });
    }
    if (record.stage !== "applied") {
      for (const path of [authkey, conf])
        mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      this.#put(authkey, Buffer.from(record.key, "base64"), 0o400);
      this.#put(conf, Buffer.from(record.conf, "latin1"), 0o644);
    }
    this.#write({ ...record, stage: "applied", starts: record.starts + 1 });
  }

  async #dump(record: ChangeoverRecord): Promise<void> {
    const file = this.#backupFile(record);
    this.#before();
    await dumpTree(join(this.#paths.treeDir, "config.db"), file).then(
      () => this.#tell(`backup old database to '${file}'`),
      (error: unknown) =>
        this.#tell(
          `failed to create backup of pre-join config database - ${reasonOf(error)}; it is kept as ${this.#asideDatabase(record)}`,
        ),
    );
  }

  #restore(record: ChangeoverRecord): void {
    if (record.stage === "applied") return;
    const files = this.#files(record);
    if (record.stage === "clearing") {
      for (const { place } of files) this.#remove(place);
      this.#remove(join(this.#paths.stateDir, `ringid_${record.nodeid}`));
      this.#write({ ...record, stage: "restoring" });
    }
    for (const { place, aside } of files) this.#move(aside, place);
    this.#write({ ...record, stage: "applied" });
  }

  #dropOldBackups(): void {
    const directory = join(this.#paths.treeDir, "backup");
    if (!existsSync(directory)) return;
    const names = readdirSync(directory)
      .filter((name) => /^config-\d+\.sql\.gz$/.test(name))
      .toSorted((a, b) => stampOf(b) - stampOf(a));
    for (const name of names.slice(backupsMax)) {
      this.#tell(`delete old backup '${join(directory, name)}'`);
      this.#remove(join(directory, name));
    }
  }

  /** What is put aside, and where. */
  #files({ stamp }: ChangeoverRecord) {
    const { treeDir, authkey, conf } = this.#paths;
    const databases = databaseEnds.map((end) => ({
      place: join(treeDir, `config.db${end}`),
      // Proxmox's name for a database of which no dump could be made.
      aside: join(treeDir, `config.db.${stamp}.bak${end}`),
      isDatabase: true,
    }));
    const others = [authkey, conf].map((place) => ({
      place,
      aside: `${place}.${stamp}.bak`,
      isDatabase: false,
    }));
    return [...databases, ...others];
  }

  #asideDatabase({ stamp }: ChangeoverRecord): string {
    return join(this.#paths.treeDir, `config.db.${stamp}.bak`);
  }

  #backupFile({ stamp }: ChangeoverRecord): string {
    return join(this.#paths.treeDir, "backup", `config-${stamp}.sql.gz`);
  }

  /** Throws when there is a record that cannot be read: a node that started all the same might be on both sides. */
  #read(): ChangeoverRecord | undefined {
    let text: string;
    try {
      text = readFileSync(this.#file, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
      throw error;
    }
    const read = text.length > recordBytesMax ? undefined : parse(text);
    if (read !== undefined) return read;
    throw new Error(
      `${this.#file} is damaged: it says how this node becomes a member, or standalone again; "quorate join" was interrupted. Restore the file, or remove it once corosync.conf, authkey and config.db are those of one side`,
    );
  }

  #write(record: ChangeoverRecord): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o755 });
    this.#put(this.#file, new TextEncoder().encode(JSON.stringify(record)), 0o600);
  }

  #put(path: string, content: Uint8Array, mode: number): void {
    this.#before();
    replaceDurably(path, content, mode);
  }

  #move(from: string, to: string): void {
    if (!existsSync(from)) return;
    this.#before();
    renameSync(from, to);
    flushDirectory(dirname(to));
  }

  #remove(path: string): void {
    if (!existsSync(path)) return;
    this.#before();
    rmSync(path, { force: true });
    // SQLite would read a write-ahead log that a power cut brings back into whatever database stands beside it then.
    flushDirectory(dirname(path));
  }
}

function stampOf(name: string): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0);
}

/** Undefined: the text is no record. */
function parse(text: string): ChangeoverRecord | undefined {
  try {
    const read = v.safeParse(schema, JSON.parse(text));
    return read.success ? read.output : undefined;
  } catch {
    return undefined;
  }
}
