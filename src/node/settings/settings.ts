// What a node needs to know of corosync.conf, with every default and derived timeout filled in exactly as corosync
// derives it (totem.md §3.2, §6; services.md §4.9, §5; knet.md §2.4).
import type { ConfigurationKey } from "./configuration-keys.ts";

export interface TotemTuning {
  readonly tokenMs: number;
  readonly tokenWarningPercent: number;
  readonly tokenRetransmitMs: number;
  readonly holdMs: number;
  readonly joinMs: number;
  readonly sendJoinMs: number;
  readonly consensusMs: number;
  readonly mergeMs: number;
  readonly failReceiveMax: number;
  readonly seqnoUnchangedMax: number;
  readonly windowSize: number;
  readonly maxMessages: number;
  readonly missCountMax: number;
  readonly cancelTokenHoldOnRetransmit: boolean;
  /** totem packet size before the two 45-byte headers are taken off. */
  readonly netMtu: number;
}

export interface LinkSettings {
  readonly number: number;
  readonly port: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
  readonly pingPrecision: number;
  readonly pongCount: number;
  readonly priority: number;
}

/** Which family's address of a host name is taken: of one only, or the first where there is one (totem.md §6.3). */
export const ipVersions = ["ipv4", "ipv6", "ipv4-6", "ipv6-4"] as const;
export type IpVersion = (typeof ipVersions)[number];

export interface NodeEntry {
  readonly nodeid: number;
  readonly name: string;
  readonly votes: number;
  /** For a quorum device only; absent or 0: none. */
  readonly dataCenterId?: number;
  /** One IP address a link number, as text; undefined where the node has no such link. */
  readonly addresses: readonly (string | undefined)[];
}

export type CipherName = "none" | "aes128" | "aes192" | "aes256";
export type HashName = "none" | "md5" | "sha1" | "sha256" | "sha384" | "sha512";

export interface CryptoSettings {
  readonly cipher: CipherName;
  readonly hash: HashName;
  /** Raw bytes of the key file (at most 4096); empty without crypto. */
  readonly key: Uint8Array;
}

/** A key as it is read when a reload message comes, and the version of the file that it was read with. */
export interface KeyOnDisk {
  readonly crypto: CryptoSettings;
  readonly configVersion: number;
}

export interface QuorumSettings {
  /** False: no provider, the node counts as quorate always. */
  readonly provider: boolean;
  readonly expectedVotes: number | undefined;
  readonly votes: number | undefined;
  readonly twoNode: boolean;
  /** undefined: follows twoNode. */
  readonly waitForAll: boolean | undefined;
  readonly lastManStanding: boolean;
  readonly lastManStandingWindowMs: number;
  readonly autoTieBreaker: boolean;
  readonly autoTieBreakerNode: string;
  readonly expectedVotesTracking: boolean;
  readonly allowDownscale: boolean;
  readonly device:
    | undefined
    | {
        readonly model: string;
        readonly votes: number | undefined;
        readonly timeoutMs: number;
        readonly syncTimeoutMs: number;
        /** Everything below quorum.device, by its key ("net.host", …). */
        readonly options: Readonly<Record<string, string>>;
        /** What this machine's defaults file gives corosync-qdevice as -S: "name=value,…". */
        readonly advanced?: string;
      };
}

export interface NodeSettings {
  readonly clusterName: string;
  /** totem.config_version; 0 when absent. */
  readonly configVersion: number;
  readonly transport: "knet" | "udpu" | "udp";
  readonly nodeid: number;
  readonly name: string;
  /** In file order, ourselves included. */
  readonly nodes: readonly NodeEntry[];
  readonly links: readonly LinkSettings[];
  readonly linkMode: "passive" | "active" | "rr";
  readonly tuning: TotemTuning;
  readonly crypto: CryptoSettings;
  readonly pmtudIntervalMs: number;
  /** 0: find it by probing. */
  readonly knetMtu: number;
  readonly compression: {
    readonly model: string;
    readonly threshold: number;
    readonly level: number;
  };
  readonly blockUnlistedIps: boolean;
  /** How the addresses of `nodes` were resolved; a running node resolves as it did at its start. */
  readonly ipVersion: IpVersion;
  readonly scheduling: {
    /** Real-time scheduling of the ring thread, as corosync's. */
    readonly isRoundRobin: boolean;
    /** -20 … 19; used without real-time scheduling. */
    readonly nice: number;
  };
  readonly quorum: QuorumSettings;
  /** The file as keys of the configuration map; absent: these settings come from no file. */
  readonly configuration?: readonly ConfigurationKey[];
  /** What is allowed here and ought not to be, as sentences; absent: not looked at. */
  readonly warnings?: readonly string[];
}
