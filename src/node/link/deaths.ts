// Whose death is looked for, and what was found: the evidence of each peer that the ring watches. Pure; links.ts tells what came and sends
// what is to be sent.
import { Evidence, probeEveryMs } from "./evidence.ts";
import type { LinksAction, LinksEvent, Target } from "./events.ts";
import type { Peer } from "./peer.ts";

export class Deaths {
  /** Of those that are watched. */
  readonly #evidence = new Map<number, Evidence>();
  #sought: ReadonlySet<number> = new Set();
  #isForming = false;

  /** Peers that are to be pinged at every tick, so that a refusal does not wait for traffic. */
  isSought(nodeid: number): boolean {
    return this.#sought.has(nodeid);
  }

  /** Probes are on their way: a machine sends few refusals, and other packets would use them up. */
  isSearched(nodeid: number): boolean {
    return this.#evidence.get(nodeid)?.isSearching === true;
  }

  /** A multicast need not go there now. */
  isSpared(nodeid: number): boolean {
    return this.#isForming && this.isSearched(nodeid);
  }

  get #isSearching(): boolean {
    return this.#evidence.values().some(({ isSearching }) => isSearching);
  }

  /** The only peers whose refusals mean anything from now on. */
  watch(event: LinksEvent & { readonly kind: "watched" }, out: LinksAction[]): void {
    const { nodeids, sought, isForming } = event;
    const before = this.#found();
    this.#sought = new Set(sought);
    this.#isForming = isForming;
    for (const nodeid of this.#evidence.keys()) {
      if (!nodeids.includes(nodeid)) this.#evidence.delete(nodeid);
    }
    for (const nodeid of nodeids) {
      if (!this.#evidence.has(nodeid)) this.#evidence.set(nodeid, new Evidence());
    }
    this.#tell(before, out);
  }

  /** Somebody's port on this link is closed. Returns what to probe at once. */
  hinted(
    peer: Peer,
    link: number,
    peers: Iterable<Peer>,
    now: number,
    out: LinksAction[],
  ): Target[] {
    const evidence = this.#evidence.get(peer.nodeid);
    if (evidence === undefined) return [];
    // A node that is down already explains it, unless this one is to be heard now.
    if (!this.#sought.has(peer.nodeid)) {
      for (const other of peers) {
        if (other !== peer && other.link(link)?.heartbeat.isUp === false) return [];
      }
    }
    const links = peer.links.filter(({ heartbeat }) => heartbeat.isUp).map(({ number }) => number);
    const isArmed = this.#isSearching;
    const begins = evidence.hint(links, now);
    if (!isArmed && this.#isSearching) this.#arm(now, out);
    if (!begins) return [];
    return links.map((number) => ({ nodeid: peer.nodeid, link: number }));
  }

  /** An authentic packet of the peer came. */
  heard(nodeid: number, out: LinksAction[]): void {
    if (this.#evidence.get(nodeid)?.heard() === true) out.push(this.#action());
  }

  /** `refusals`: of probes since the last look. Returns what to probe now. */
  look(refusals: readonly Target[], now: number, out: LinksAction[]): Target[] {
    const before = this.#found();
    for (const { nodeid, link } of refusals) this.#evidence.get(nodeid)?.refused(link);
    const probes = [...this.#evidence].flatMap(([nodeid, evidence]) =>
      evidence.look(now).map((link) => ({ nodeid, link })),
    );
    this.#tell(before, out);
    if (this.#isSearching) this.#arm(now, out);
    return probes;
  }

  #arm(now: number, out: LinksAction[]): void {
    out.push({ kind: "arm", timer: "probe", at: now + probeEveryMs });
  }

  #found(): string {
    return this.#action()
      .peers.map(({ nodeid }) => nodeid)
      .join(" ");
  }

  #tell(before: string, out: LinksAction[]): void {
    if (this.#found() !== before) out.push(this.#action());
  }

  #action(): LinksAction & { readonly kind: "ended" } {
    const peers = [...this.#evidence].flatMap(([nodeid, { links }]) =>
      links === undefined ? [] : [{ nodeid, links }],
    );
    return { kind: "ended", peers };
  }
}
