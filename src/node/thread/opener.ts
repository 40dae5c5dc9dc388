// Opens what comes from the network (knet.md §3.5): with the keys in use, with one that a peer is ahead with, or with the one on disk when
// this node has missed the reload that brought it. Says of peers which it cannot open. Host code, without a clock of its own.
import { canonicalAddress } from "../link/address.ts";
import { isOpened, mismatch } from "../link/mismatch.ts";
import { decodePacket } from "../link/packet.ts";
import type { KeyOnDisk, NodeSettings } from "../settings/settings.ts";
import { KeyChange } from "./key-change.ts";
import { KeyWatch, type PeerFault, peersByAddress, type WatchedPeer } from "./key-watch.ts";

export interface OpenerPort {
  /** As RingHostPort.keyOnDisk. */
  readonly keyOnDisk: () => KeyOnDisk | undefined;
  /** Nodes that the links hear now. */
  readonly reachable: () => readonly number[];
  readonly warn: (text: string) => void;
  /** The key on disk opens what came, so the others have reloaded: corosync.conf is to be read here as well. */
  readonly reloadMissed: (key: KeyOnDisk) => void;
}

export interface Opened {
  /** undefined: nothing of ours opens it. */
  readonly packet: Uint8Array | undefined;
  /** Another key seals from now on. */
  readonly isKeySwitched: boolean;
}

export class PacketOpener {
  readonly keyChange: KeyChange;
  readonly #port: OpenerPort;
  readonly #watch: KeyWatch;
  #settings: NodeSettings;
  #peers: ReadonlyMap<string, WatchedPeer>;
  /** When a packet was opened last, and when the key on disk was looked at for one that could not be. */
  #openedAt: number;
  #lookedAt: number;

  /** `now`: monotonic ms, as everywhere here. */
  constructor(settings: NodeSettings, now: number, port: OpenerPort) {
    this.#port = port;
    this.#settings = settings;
    this.#peers = peersByAddress(settings);
    this.#watch = new KeyWatch(this.#peers);
    this.keyChange = new KeyChange(settings.crypto);
    this.#openedAt = now;
    this.#lookedAt = now;
  }

  /** Settings that are in force from now on. True when the phases of a change of key are to be announced. */
  reconfigured(settings: NodeSettings): boolean {
    this.#settings = settings;
    this.#peers = peersByAddress(settings);
    this.#watch.reconfigured(this.#peers);
    return this.keyChange.apply(settings.crypto);
  }

  /** Hostile bytes from anywhere; never throws. */
  open(source: string, datagram: Uint8Array, now: number): Opened {
    const { seal } = this.keyChange;
    let packet = seal.open(datagram);
    if (packet === undefined && this.#hasMissedKey(source, now))
      packet = this.#openFromDisk(datagram);
    if (packet === undefined) {
      this.#notOpened(source, datagram, now);
      return { packet, isKeySwitched: false };
    }
    this.#openedAt = now;
    // What is no packet is dropped and counted by the links; here it is logged whose.
    if (!isOpened(packet, this.#settings.crypto)) this.#notOpened(source, datagram, now);
    const isKeySwitched = this.#showsNewKey(source, packet) && this.keyChange.followPeer();
    return { packet, isKeySwitched };
  }

  /** After each step of the links. */
  heard(): void {
    this.#watch.heard(this.#port.reachable);
  }

  /** The peers whose packets cannot be opened now. */
  faults(now: number): PeerFault[] {
    return this.#watch.faults(now);
  }

  /**
   * Over a token's time a peer with our key would have been heard. So while some still use it, nothing is taken from disk: a key that
   * only a few nodes have must not part this node from the rest. Junk costs one look at the disk in that time.
   */
  #hasMissedKey(source: string, now: number): boolean {
    const { tokenMs } = this.#settings.tuning;
    if (!this.#peers.has(spelled(source))) return false;
    if (now - Math.max(this.#openedAt, this.#lookedAt) < tokenMs) return false;
    this.#lookedAt = now;
    return true;
  }

  #openFromDisk(datagram: Uint8Array): Uint8Array | undefined {
    const key = this.#port.keyOnDisk();
    if (key === undefined || !this.keyChange.opensWith(key.crypto, datagram)) return undefined;
    this.keyChange.expect(key.crypto);
    this.#port.warn(
      "nothing came that the key in use opens, and the one on disk does: the others have reloaded it while this node did not hear them. It reads corosync.conf and the key as they do",
    );
    this.#port.reloadMissed(key);
    return this.keyChange.seal.open(datagram);
  }

  /** Without crypto anything can be opened, so it must at least look like a peer's. */
  #showsNewKey(source: string, packet: Uint8Array): boolean {
    const { seal } = this.keyChange;
    if (!seal.openedByNewer) return false;
    if (!seal.isOpenerClear) return true;
    return this.#peers.has(spelled(source)) && decodePacket(packet).ok;
  }

  /** One that was restarted in the middle of a change of key is ahead of those who still use the old one among themselves. */
  #whyNot(datagram: Uint8Array): string {
    const key = this.#port.keyOnDisk();
    if (key !== undefined && this.keyChange.opensWith(key.crypto, datagram)) {
      return "it uses the key and crypto settings that this node has on disk, and not in use yet. Type `quorate reload` on this node: all members begin to use what they have on disk";
    }
    return `${mismatch(datagram, this.#settings.crypto)}. Make totem.crypto_cipher, totem.crypto_hash (secauth) and the authkey the same on both nodes: copy corosync.conf and authkey from a node that is in the cluster, and restart the node that got them`;
  }

  /** Junk with a peer's address must not harm: it is reported, in the log and in the status. */
  #notOpened(source: string, datagram: Uint8Array, now: number): void {
    const line = this.#watch.failed(spelled(source), now, {
      why: () => this.#whyNot(datagram),
      isReachable: (nodeid) => this.#port.reachable().includes(nodeid),
    });
    if (line !== undefined) this.#port.warn(line);
  }
}

/** As the peers' addresses are spelled; not asked for what opens, which is nearly all. */
function spelled(source: string): string {
  return canonicalAddress(source) ?? source;
}
