// Who may connect to the vote server (issue 3, abuse): limits in all, for each address, and for connections that have not been
// introduced by an init yet. Where room is needed the oldest newcomer of the address with most of them goes; a client never does.

/** Connections without an accepted init, in all. 500 clusters of two nodes that come back at once are 1000. */
export const newcomersMax = 2048;
/** Nodes in all lists that are kept, in all: a cluster of 384 in which everybody reports everybody three times has 442,368. */
export const listedMax = 1_000_000;
/** Groups of an IPv6 address that name its network: within it one host may choose any address. */
const ipv6Groups = 4;

export interface AdmissionLimits {
  /** Connections in all and from one address; 0: no limit. */
  readonly connectionsMax: number;
  readonly connectionsPerAddressMax: number;
  /** At least 1. */
  readonly newcomersMax: number;
  readonly listedMax: number;
}

export type Admitted =
  /** `evicted`: the connection that has to go for it. */
  | { readonly kind: "taken"; readonly evicted: number | undefined }
  | { readonly kind: "refused"; readonly why: string };

interface Origin {
  connections: number;
  /** Nodes in the lists of its clients. */
  listed: number;
  /** In the order of their arrival. */
  readonly newcomers: Set<number>;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #origins = new Map<string, Origin>();
  readonly #originOf = new Map<number, string>();
  /** The origins that have newcomers: a subset of all. */
  readonly #crowd = new Map<string, Origin>();
  readonly #listedBy = new Map<number, number>();
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
    const origin = this.#origins.get(name) ?? { connections: 0, listed: 0, newcomers: new Set() };
    const { connectionsMax, connectionsPerAddressMax } = this.#limits;
    let evicted: number | undefined;
    if (connectionsPerAddressMax > 0 && origin.connections >= connectionsPerAddressMax) {
      evicted = oldest(origin);
      if (evicted === undefined) {
        const why = `${origin.connections} clients of this address are connected, the allowed maximum`;
        return { kind: "refused", why };
      }
    } else if (
      this.#newcomers >= this.#limits.newcomersMax ||
      (connectionsMax > 0 && this.#originOf.size >= connectionsMax)
    ) {
      evicted = oldest(this.#mostCrowded());
      if (evicted === undefined) {
        const why = `${connectionsMax} clients are connected, the allowed maximum`;
        return { kind: "refused", why };
      }
    }
    if (evicted !== undefined) this.left(evicted);
    // Evicting its last connection may have removed the origin.
    origin.connections += 1;
    origin.newcomers.add(connection);
    this.#origins.set(name, origin);
    this.#crowd.set(name, origin);
    this.#originOf.set(connection, name);
    this.#newcomers += 1;
    return { kind: "taken", evicted };
  }

  /** Its init was accepted: it stays. */
  introduced(connection: number): void {
    const name = this.#originOf.get(connection);
    if (name === undefined) return;
    const origin = this.#origins.get(name);
    if (!origin?.newcomers.delete(connection)) return;
    this.#newcomers -= 1;
    if (origin.newcomers.size === 0) this.#crowd.delete(name);
  }

  /**
   * A client's lists have so many nodes now. When all of them together are too many: the client with the longest lists of the
   * address with most of them, to be closed by the caller.
   */
  listed(connection: number, nodes: number): number | undefined {
    const name = this.#originOf.get(connection);
    const origin = name === undefined ? undefined : this.#origins.get(name);
    const before = this.#listedBy.get(connection) ?? 0;
    if (origin === undefined || nodes === before) return undefined;
    if (nodes === 0) this.#listedBy.delete(connection);
    else this.#listedBy.set(connection, nodes);
    origin.listed += nodes - before;
    this.#listed += nodes - before;
    return this.#listed > this.#limits.listedMax ? this.#greediest() : undefined;
  }

  left(connection: number): void {
    this.introduced(connection);
    this.listed(connection, 0);
    const name = this.#originOf.get(connection);
    if (name === undefined) return;
    this.#originOf.delete(connection);
    const origin = this.#origins.get(name);
    if (origin === undefined) return;
    origin.connections -= 1;
    if (origin.connections === 0) this.#origins.delete(name);
  }

  #greediest(): number | undefined {
    let [name, most] = ["", 0];
    for (const [other, { listed }] of this.#origins) {
      if (listed > most) [name, most] = [other, listed];
    }
    let [greediest, longest]: [number | undefined, number] = [undefined, 0];
    for (const [connection, nodes] of this.#listedBy) {
      if (nodes <= longest || this.#originOf.get(connection) !== name) continue;
      [greediest, longest] = [connection, nodes];
    }
    return greediest;
  }

  #mostCrowded(): Origin | undefined {
    let most: Origin | undefined;
    for (const origin of this.#crowd.values()) {
      if (most === undefined || origin.newcomers.size > most.newcomers.size) most = origin;
    }
    return most;
  }
}

function oldest(origin: Origin | undefined): number | undefined {
  if (origin === undefined) return undefined;
  for (const connection of origin.newcomers) return connection;
  return undefined;
}

/** An IPv4 address, or the first 64 bits of an IPv6 one: a single host may use all the rest. */
export function originOf(address: string): string {
  const [plain = ""] = address.split("%", 1);
  if (!plain.includes(":")) return plain;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  if (mapped !== null) return mapped[1] ?? plain;
  const [head = "", tail] = plain.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 2 * ipv6Groups - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...rest];
  return `${all
    .slice(0, ipv6Groups)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
