// The UDP sockets of one node: one per local address and port, for all nodes and both directions. Spec: knet.md §2.1, §7;
// engineering.md §10 (options by FFI before the descriptor goes to Bun). Host code.
// It never answers a source address, and sends from the link's own socket, but for probes (probe-socket.ts).
import {
  bindUdpSocket,
  closeFd,
  errnoName,
  errnos,
  setSocketOption,
  socketOptions as option,
} from "../../libc.ts";
import type { LogAction } from "../../world.ts";
import type { LinkSettings, NodeEntry } from "../settings/settings.ts";
import { isIpv6 } from "../link/address.ts";
import { linkAddresses } from "../link/configuration.ts";
import type { LinksEvent, Target } from "../link/events.ts";
import {
  absentSentence,
  type Binding,
  bindingKey,
  bindings,
  linkNames,
} from "../link/own-addresses.ts";
import { ProbeSockets } from "../link/probe-socket.ts";
import { type Datagram, type Destination, SendQueue, type Sent } from "../link/send-queue.ts";

const BUFFER_BYTES = 8 * 1024 * 1024;
/** Low delay, as corosync marks its packets. */
const TRAFFIC_CLASS = 0x10;
const PRIORITY = 6;
/** How long a full socket is left alone when nobody says that it has room (no buffers in the driver). */
const RETRY_MS = 13;

export interface LinkSocketsOptions {
  readonly nodeid: number;
  readonly nodes: readonly NodeEntry[];
  readonly links: readonly LinkSettings[];
  /** A datagram as it came, still sealed; the runtime has copied it out of its buffer. `address` is the source IP. */
  readonly received: (link: number, address: string, datagram: Uint8Array) => void;
  /** What the kernel refused; may be called inside `sendMany`: queue it for the core, never step from here. */
  readonly refused: (event: LinksEvent & { readonly kind: "refused" }) => void;
  readonly log: (line: LogAction) => void;
}

export type LinkSocketsConfiguration = Pick<LinkSocketsOptions, "nodes" | "links">;

export interface Outgoing {
  readonly nodeid: number;
  readonly link: number;
  readonly datagram: Uint8Array;
}

/** Opens every socket of the node, or says in one sentence which address and port stands in the way and what to do. */
export async function openLinkSockets(
  options: LinkSocketsOptions,
): Promise<
  | { readonly ok: true; readonly sockets: LinkSockets }
  | { readonly ok: false; readonly problem: string }
> {
  const sockets = new LinkSockets(options);
  const problem = await sockets.reconfigure(options);
  if (problem === undefined) return { ok: true, sockets };
  sockets.close();
  return { ok: false, problem };
}

interface Route {
  readonly socket: LinkSocket;
  readonly localAddress: string;
  readonly destination: Destination;
}

/** All sockets of this node; made by `openLinkSockets`. */
export class LinkSockets {
  readonly #options: LinkSocketsOptions;
  readonly #sockets = new Map<string, LinkSocket>();
  readonly #routes = new Map<number, Route>();
  readonly #probes = new ProbeSockets();
  #unrouted = 0;

  constructor(options: LinkSocketsOptions) {
    this.#options = options;
  }

  /** Datagrams that could not be sent, for the counters of the node. */
  get dropped(): number {
    let dropped = this.#unrouted;
    for (const socket of this.#sockets.values()) dropped += socket.dropped;
    return dropped;
  }

  /** Sends datagrams in order per socket; what does not fit now waits. The bytes must not change afterwards. */
  sendMany(batch: readonly Outgoing[]): void {
    const touched = new Set<LinkSocket>();
    for (const { nodeid, link, datagram } of batch) {
      const route = this.#routes.get(routeKey(nodeid, link));
      if (route === undefined) {
        this.#unrouted += 1;
        continue;
      }
      route.socket.push({ to: route.destination, bytes: datagram });
      touched.add(route.socket);
    }
    for (const socket of touched) socket.flush();
  }

  /** Sends one datagram from a socket of its own, so that `refusals` tells if it is refused. */
  probe({ nodeid, link, datagram }: Outgoing): void {
    const route = this.#routes.get(routeKey(nodeid, link));
    if (route === undefined) return;
    const { localAddress, destination } = route;
    this.#probes.send({ ...destination, localAddress }, datagram);
  }

  /** Refused probes since the last call, by whose machine refused them. */
  refusals(): Target[] {
    return this.#probes.refusals();
  }

  /**
   * Opens what is new, closes what is gone. Undefined when every link has its socket; else the problem of the first that has
   * not, and then nothing has changed.
   */
  async reconfigure(configuration: LinkSocketsConfiguration): Promise<string | undefined> {
    const { nodeid } = this.#options;
    const wanted = bindings({ ...configuration, nodeid });
    if (wanted.size === 0) {
      return `node ${nodeid} has no address in the nodelist: set ring0_addr of this node in corosync.conf`;
    }
    const before = new Set(this.#sockets.keys());
    const problem = await this.#openAll(wanted);
    this.#closeAll((key) => (problem === undefined ? !wanted.has(key) : !before.has(key)));
    if (problem !== undefined) return problem;
    for (const [key, { links }] of wanted) {
      const socket = this.#sockets.get(key);
      if (socket !== undefined) socket.links = links;
    }
    this.#route(configuration);
    return undefined;
  }

  #closeAll(isGone: (key: string) => boolean): void {
    for (const [key, socket] of this.#sockets) {
      if (!isGone(key)) continue;
      socket.close();
      this.#sockets.delete(key);
    }
  }

  async #openAll(wanted: ReadonlyMap<string, Binding>): Promise<string | undefined> {
    let problem: string | undefined;
    for (const [key, binding] of wanted) {
      if (this.#sockets.has(key)) continue;
      const bound = bindLink(binding);
      if (!bound.ok) {
        problem ??= bound.problem;
        continue;
      }
      if (bound.warning !== undefined) this.#warn(bound.warning);
      this.#sockets.set(key, await LinkSocket.adopt(bound.fd, binding.links, this.#options));
    }
    return problem;
  }

  #route({ nodes, links }: LinkSocketsConfiguration): void {
    this.#routes.clear();
    this.#probes.close();
    for (const socket of this.#sockets.values()) socket.destinations = [];
    for (const node of nodes) {
      if (node.nodeid === this.#options.nodeid) continue;
      for (const pair of linkAddresses(node, this.#options.nodeid, { nodes, links })) {
        const { number: link, port } = pair.settings;
        const socket = this.#sockets.get(bindingKey(pair.localAddress, port));
        if (socket === undefined) continue;
        const destination = { nodeid: node.nodeid, link, address: pair.remoteAddress, port };
        socket.destinations.push(destination);
        const { localAddress } = pair;
        this.#routes.set(routeKey(node.nodeid, link), { socket, localAddress, destination });
      }
    }
  }

  #warn(text: string): void {
    this.#options.log({ kind: "log", level: "warning", subsystem: "KNET", text });
  }

  /** Sends what still waits if the kernel takes it now, then closes everything. */
  close(): void {
    this.#closeAll(() => true);
    this.#probes.close();
    this.#routes.clear();
  }
}

type BunSocket = Bun.udp.Socket<"uint8array">;

class LinkSocket {
  readonly #socket: BunSocket;
  readonly #queue: SendQueue;
  #retry: ReturnType<typeof setTimeout> | undefined;
  links: readonly number[];
  destinations: Destination[] = [];

  static async adopt(
    fd: number,
    links: readonly number[],
    options: LinkSocketsOptions,
  ): Promise<LinkSocket> {
    let open: LinkSocket | undefined;
    // `fd` is known to Bun but not to its types (guarded by socket.test.ts).
    const adoption = {
      fd,
      binaryType: "uint8array" as const,
      socket: {
        data(_socket: BunSocket, datagram: Uint8Array, _port: number, address: string) {
          // The link that the address pair belongs to is found by the core; this one is the usual answer.
          options.received(open?.links[0] ?? 0, address, datagram);
        },
        drain: () => open?.flush(),
        // Bun's types say (socket, error); what comes is the error alone.
        error: (...reported: readonly unknown[]) => open?.errorReported(reported, options),
      },
    };
    try {
      const socket = await Bun.udpSocket(adoption);
      open = new LinkSocket(socket, links, options);
      return open;
    } catch (error) {
      closeFd(fd);
      throw error;
    }
  }

  private constructor(socket: BunSocket, links: readonly number[], options: LinkSocketsOptions) {
    this.#socket = socket;
    this.links = links;
    this.#queue = new SendQueue({
      send: (batch) => transmit(socket, batch),
      refused: ({ to, bytes }) =>
        options.refused({
          kind: "refused",
          nodeid: to.nodeid,
          link: to.link,
          why: "tooLarge",
          bytes: bytes.length,
        }),
    });
  }

  get dropped(): number {
    return this.#queue.dropped;
  }

  push(datagram: Datagram): void {
    this.#queue.push(datagram);
  }

  flush(): void {
    if (this.#queue.flush()) return;
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      if (!this.#socket.closed) this.flush();
    }, RETRY_MS);
  }

  /** An error that the network reported about some earlier packet of this socket; the kernel's words do not reach us whose. */
  errorReported(reported: readonly unknown[], options: LinkSocketsOptions): void {
    const why = reported.some((item) => codeOf(item) === "EMSGSIZE") ? "tooLarge" : "unreachable";
    for (const { nodeid, link } of this.destinations) {
      options.refused({ kind: "refused", nodeid, link, why });
    }
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#queue.flush();
    this.#socket.close();
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function transmit(socket: BunSocket, batch: readonly Datagram[]): Sent {
  const packets: (Uint8Array | string | number)[] = [];
  for (const { to, bytes } of batch) packets.push(bytes, to.port, to.address);
  try {
    const count = socket.sendMany(packets);
    return { count, stop: count === 0 ? "full" : "none" };
  } catch (error) {
    const code = codeOf(error);
    if (code === "EMSGSIZE") return { count: 0, stop: "tooLarge" };
    if (code === "ENOBUFS" || code === "EAGAIN" || code === "ENOMEM") {
      return { count: 0, stop: "full" };
    }
    return { count: 0, stop: "failed" };
  }
}

type Bound =
  | { readonly ok: true; readonly fd: number; readonly warning: string | undefined }
  | { readonly ok: false; readonly problem: string };

function bindLink(binding: Binding): Bound {
  const { address, port } = binding;
  const six = isIpv6(address);
  // Without this the kernel would cut a too large probe itself and the path would look endless (knet.md §9.3).
  const options: [number, number, number][] = six
    ? [
        [option.SOL_IPV6, option.IPV6_MTU_DISCOVER, option.IP_PMTUDISC_PROBE],
        [option.SOL_IPV6, option.IPV6_DONTFRAG, 1],
      ]
    : [[option.SOL_IP, option.IP_MTU_DISCOVER, option.IP_PMTUDISC_PROBE]];
  const bound = bindUdpSocket({ address, port, options });
  if (bound.ok) return { ok: true, fd: tune(bound.fd, six), warning: undefined };
  if (bound.call !== "bind" || bound.errno !== errnos.EADDRNOTAVAIL) {
    return { ok: false, problem: bindProblem(binding, bound.call, bound.errno) };
  }
  // DHCP, a bond or a VPN may bring the address later: the link waits for it, as corosync's does, be it the only one.
  const free = [...options, [option.SOL_IP, option.IP_FREEBIND, 1] as const];
  const waiting = bindUdpSocket({ address, port, options: free });
  if (!waiting.ok) return { ok: false, problem: bindProblem(binding, waiting.call, waiting.errno) };
  return { ok: true, fd: tune(waiting.fd, six), warning: absentSentence(binding) };
}

/** Options that help but that no node must die for: without the right to force them the kernel's own limits hold. */
function tune(fd: number, six: boolean): number {
  const force = (forced: number, plain: number) => {
    if (setSocketOption(fd, option.SOL_SOCKET, forced, BUFFER_BYTES) === 0) return;
    setSocketOption(fd, option.SOL_SOCKET, plain, BUFFER_BYTES);
  };
  force(option.SO_RCVBUFFORCE, option.SO_RCVBUF);
  force(option.SO_SNDBUFFORCE, option.SO_SNDBUF);
  if (six) {
    setSocketOption(fd, option.SOL_IPV6, option.IPV6_TCLASS, TRAFFIC_CLASS);
    setSocketOption(fd, option.SOL_IPV6, option.IPV6_RECVERR, 1);
  } else {
    setSocketOption(fd, option.SOL_IP, option.IP_TOS, TRAFFIC_CLASS);
    setSocketOption(fd, option.SOL_IP, option.IP_RECVERR, 1);
  }
  // After the traffic class, which changes the priority too.
  setSocketOption(fd, option.SOL_SOCKET, option.SO_PRIORITY, PRIORITY);
  return fd;
}

function bindProblem(binding: Binding, call: string, errno: number): string {
  const { address, port } = binding;
  const where = `${address} port ${port}/udp (${linkNames(binding)})`;
  if (call === "address") {
    return `${where}: "${address}" is no IP address: correct ring${binding.links[0] ?? 0}_addr of this node in corosync.conf`;
  }
  if (errno === errnos.EADDRINUSE) {
    return `${where} is used by another program: stop it (is corosync running?) or choose another mcastport for this link on all nodes`;
  }
  return `${where} cannot be opened (${call}: ${errnoName(errno)}): check that this program may open UDP sockets there`;
}

/** Link numbers are below 8. */
function routeKey(nodeid: number, link: number): number {
  return nodeid * 8 + link;
}
