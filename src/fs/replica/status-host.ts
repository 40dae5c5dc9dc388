// The status store in the real world: its group, its clock, and what the management layer may ask of it. Spec: pmxcfs.md
// §3.5, §3.6, §4.10. Without groups (local mode) it is a store of one node.
import type { Clock, GroupEvent, GroupPort, LogAction } from "../../world.ts";
import type { Mode } from "./dfsm-events.ts";
import { Dfsm } from "./dfsm.ts";
import type { Outcome } from "../tree/files.ts";
import { GroupHost } from "./group-host.ts";
import type { Body } from "./message.ts";
import { StatusStore, textValue } from "./status.ts";
import { refused } from "../tree/view.ts";

export interface StatusHostOptions {
  readonly nodeid: number;
  readonly pid: number;
  /** Byte string. */
  readonly nodeName: string;
  /** Own address as text, sent to the others; undefined: none is sent. */
  readonly address: string | undefined;
  /** Undefined: local mode. */
  readonly groups: GroupPort | undefined;
  readonly clock: Clock;
  readonly wallS: () => number;
  readonly log: (line: LogAction) => void;
}

/** syslog's levels as far as they are used here. */
export type LogPriority = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7;

export class StatusHost {
  readonly store: StatusStore;
  readonly #options: StatusHostOptions;
  readonly #host: GroupHost<LogAction> | undefined;
  #mode: Mode = "start";

  constructor(options: StatusHostOptions) {
    this.#options = options;
    const { nodeid, pid, nodeName, groups } = options;
    const self = groups?.self ?? { nodeid, pid };
    this.store = new StatusStore({ self, nodeName });
    if (groups !== undefined) {
      this.#host = new GroupHost<LogAction>({
        dfsm: new Dfsm<LogAction>({ replica: this.store, self }),
        groups,
        clock: options.clock,
        wallS: options.wallS,
        perform: (action) => {
          if (action.kind === "log") options.log(action);
          if (action.kind === "modeChanged") this.#mode = action.mode;
        },
      });
    }
    this.store.log({
      time: options.wallS(),
      ident: "root",
      tag: "cluster",
      pid,
      priority: 6,
      message: new TextEncoder().encode("starting cluster log"),
    });
    if (options.address !== undefined) {
      this.store.set("nodeip", textValue(options.address), options.clock.now());
    }
  }

  get mode(): Mode {
    return this.#mode;
  }

  start(): void {
    this.#host?.step({ kind: "started" });
  }

  stop(): void {
    this.#host?.step({ kind: "stopped" });
    this.#host?.close();
  }

  groupEvent(event: GroupEvent): void {
    this.#host?.groupEvent(event);
  }

  setQuorate(quorate: boolean): void {
    this.#host?.step({ kind: "quorumChanged", quorate });
  }

  /** Sets a value of this node for all nodes; no bytes remove it. `key`: byte string. */
  set(key: string, value: Uint8Array): Outcome<undefined> {
    const { error, send } = this.store.set(key, value, this.#options.clock.now());
    if (send !== undefined) this.#send(send);
    switch (error) {
      case undefined:
        return { ok: true, value: undefined };
      case "EFBIG":
        return refused("EFBIG", "a status value may have 32768 bytes");
      case "EINVAL":
        return refused("EINVAL", "a status key must not be empty or contain a NUL byte");
      case "ENOMEM":
        return refused("EINVAL", "this value is too long, or has no final NUL byte");
    }
    return error satisfies never;
  }

  /** A line for the cluster log of all nodes. */
  log(line: {
    readonly ident: string;
    readonly tag: string;
    readonly priority: LogPriority;
    readonly message: Uint8Array;
  }): void {
    const { pid } = this.#options;
    this.#send(this.store.log({ ...line, pid, time: this.#options.wallS() }));
  }

  #send({ subtype, body }: Body): void {
    this.#host?.step({ kind: "sendRequested", token: undefined, subtype, body });
  }
}
