// What a node has on disk while it leaves its cluster, and what its start does of it: between the end of the member and the start of the standalone
// node corosync.conf and key are put aside. Noted before it is done, so that a start after a SIGKILL at any moment goes on with it.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import * as v from "valibot";
import { flushDirectory, replaceDurably } from "../../../durable-file.ts";
import { reasonOf } from "../../../result.ts";
import { readClusterConf } from "../../conf/cluster-conf.ts";
import type { NodePaths } from "../../paths.ts";
import { dumpTree } from "../tree-dump.ts";

const schema = v.object({
  format: v.literal(1),
  /** Of this node in its nodelist. */
  name: v.string(),
  /** Unix seconds; in the names of what is kept. */
  stamp: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  /**
   * ready: leaves as soon as corosync.conf does not name it. go: leaves at the next start. left: it has, and may be a member again; what is
   * left of it is where the tree of before is.
   */
  stage: v.picklist(["ready", "go", "left"]),
});
type LeaveRecord = v.InferOutput<typeof schema>;

export class Leaving {
  readonly #paths: NodePaths;
  readonly #file: string;

  constructor(paths: NodePaths) {
    this.#paths = paths;
    this.#file = join(paths.operationDir, "leaving.json");
  }

  /** Throws what the disk says, as all of these. */
  order({ name, stamp }: Pick<LeaveRecord, "name" | "stamp">): void {
    if (this.#read()?.stage !== "go") this.#write({ format: 1, name, stamp, stage: "ready" });
  }

  go(): void {
    const record = this.#read();
    if (record === undefined) throw new Error("invariant broken: who goes was made ready");
    if (record.stage !== "go") this.#write({ ...record, stage: "go" });
  }

  /** The standalone node's tree has no corosync.conf any more: later starts are as ever, however the rest of the leave ends. */
  arrived(): void {
    const record = this.#read();
    if (record?.stage === "go") this.#write({ ...record, stage: "left" });
  }

  cancel(): void {
    if (!existsSync(this.#file)) return;
    rmSync(this.#file);
    flushDirectory(dirname(this.#file));
  }

  /** Where the tree of before is; "" when no backup could be made. */
  backup(): string {
    const record = this.#read();
    if (record === undefined) return "";
    const backup = this.#backup(record);
    return existsSync(backup) ? backup : "";
  }

  /** It is standalone for good. Answers where the tree of before is, as `backup`. */
  settle(): string {
    const backup = this.backup();
    this.cancel();
    return backup;
  }

  /**
   * At each start, before anything of the node is read. True: this start is that of a standalone node, and its tree may have a
   * corosync.conf, which goes. `isUnderway`: the leave that ordered it is still to be completed or taken back; what an ended one left
   * ready is forgotten, since the node may have another name by now, or another cluster.
   */
  async apply(tell: (text: string) => void, isUnderway: boolean): Promise<boolean> {
    const record = this.#read();
    if (record === undefined || record.stage === "left") return false;
    const { conf, authkey, treeDir } = this.#paths;
    if (record.stage === "ready" && !isUnderway) {
      this.cancel();
      tell("a leave that was neither completed nor taken back is forgotten");
      return false;
    }
    if (record.stage === "ready" && this.#isNamed(record.name)) return false;
    this.go();
    const backup = this.#backup(record);
    if (!existsSync(backup)) {
      await dumpTree(join(treeDir, "config.db"), backup).then(
        () => tell(`backup old database to '${backup}'`),
        (error: unknown) =>
          tell(`failed to create backup of the cluster's database - ${reasonOf(error)}`),
      );
    }
    for (const path of [authkey, conf]) {
      if (!existsSync(path)) continue;
      const kept = `${path}.${record.stamp}.bak`;
      renameSync(path, kept);
      flushDirectory(dirname(path));
      tell(`this node has left its cluster: ${path} is kept as ${kept}`);
    }
    return true;
  }

  /** A corosync.conf that is missing or cannot be read names nobody that it can be told of: then the node is what it was. */
  #isNamed(name: string): boolean {
    if (!existsSync(this.#paths.conf)) return true;
    const read = readClusterConf(readFileSync(this.#paths.conf, "latin1"));
    return !read.ok || read.value.nodes.some((node) => node.name === name);
  }

  #backup({ stamp }: LeaveRecord): string {
    return join(this.#paths.treeDir, "backup", `config-${stamp}.sql.gz`);
  }

  /** Throws when there is a record that cannot be read: a node that started all the same might be on both sides. */
  #read(): LeaveRecord | undefined {
    if (!existsSync(this.#file)) return undefined;
    let reason: string;
    try {
      const read = v.safeParse(schema, JSON.parse(readFileSync(this.#file, "utf8")));
      if (read.success) return read.output;
      reason = read.issues[0].message;
    } catch (error) {
      reason = reasonOf(error);
    }
    throw new Error(
      `${this.#file} is damaged (${reason}): it says that this node leaves its cluster. Remove it if ${this.#paths.conf} still names this node; else remove it and ${this.#paths.conf}`,
    );
  }

  #write(record: LeaveRecord): void {
    mkdirSync(dirname(this.#file), { recursive: true, mode: 0o755 });
    replaceDurably(this.#file, new TextEncoder().encode(JSON.stringify(record)), 0o600);
  }
}
