// A node without a cluster, where the API and the status ask for one: no ring, no votes, nothing is bound. What would need other nodes
// is refused with a sentence.
import { parseConf } from "../../../conf.ts";
import { Member } from "../../../node/member/member.ts";
import type { QuorumView } from "../../../node/member/events.ts";
import { readSettings } from "../../../node/settings/read-settings.ts";
import type { NodeSettings } from "../../../node/settings/settings.ts";
import type { RingSnapshot } from "../../../node/thread/bridge.ts";
import type { Cluster } from "../../../node/thread/cluster.ts";
import type { ReloadOutcome } from "../../../node/thread/reloader.ts";

/** As Proxmox calls a node that is in no cluster. */
export const standaloneNodeid = 0;

const noRing = { rep: 0, seq: 0 } as const;

/** Counts as quorate by its only vote, as pmxcfs in local mode does. */
const quorum: QuorumView = {
  quorate: true,
  ring: noRing,
  members: [standaloneNodeid],
  expectedVotes: 1,
  totalVotes: 1,
  quorum: 1,
  flags: ["Quorate"],
  voters: [],
  deviceVotes: 0,
};

/** Of a member that was never started: every counter is at its beginning. */
function emptySnapshot(settings: NodeSettings): RingSnapshot {
  const { voteMap: _, ...member } = new Member({
    settings,
    random: { below: () => 0 },
    storedRingSeq: 0,
  }).snapshot();
  return {
    member: { ...member, state: "stopped", ring: noRing, members: quorum.members, quorum },
    links: [],
    reachable: [],
    rotationUs: { p50: 0, p99: 0 },
    counts: {
      rotationMeanMs: 0,
      tokenAgeMs: undefined,
      traffic: {
        loopback: { packets: 0, bytes: 0 },
        compressed: { packets: 0, bytes: 0, openedBytes: 0 },
      },
      crypto: { sealed: 0, opened: 0, addedBytes: 0 },
      schedulingMisses: [],
    },
    peerFaults: [],
    refusal: "",
    packetsDropped: {},
    device: undefined,
  };
}

const alone = "this node is standalone: it is in no cluster";

export class StandaloneCluster implements Cluster {
  readonly settings: NodeSettings;
  readonly lastReload = undefined;
  readonly quorum = quorum;
  readonly #wallS: () => number;
  readonly #snapshot: RingSnapshot;

  /** `wallS`: Unix seconds. */
  constructor(name: string, wallS: () => number) {
    this.settings = standaloneSettings(name);
    this.#snapshot = emptySnapshot(this.settings);
    this.#wallS = wallS;
  }

  onQuorum(listener: (quorum: QuorumView) => void): void {
    listener(quorum);
  }

  snapshot(): Promise<RingSnapshot> {
    return Promise.resolve(this.#snapshot);
  }

  setExpectedVotes(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return Promise.resolve({ ok: false, reason: `${alone}, so there are no votes to expect` });
  }

  setVotes(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return Promise.resolve({ ok: false, reason: `${alone}, so there are no votes to change` });
  }

  killNode(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return Promise.resolve({ ok: false, reason: `${alone}, so there is no member to end` });
  }

  cancelWaitForAll(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return Promise.resolve({ ok: false, reason: `${alone}, so it waits for nobody` });
  }

  stopDevice(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return Promise.resolve({ ok: false, reason: `${alone}, so it has no quorum device` });
  }

  reload(): Promise<ReloadOutcome> {
    const reason = `${alone} and has no corosync.conf to read; with one that lies there now it becomes a member when it is started again`;
    return Promise.resolve({
      ...{ ok: false, reason, isFileRefused: false, configVersion: 0 },
      ...{ changes: [], needsRestart: [], at: this.#wallS() },
    });
  }

  changeConfiguration(): Promise<{ readonly ok: boolean; readonly reason: string }> {
    return Promise.resolve({ ok: false, reason: `${alone}, so it has no configuration of one` });
  }

  onReloaded(): void {
    // There is no corosync.conf that could be read again.
  }
}

/** Every default, and no link: none of the timings is used. */
function standaloneSettings(name: string): NodeSettings {
  const conf = parseConf(
    "totem {\nversion: 2\n}\nnodelist {\nnode {\nname: self\nnodeid: 1\nring0_addr: 127.0.0.1\n}\n}\n",
  );
  if (!conf.ok) throw new Error(conf.reason);
  const read = readSettings({
    conf: conf.value,
    file: "corosync.conf",
    local: { names: ["self"], addresses: [] },
    resolved: new Map([["127.0.0.1", "127.0.0.1"]]),
    key: { ok: true, bytes: new Uint8Array(0), path: undefined },
  });
  if (!read.ok) throw new Error(read.reason);
  return {
    ...read.value,
    ...{ clusterName: "", configVersion: 0, nodeid: standaloneNodeid, name, links: [] },
    nodes: [{ nodeid: standaloneNodeid, name, votes: 1, addresses: [] }],
  };
}
