// Who may connect to the vote server (issue 3, abuse; issue 8, A.7): limits in all, for each address, and for connections that have
// not been introduced by an init yet. Where room is needed the oldest newcomer of the address with most of them goes. A verified
// client always finds room, in the place of one without a certificate if need be; any other client stays.
import { originOf } from "./origin.ts";

/** Connections without an accepted init, in all. 500 clusters of two nodes that come back at once are 1000. */
export const newcomersMax = 2048;
/** Nodes in all lists that are kept, in all: a cluster of 384 in which everybody reports everybody three times has 442,368. */
export const listedMax = 1_000_000;
/** Newcomers beyond a limit that is full of clients without certificates, for one of them may prove to be verified. */
export function reservedOf(limit: number): number {
  return Math.max(reservedLeast, limit >> 3);
}
const reservedLeast = 8;
/** Addresses that are remembered for the verified clients that came from them, and newcomers of one that are spared for it. */
const knownMax = 4096;
const sparedMax = 8;

export interface AdmissionLimits {
  /** Connections in all; 0: no limit. */
  readonly connectionsMax: number;
  /** From one address, verified clients not counted; 0: no limit. */
  readonly connectionsPerAddressMax: number;
  /** Clients may show a certificate: both limits are exceeded by `reservedOf` while others could make room. */
  readonly isVerifying: boolean;
  /** At least 1. */
  readonly newcomersMax: number;
  readonly listedMax: number;
}

export type Admitted =
  /** `evicted`: the connection that has to go for it. */
  | { readonly kind: "taken"; readonly evicted: number | undefined }
  | { readonly kind: "refused"; readonly why: string };

interface Origin {
  /** Nodes in the lists of its clients that are not verified. */
  listed: number;
  /** In the order of their arrival. */
  readonly newcomers: Set<number>;
  /** Clients without a certificate, in the order of their inits. */
  readonly plain: Set<number>;
  verified: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #origins = new Map<string, Origin>();
  readonly #originOf = new Map<number, string>();
  /** The origins that have newcomers: a subset of all. */
  readonly #crowd = new Map<string, Origin>();
  readonly #listedBy = new Map<number, number>();
  readonly #verified = new Set<number>();
  /** Of addresses from which verified clients came, the latest last: their nodes will come again. */
  readonly #known = new Set<string>();
  #newcomers = 0;
  #listed = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  /** Connections without an accepted init. */
  get newcomers(): number {
    return this.#newcomers;
  }
  /** Addresses with connections. */
  get origins(): number {
    return this.#origins.size;
  }

  /** Books a connection. One that is evicted for it is already booked out: the caller closes it. */
  admit(connection: number, address: string): Admitted {
    const name = originOf(address);
    const origin = this.#origins.get(name) ?? newOrigin();
    let evicted: number | undefined;
    if (origin.newcomers.size >= this.#roomOf(origin)) {
      evicted = oldest(origin);
      if (evicted === undefined) return this.#fullOf(origin);
    } else if (this.#newcomers >= this.#room()) {
      evicted = oldest(this.#mostCrowded());
      if (evicted === undefined) return this.#full();
    }
    if (evicted !== undefined) this.left(evicted);
    // Evicting its last connection may have removed the origin.
    origin.newcomers.add(connection);
    this.#origins.set(name, origin);
    this.#crowd.set(name, origin);
    this.#originOf.set(connection, name);
    this.#newcomers += 1;
    return { kind: "taken", evicted };
  }

  /** Its init is good: it stays, unless there is no room for it. Who is evicted is already booked out, as by `admit`. */
  introduced(connection: number, isVerified: boolean): Admitted {
    const origin = this.#newcomersOrigin(connection);
    if (origin === undefined) return { kind: "taken", evicted: undefined };
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    let evicted: number | undefined;
    if (
      !isVerified &&
      connectionsPerAddressMax > 0 &&
      origin.plain.size >= connectionsPerAddressMax
    ) {
      return this.#fullOf(origin);
    }
    if (connectionsMax > 0 && this.#clients >= connectionsMax) {
      evicted = isVerified ? this.#newestPlain() : undefined;
      if (evicted === undefined) return this.#full();
      this.left(evicted);
    }
    this.#settle(connection, origin);
    if (!isVerified) origin.plain.add(connection);
    else {
      origin.verified += 1;
      this.#verified.add(connection);
      this.#know(this.#originOf.get(connection));
    }
    return { kind: "taken", evicted };
  }

  /**
   * A client's lists have so many nodes now. When all of them together are too many: the client with the longest lists of the
   * address with most of them, to be closed by the caller; a verified one only when no other has lists.
   */
  listed(connection: number, nodes: number): number | undefined {
    const name = this.#originOf.get(connection);
    const origin = name === undefined ? undefined : this.#origins.get(name);
    const before = this.#listedBy.get(connection) ?? 0;
    if (origin === undefined || nodes === before) return undefined;
    if (nodes === 0) this.#listedBy.delete(connection);
    else this.#listedBy.set(connection, nodes);
    if (!this.#verified.has(connection)) origin.listed += nodes - before;
    this.#listed += nodes - before;
    return this.#listed > this.#limits.listedMax ? this.#greediest() : undefined;
  }

  left(connection: number): void {
    this.listed(connection, 0);
    const name = this.#originOf.get(connection);
    const origin = name === undefined ? undefined : this.#origins.get(name);
    if (name === undefined || origin === undefined) return;
    this.#settle(connection, origin);
    this.#originOf.delete(connection);
    origin.plain.delete(connection);
    if (this.#verified.delete(connection)) origin.verified -= 1;
    if (origin.newcomers.size + origin.plain.size + origin.verified === 0) {
      this.#origins.delete(name);
    }
  }

  get #clients(): number {
    return this.#originOf.size - this.#newcomers;
  }

  /** For newcomers of an address, and of all. */
  #roomOf({ plain }: Origin): number {
    const limit = this.#limits.connectionsPerAddressMax;
    return limit === 0 ? Number.POSITIVE_INFINITY : this.#roomBeside(limit, plain.size, plain.size);
  }
  #room(): number {
    const { connectionsMax: limit, newcomersMax: most } = this.#limits;
    const plain = this.#clients - this.#verified.size;
    return limit === 0 ? most : Math.min(most, this.#roomBeside(limit, this.#clients, plain));
  }
  #roomBeside(limit: number, clients: number, plain: number): number {
    const reserved = this.#limits.isVerifying && plain > 0 ? reservedOf(limit) : 0;
    return Math.max(limit - clients, reserved);
  }

  #fullOf({ plain }: Origin): Admitted {
    const why = `${plain.size} clients of this address are connected, the allowed maximum`;
    return { kind: "refused", why };
  }
  #full(): Admitted {
    const why = `${this.#limits.connectionsMax} clients are connected, the allowed maximum`;
    return { kind: "refused", why };
  }

  #newcomersOrigin(connection: number): Origin | undefined {
    const origin = this.#origins.get(this.#originOf.get(connection) ?? "");
    return origin?.newcomers.has(connection) === true ? origin : undefined;
  }

  /** It is no newcomer any more, if it was one. */
  #settle(connection: number, origin: Origin): void {
    if (!origin.newcomers.delete(connection)) return;
    this.#newcomers -= 1;
    const name = this.#originOf.get(connection);
    if (origin.newcomers.size === 0 && name !== undefined) this.#crowd.delete(name);
  }

  /** Of the address with most clients that are not verified: who was there before is more likely a node. */
  #newestPlain(): number | undefined {
    let most: Origin | undefined;
    // Of equals the one that came later.
    for (const origin of this.#origins.values()) {
      if (origin.plain.size >= Math.max(1, most?.plain.size ?? 0)) most = origin;
    }
    return most === undefined ? undefined : [...most.plain].at(-1);
  }

  #greediest(): number | undefined {
    let [name, most] = ["", 0];
    for (const [other, { listed }] of this.#origins) {
      if (listed > most) [name, most] = [other, listed];
    }
    let [greediest, longest]: [number | undefined, number] = [undefined, 0];
    for (const [connection, nodes] of this.#listedBy) {
      const isSpared =
        most > 0 && (this.#verified.has(connection) || this.#originOf.get(connection) !== name);
      if (nodes > longest && !isSpared) [greediest, longest] = [connection, nodes];
    }
    return greediest;
  }

  #know(name: string | undefined): void {
    if (name === undefined) return;
    this.#known.delete(name);
    this.#known.add(name);
    const [first] = this.#known;
    if (this.#known.size > knownMax && first !== undefined) this.#known.delete(first);
  }

  /** Of newcomers. A few of an address that verified clients came from are spared: strangers may have many addresses, but not theirs. */
  #mostCrowded(): Origin | undefined {
    let most: Origin | undefined;
    let spared: Origin | undefined;
    for (const [name, origin] of this.#crowd) {
      const { size } = origin.newcomers;
      if (size <= sparedMax && this.#known.has(name)) {
        if (size > (spared?.newcomers.size ?? 0)) spared = origin;
      } else if (size > (most?.newcomers.size ?? 0)) most = origin;
    }
    return most ?? spared;
  }
}

function newOrigin(): Origin {
  return { listed: 0, newcomers: new Set(), plain: new Set(), verified: 0 };
}

function oldest(origin: Origin | undefined): number | undefined {
  if (origin === undefined) return undefined;
  for (const connection of origin.newcomers) return connection;
  return undefined;
}
