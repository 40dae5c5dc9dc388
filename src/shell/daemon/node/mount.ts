// The tree of a running node as a directory of the kernel. Without the right to mount the node runs all the same (`quorate fs` works); any
// other obstacle is an error.
import { FuseMount, prepareMountPoint } from "../../../fs/fuse/mount.ts";
import type { Errno } from "../../../fs/tree/files.ts";
import { groupId } from "../../../libc.ts";
import { CommandFailure, exitFailed } from "../../exit.ts";
import type { Log, NodeParts, Stop } from "./parts.ts";

export class NodeMount {
  readonly #target: string | undefined;
  readonly #log: Log;
  #mount: FuseMount | undefined;
  #reason = "";

  /** `target`: undefined when nothing is to be mounted. */
  constructor(target: string | undefined, log: Log) {
    this.#target = target;
    this.#log = (level, text) => log(level, text, "FUSE");
  }

  /** A target of "" with the reason: not mounted. */
  get place(): { readonly target: string; readonly reason: string } {
    return { target: this.#mount?.target ?? "", reason: this.#reason };
  }

  /** What could not be mounted on would else be found after the node has joined its cluster. Throws CommandFailure. */
  async check(): Promise<void> {
    if (this.#target === undefined) return;
    const point = await prepareMountPoint(this.#target, (level, text) => this.#log(level, text));
    if (!point.ok && !isWithoutRight(point.errno)) throw new CommandFailure(point.reason);
  }

  /** Throws CommandFailure. */
  async start({ tree, log, end }: NodeParts): Promise<Stop> {
    const target = this.#target;
    if (target === undefined) {
      this.#reason = "--no-mount was given";
      return nothing;
    }
    const mounted = await FuseMount.mount({
      target,
      files: tree,
      receipts: tree.receipts,
      gid: groupId("www-data") ?? 0,
      log: (level, text) => this.#log(level, text),
    });
    if (!mounted.ok) {
      if (!isWithoutRight(mounted.errno)) throw new CommandFailure(mounted.reason);
      this.#reason = mounted.reason;
      log("warning", `${mounted.reason}; the tree is served by "quorate fs" only`);
      return nothing;
    }
    const mount = mounted.value;
    this.#mount = mount;
    tree.onChanged((paths, isOwn) => mount.changed(paths, isOwn));
    void mount.ended.then((reason) => end({ code: exitFailed, reason }));
    return () => mount.unmount();
  }
}

const nothing: Stop = () => Promise.resolve();

function isWithoutRight(errno: Errno): boolean {
  return errno === "EACCES" || errno === "ENOSYS";
}
