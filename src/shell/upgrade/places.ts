// Where an upgrade finds and keeps its things: the installed file with its second names, and the state directory.
import { resolve } from "node:path";

export interface UpgradePlaces {
  /** "/" or an absolute path. */
  readonly root: string;
  /** The installed file; `.prev` and `.next` lie beside it, on its file system. */
  readonly bin: string;
  readonly previous: string;
  readonly next: string;
  /** Must belong to us and be closed to others: what is in it decides which program runs. */
  readonly state: string;
  readonly record: string;
  readonly lock: string;
  readonly bad: string;
  readonly log: string;
  /** The address that install.sh brought the file from; not there when it came from a directory. */
  readonly releaseUrl: string;
  /** TMPDIR of the services; executable. */
  readonly temporary: string;
}

export function upgradePlaces(root: string, bin: string): UpgradePlaces {
  const base = resolve(root) === "/" ? "" : resolve(root);
  const state = `${base}/var/lib/quorate`;
  return {
    root: base === "" ? "/" : base,
    bin,
    previous: `${bin}.prev`,
    next: `${bin}.next`,
    state,
    record: `${state}/upgrade.json`,
    lock: `${state}/upgrade.lock`,
    bad: `${state}/upgrade-bad.json`,
    log: `${state}/upgrade.log`,
    releaseUrl: `${state}/release-url`,
    temporary: `${state}/tmp`,
  };
}
