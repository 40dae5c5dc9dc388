// The cluster's certificate comes from the tree to where this node's device client reads it, so that a node that starts alone, without
// quorum, can still ask for the vote. Written whole, for root alone; taken away only when the whole cluster has none any more.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { equalBytes } from "../../bytes.ts";
import { replaceDurably } from "../../durable-file.ts";
import type { Files, TreeStatus } from "../../fs/tree/files.ts";
import { reasonOf } from "../../result.ts";
import type { LogAction } from "../../world.ts";
import { treeIdentity } from "../qdevice/device-identity.ts";

/** Below the device's directory; `credentials.ts` looks for it first. */
export const localIdentity = "quorate-net.p12";
/** Every node follows the tree within; a change of corosync.conf does not wait for it. */
const followMs = 5000;

export interface DeviceFilesOptions {
  readonly files: Pick<Files, "read">;
  readonly treeStatus: () => Pick<TreeStatus, "mode" | "writable">;
  /** The device's directory of net certificates. */
  readonly directory: string;
  readonly log: (line: LogAction) => void;
}

export class DeviceFiles {
  readonly #options: DeviceFilesOptions;
  readonly #timer: ReturnType<typeof setInterval>;
  /** The last failure that was logged: a full disk is said once. */
  #failure = "";

  constructor(options: DeviceFilesOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.follow(), followMs);
    this.follow();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Makes the local file what the tree's is. */
  follow(): void {
    const path = `${this.#options.directory}/${localIdentity}`;
    try {
      this.#follow(path);
      this.#failure = "";
    } catch (error) {
      const failure = reasonOf(error);
      if (failure === this.#failure) return;
      this.#failure = failure;
      this.#log(
        "error",
        `the certificate for the vote server cannot be kept in ${path}: ${failure}`,
      );
    }
  }

  #follow(path: string): void {
    const stored = this.#options.files.read(treeIdentity);
    const local = readIfThere(path);
    if (stored.ok) {
      if (local !== undefined && equalBytes(stored.value, local)) return;
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      replaceDurably(path, stored.value, 0o600);
      return this.#log("notice", "the certificate for the vote server was taken from the tree");
    }
    if (local === undefined || stored.errno !== "ENOENT") return;
    // A tree that is not the cluster's yet says nothing about what the cluster has.
    const { mode, writable } = this.#options.treeStatus();
    if (mode !== "synced" || !writable) return;
    rmSync(path, { force: true });
    this.#log("notice", "the certificate for the vote server was removed, as in the tree");
  }

  #log(level: LogAction["level"], text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "QDEVICE", text });
  }
}

function readIfThere(path: string): Uint8Array | undefined {
  try {
    return new Uint8Array(readFileSync(path));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
