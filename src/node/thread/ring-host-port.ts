// What the ring host finds around it: the machine, and the thread that carries its results on.
import type { Clock, GroupRequest, LogAction, PortEvent, Random } from "../../world.ts";
import type { DeviceMachine } from "../device/device-host.ts";
import type { Target } from "../link/events.ts";
import type { MemberEnd, QuorumView } from "../member/events.ts";
import type { RingAction } from "../ring/events.ts";
import type { KeyOnDisk } from "../settings/settings.ts";
import type { RingStorage } from "./ring-file.ts";
import type { Outgoing } from "./socket.ts";

/** What the thread around this host does with its results. */
export interface RingHostPort {
  readonly clock: Clock;
  readonly random: Random;
  readonly storage: RingStorage;
  /** The crypto settings and the key as they are on disk now; undefined when they cannot be used. */
  readonly keyOnDisk: () => KeyOnDisk | undefined;
  /** What the quorum device's client finds around it. */
  readonly machine: DeviceMachine;
  /** Sees what the ring asks for, in order, before it is carried out. */
  readonly observe?: (action: RingAction) => void;
  /** As RingMachine.awaitPost. */
  readonly awaitPost: (waitMs: number, act: () => void) => void;
  /** All datagrams of one turn, in order. */
  readonly transmit: (batch: readonly Outgoing[]) => void;
  /** Sends a datagram so that a refusal of it is known, and whose it is. */
  readonly probe: (probe: Outgoing) => void;
  /** Refusals of probes since the last call. */
  readonly refusals: () => readonly Target[];
  readonly events: (event: PortEvent) => void;
  readonly quorum: (quorum: QuorumView) => void;
  readonly log: (line: LogAction) => void;
  readonly replied: (id: number, ok: boolean, reason: string) => void;
  /** corosync.conf is to be read again (services.md §5.4). `crypto`: as it was on disk when the request came. */
  readonly reloadRequested: (
    nodeid: number,
    id: number | undefined,
    key: KeyOnDisk | undefined,
  ) => void;
  readonly taken: (request: GroupRequest) => void;
  readonly finished: (end: MemberEnd) => void;
}
