// Reloads of a running node (services.md §5.4): reads corosync.conf again, has it checked, and puts it in force, one reload after
// the other. Host code of the main thread. A file that cannot be used changes nothing; why is logged and kept for the operator.
import { reasonOf } from "../../result.ts";
import type { Level, LogAction } from "../../world.ts";
import { checkReload } from "../settings/reload-rules.ts";
import type { SettingsResult } from "../settings/read-settings.ts";
import type { KeyOnDisk, NodeSettings } from "../settings/settings.ts";

export interface ReloadOutcome {
  readonly ok: boolean;
  /** Why it was refused, a sentence; "" when it was not. */
  readonly reason: string;
  /** It was refused for what the file says: asking again will not help. */
  readonly isFileRefused: boolean;
  /** Of the configuration in force afterwards. */
  readonly configVersion: number;
  /** What is different now, one short text each. */
  readonly changes: readonly string[];
  /** Keys whose new values a running node does not take. */
  readonly needsRestart: readonly string[];
  /** Unix seconds. */
  readonly at: number;
}

export interface ReloaderOptions {
  readonly load: () => Promise<SettingsResult>;
  readonly running: () => NodeSettings;
  /** Puts settings in force, of a reload or of another change: "" or why not, and then nothing has changed. */
  readonly apply: (settings: NodeSettings, isReload: boolean) => Promise<string>;
  /** The file names others and not this node: it goes on without them. */
  readonly notListed: () => Promise<void>;
  /** Unix seconds. */
  readonly wallS: () => number;
  readonly log: (line: LogAction) => void;
}

export class Reloader {
  readonly #options: ReloaderOptions;
  #queue: Promise<unknown> = Promise.resolve();
  #last: ReloadOutcome | undefined;

  constructor(options: ReloaderOptions) {
    this.#options = options;
  }

  get last(): ReloadOutcome | undefined {
    return this.#last;
  }

  /**
   * After those that were asked for before. `nodeid`: who asked. `key`: as the ring thread has read it when the request came, which
   * counts, with its version: what is on disk by now may belong to the next reload, whose key nobody else has yet. Never rejects.
   */
  reload(nodeid: number, key?: KeyOnDisk): Promise<ReloadOutcome> {
    const done = this.#queue.then(() => this.#reload(nodeid, key));
    this.#queue = done;
    return done;
  }

  /**
   * Puts other settings in force on this node alone, until the next reload; they are no reload. `load`: those settings, of which key and
   * version do not count. After what was asked for before. "" or why nothing has changed. Never rejects.
   */
  change(load: () => Promise<SettingsResult>): Promise<string> {
    const done = this.#queue.then(() => this.#change(load)).catch(reasonOf);
    this.#queue = done;
    return done;
  }

  async #change(load: () => Promise<SettingsResult>): Promise<string> {
    const { running, apply } = this.#options;
    const loaded = await load();
    if (!loaded.ok) return loaded.reason;
    const { crypto, configVersion } = running();
    const check = checkReload(running(), { ...loaded.value, crypto, configVersion });
    if (!check.ok) return check.reason;
    const reason = await apply(check.settings, false);
    const what = check.changes.length === 0 ? "nothing that is in force" : check.changes.join("; ");
    if (reason === "") this.#log("notice", `changed on this node until the next reload: ${what}`);
    return reason;
  }

  /** A reload that did not come to reading the file. */
  refused(reason: string): ReloadOutcome {
    return this.#refuse(reason, false);
  }

  #refuse(reason: string, isFileRefused: boolean): ReloadOutcome {
    this.#log("error", `Unable to reload config file: ${reason}`);
    return this.#finish({ ok: false, reason, isFileRefused, changes: [], needsRestart: [] });
  }

  async #reload(nodeid: number, key?: KeyOnDisk): Promise<ReloadOutcome> {
    try {
      return await this.#read(nodeid, key);
    } catch (error) {
      return this.refused(reasonOf(error));
    }
  }

  async #read(nodeid: number, onDisk?: KeyOnDisk): Promise<ReloadOutcome> {
    const { load, running, apply, notListed } = this.#options;
    const loaded = await load();
    if (!loaded.ok) {
      if (loaded.isNotListed === true) await notListed();
      return this.#refuse(loaded.reason, true);
    }
    const next =
      onDisk === undefined
        ? loaded.value
        : { ...loaded.value, crypto: onDisk.crypto, configVersion: onDisk.configVersion };
    const check = checkReload(running(), next);
    if (!check.ok) return this.#refuse(check.reason, true);
    const { settings, changes, needsRestart } = check;
    const before = running().configVersion;
    const reason = await apply(settings, true);
    if (reason !== "") return this.refused(reason);
    const versions =
      before === settings.configVersion ? "" : ` (was ${before}, asked by node ${nodeid})`;
    const what = changes.length === 0 ? "nothing else changed" : changes.join("; ");
    this.#log("notice", `configuration ${settings.configVersion} is in force${versions}: ${what}`);
    for (const key of needsRestart) {
      const text = `Modified entry '${key}' in corosync.conf cannot be changed at run-time: restart this node to use it`;
      this.#log("warning", text);
    }
    return this.#finish({ ok: true, reason: "", isFileRefused: false, changes, needsRestart });
  }

  #finish(outcome: Omit<ReloadOutcome, "at" | "configVersion">): ReloadOutcome {
    const { running, wallS } = this.#options;
    this.#last = { ...outcome, configVersion: running().configVersion, at: wallS() };
    return this.#last;
  }

  #log(level: Level, text: string): void {
    this.#options.log({ kind: "log", level, subsystem: "CFG", text });
  }
}
