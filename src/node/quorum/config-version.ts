// The configuration map's part in synchronisation (services.md §2.3, §2.4): members send each other the version of their
// corosync.conf. A node that joins with an older file than somebody else's leaves again, as corosync does, unless the newer one reaches it
// soon: a quorate node gets it with the tree, and reloads. It never affects the others.
import {
  configVersionItem,
  configVersionOf,
  decodeMapMessage,
  encodeMapMessage,
  type MapReason,
} from "./config-version-message.ts";
import {
  log,
  serviceIds,
  withPrefix,
  type ServiceAction,
  type SyncService,
  type SyncView,
} from "../member/service.ts";

/** Time for the state exchange of the tree, and for the reload that follows; within it a node votes as its older file says, as in each reload. */
const catchUpMs = 30_000;

export class ConfigVersion implements SyncService {
  readonly id = serviceIds.configMap;
  readonly #nodeid: number;
  /** 0: totem.config_version is not set. */
  #own: number;
  #highest: number;
  /** Versions are compared at the first meeting with others only. */
  #hasCompared = false;
  #isBehind = false;
  #members: readonly number[] = [];
  readonly #versions = new Map<number, number>();

  constructor(options: { readonly nodeid: number; readonly version: number }) {
    this.#nodeid = options.nodeid;
    this.#own = options.version;
    this.#highest = options.version;
  }

  /** What each member said last, ascending by nodeid. */
  versions(): { readonly nodeid: number; readonly version: number }[] {
    return this.#members.flatMap((nodeid) => {
      const version = this.#versions.get(nodeid);
      return version === undefined ? [] : [{ nodeid, version }];
    });
  }

  /** Our file changed at run time: the others get the new version, and do nothing with it. */
  changed(version: number, isSynchronising: boolean, out: ServiceAction[]): void {
    if (version === this.#own) return;
    this.#own = version;
    if (this.#isBehind && version >= this.#highest) {
      this.#isBehind = false;
      out.push({ kind: "disarm", timer: "configurationBehind" });
    }
    this.#send("newConfigVersion", isSynchronising ? "sync" : "application", out);
  }

  received(nodeid: number, bytes: Uint8Array, out: ServiceAction[]): void {
    const result = decodeMapMessage(bytes);
    if (!result.ok) {
      return log(out, "CMAP", "warning", `dropped a message of node ${nodeid}: ${result.reason}`);
    }
    const version = configVersionOf(result.value);
    if (version === undefined) return;
    this.#versions.set(nodeid, version);
    if (nodeid === this.#nodeid) return;
    log(out, "CMAP", "debug", `Received config version ${version} from node ${nodeid}`);
    this.#highest = Math.max(this.#highest, version);
  }

  syncInit(view: SyncView): void {
    this.#members = view.members;
    this.#highest = this.#own;
    for (const nodeid of this.#versions.keys()) {
      if (!view.members.includes(nodeid)) this.#versions.delete(nodeid);
    }
  }

  syncProcess(_now: number, out: ServiceAction[]): boolean {
    this.#send("sync", "sync", out);
    return true;
  }

  syncActivate(now: number, out: ServiceAction[]): void {
    if (this.#members.length < 2) {
      return log(out, "CMAP", "debug", "Single node sync -> no action");
    }
    if (this.#hasCompared) return log(out, "CMAP", "debug", "Not first sync -> no action");
    this.#hasCompared = true;
    if (this.#own === 0) return log(out, "CMAP", "debug", "My config version is 0 -> no action");
    if (this.#highest === this.#own) return;
    this.#isBehind = true;
    out.push({ kind: "arm", timer: "configurationBehind", at: now + catchUpMs });
    const wait = `the tree is expected to bring the cluster's corosync.conf within ${catchUpMs / 1000} s`;
    const text = `Received config version (${this.#highest}) is different than my config version (${this.#own}): ${wait}`;
    log(out, "CMAP", "warning", text);
  }

  /** The newer file has not come: there is no tree that has it, or it cannot be used here. */
  timedOut(out: ServiceAction[]): void {
    if (!this.#isBehind) return;
    this.#isBehind = false;
    if (this.#highest <= this.#own) {
      // Whoever has the newer file is gone: compared with the next that comes.
      this.#hasCompared = false;
      return;
    }
    const text = `Received config version (${this.#highest}) is different than my config version (${this.#own})! Exiting`;
    log(out, "CMAP", "error", text);
    const advice = "copy the cluster's corosync.conf to this node and start again";
    out.push({ kind: "leave", reason: `${text}: ${advice}` });
  }

  syncAbort(): void {
    // Versions received in a void round stay true: they carry no ring id (services.md §2.5).
  }

  #send(reason: MapReason, queue: "application" | "sync", out: ServiceAction[]): void {
    const item = configVersionItem(this.#own === 0 ? undefined : this.#own);
    const message = withPrefix("a", encodeMapMessage({ reason, items: [item] }));
    out.push({ kind: "submit", queue, message });
  }
}
