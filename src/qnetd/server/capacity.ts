// How many connections a machine bears (issue 3, small machines; issue 8, A.7): never more than its descriptors and memory allow, and
// never so many of one address that others find no room. Pure.
import { reservedOf } from "./admission.ts";

/** Descriptors that are not connections of clients: listener, lingering ones, tools, status page, certificates, log. */
const descriptorsKept = 192;
/** Without another word: so many connections, on a small machine fewer. Each may cost so much before we know what it is. */
const connectionsDefault = 8192;
const bytesPerConnection = 128 * 1024;
/** Of the process without any. */
const bytesKept = 48 * 1024 * 1024;
const connectionsLeast = 32;
/** From one address: 500 clusters of two nodes behind one router are 1000. Never more than half of all. */
export const connectionsPerAddressDefault = 2048;

export interface Capacity {
  readonly connectionsMax: number;
  /** 0: no limit. */
  readonly connectionsPerAddressMax: number;
  /** A sentence when the operator asked for more than can be; else "". */
  readonly complaint: string;
}

/** `asked`: the operator's numbers; `connectionsMax` 0 and `perAddressMax` undefined: none was given. */
export function capacityOf(
  machine: { readonly descriptors: number; readonly memoryBytes: number },
  asked: { readonly connectionsMax: number; readonly perAddressMax: number | undefined },
): Capacity {
  const { descriptors } = machine;
  const openable = Math.floor(descriptors - Math.min(descriptorsKept, descriptors / 2));
  const bearable = Math.floor((machine.memoryBytes - bytesKept) / bytesPerConnection);
  const possible = Math.min(openable, Math.max(connectionsLeast, bearable), connectionsDefault);
  // Those above a full limit need descriptors and memory too.
  const most = (all: number): number => Math.max(1, all - reservedOf(all));
  const wanted = asked.connectionsMax;
  const connectionsMax = wanted === 0 ? most(possible) : Math.min(wanted, most(openable));
  return {
    connectionsMax,
    connectionsPerAddressMax:
      asked.perAddressMax ??
      Math.min(connectionsPerAddressDefault, Math.max(1, connectionsMax >> 1)),
    complaint:
      wanted <= connectionsMax
        ? ""
        : `${wanted} clients were asked for, but this process may open ${descriptors} files: ${connectionsMax} clients are let in. Raise its limit of open files (systemd: LimitNOFILE=)`,
  };
}
