// The places of joining nodes in a cluster's tree, as one member sees and makes them: asked for, given back, confirmed, removed. Every change
// is made under Proxmox's own lock for corosync.conf, after the tree was read again under it, so that any members may do the same at
// once. Between two writes a member may die: what it leaves is always finished by the next one (reservation.ts).
import { createHash } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { corosyncConfPath } from "../../fs/tree/rules.ts";
import { type Result, failure, success } from "../../result.ts";
import { withTreeLock } from "../api/tree-file.ts";
import type { Resolved } from "../conf/verify.ts";
import { formerMembersPath, formerOf, withoutFormer } from "../change/former-members.ts";
import {
  entryOf,
  type PlaceFault,
  type PlaceRequest,
  withConfirmed,
  withoutPlace,
  withPlace,
} from "./place-edits.ts";
import {
  answerRequest,
  decodeReservation,
  encodeReservation,
  type JoinDecision,
  JoinKeeper,
  type JoinView,
  type Reservation,
  reservationPath,
  reservationS,
} from "./reservation.ts";
import { authorityOf } from "./authority.ts";
import {
  admit,
  decodeTokenRecord,
  encodeTokenRecord,
  tokenPath,
  type TokenRecord,
} from "./token-record.ts";

const confLock = "file-corosync_conf";

/** What a member has for it. */
export interface PlacePorts {
  readonly files: Files;
  /** Of this member. */
  readonly nodeid: number;
  readonly ring: () => Pick<JoinView, "isQuorate" | "members" | "synced">;
  /** Which member does not run with the tree's corosync.conf, a sentence, once what was changed just now was waited for; "": none. */
  readonly untilInForce: () => Promise<string>;
  /** What the names in a corosync.conf resolve to here; undefined: nobody looks. */
  readonly resolve: (conf: string) => Promise<Resolved | undefined>;
  /** The cluster's key. */
  readonly readKey: () => Result<Uint8Array>;
  /** Unix seconds. */
  readonly wallS: () => number;
  /** Milliseconds of a clock that is never set. */
  readonly nowMs: () => number;
  /**
   * Gives a member of the ring its votes at once, on all nodes together. The reload that follows comes to each node at its own moment: one
   * that expects the new vote before it has seen it would lose quorum until then.
   */
  readonly grantVotes: (nodeid: number, votes: number) => Promise<void>;
  /** For the cluster log of all nodes. */
  readonly logToCluster: (user: string, text: string) => void;
  readonly warn: (text: string) => void;
}

export interface PlaceAsker {
  /** For logs: "root@pam", or who made the token. */
  readonly by: string;
  /** Of what the joiner was let in with, SHA-256 as hex; undefined: a login. */
  readonly token: string | undefined;
  /** Of the joiner's own secret, SHA-256 as hex; undefined: an original's joiner. */
  readonly secret: string | undefined;
}

export type PlaceAnswer =
  | {
      readonly kind: "reserved";
      readonly reservation: Reservation;
      /** corosync.conf with the joiner, one character a byte. */
      readonly conf: string;
      readonly key: Uint8Array;
      readonly notes: readonly string[];
    }
  | { readonly kind: "queued"; readonly reason: string }
  | ({ readonly kind: "refused" } & PlaceFault);

/** What became of a place, for the joiner that had it. */
export type PlaceState =
  | { readonly kind: "reserved"; readonly reservation: Reservation; readonly conf: string }
  | { readonly kind: "confirmed" }
  | { readonly kind: "none" };

/** The names under which secrets are kept. */
export function secretHash(secret: Uint8Array): string {
  return createHash("sha256").update(secret).digest("hex");
}

export class Places {
  readonly #ports: PlacePorts;
  readonly #keeper: JoinKeeper;
  /** The end of the turn in hand. */
  #tending: Promise<void> = Promise.resolve();

  constructor(ports: PlacePorts, keeper = new JoinKeeper()) {
    this.#ports = ports;
    this.#keeper = keeper;
  }

  /** These places, changed only while the lock is held. */
  #under(files: Files): Places {
    return new Places({ ...this.#ports, files }, this.#keeper);
  }

  /** Makes a place, or says why not; nothing was changed then. */
  async reserve(request: PlaceRequest, asker: PlaceAsker): Promise<PlaceAnswer> {
    const { files, ring, readKey, untilInForce } = this.#ports;
    if (!ring().isQuorate) return { kind: "refused", reason: "cluster not ready - no quorum?" };
    const key = readKey();
    if (!key.ok) return { kind: "refused", reason: key.reason };
    const lagging = await untilInForce();
    if (lagging !== "") return { kind: "queued", reason: lagging };
    // Before the lock: a resolver may take its time.
    const resolved = await this.resolved();
    const locked = await withTreeLock(files, confLock, (held) =>
      this.#under(held).#reserve(request, asker, resolved),
    );
    if (!locked.ok) return { kind: "queued", reason: locked.reason };
    const answer = locked.value;
    return answer.kind === "reserved" ? { ...answer, key: key.value } : answer;
  }

  /** Of the corosync.conf of the tree. */
  resolved(): Promise<Resolved | undefined> {
    return this.#ports.resolve(this.#conf());
  }

  async #reserve(request: PlaceRequest, asker: PlaceAsker, resolved?: Resolved) {
    const { ring, wallS } = this.#ports;
    const { node, nodeid, votes } = request;
    const token = this.#tokenOf(asker, node);
    if (!token.ok) return { kind: "refused", reason: token.reason } as const;
    const before = this.#conf();
    const current = this.#reservation();
    // What was reserved and never written is no place.
    const isWritten = current !== undefined && entryOf(before, current.node) !== undefined;
    const held = isWritten ? current : undefined;
    const addresses = addressesOf(request);
    const asked = { node, nodeid, votes, addresses, secret: asker.secret, token: asker.token };
    const answer = answerRequest(held, asked, ring().members, wallS());
    if (answer.kind === "queued" || answer.kind === "refused") return answer;
    if (answer.kind === "again" && held !== undefined) return this.#reserveAgain(held, before);
    const without = held === undefined ? success(before) : withoutPlace(before, held);
    if (!without.ok) return { kind: "refused", reason: without.reason } as const;
    const running = this.runningFault(request, without.value);
    if (running !== "") return { kind: "refused", reason: running } as const;
    const place = withPlace(without.value, request, resolved);
    if (!place.ok) return { kind: "refused", ...place } as const;
    const reservation: Reservation = {
      node,
      nodeid: place.value.nodeid,
      votes,
      addresses: [...place.value.addresses],
      ...(asker.secret === undefined ? {} : { secret: asker.secret }),
      ...(asker.token === undefined ? {} : { token: asker.token }),
      by: asker.by,
      reservedAt: wallS(),
      endsAt: wallS() + reservationS,
      ...(place.value.replacedVotes === undefined
        ? {}
        : { replacedVotes: held?.replacedVotes ?? place.value.replacedVotes }),
    };
    const written = await this.#write(reservation, token.value, place.value.text);
    if (!written.ok) return { kind: "refused", reason: written.reason } as const;
    this.#ports.logToCluster(asker.by, `adding node ${node} to cluster`);
    const { text: conf, notes } = place.value;
    return { kind: "reserved", reservation, conf, notes } as const;
  }

  /** Why no place can be made of one that is configured already, a sentence: its nodeid would be twice in the ring. "": it can. */
  runningFault({ node, isForced }: PlaceRequest, conf: string): string {
    const entry = isForced ? entryOf(conf, node) : undefined;
    if (entry === undefined || !this.#ports.ring().members.includes(entry.nodeid)) return "";
    return `node '${node}' (nodeid ${entry.nodeid}) runs in this cluster: stop that machine first if this one takes its place, else give this one another name`;
  }

  /** Its time begins anew. */
  async #reserveAgain(held: Reservation, conf: string) {
    const reservation = { ...held, endsAt: this.#ports.wallS() + reservationS };
    const written = await this.#put(reservationPath, encodeReservation(reservation));
    return written.ok
      ? ({ kind: "reserved", reservation, conf, notes: [] } as const)
      : ({ kind: "refused", reason: written.reason } as const);
  }

  /** In an order in which the next member understands whatever is left of it. */
  async #write(
    reservation: Reservation,
    token: TokenRecord | undefined,
    conf: string,
  ): Promise<Result<undefined>> {
    if (token !== undefined && token.node === undefined) {
      const bound = { ...token, node: reservation.node };
      const written = await this.#put(tokenPath(token.hash), encodeTokenRecord(bound));
      if (!written.ok) return written;
    }
    const reserved = await this.#put(reservationPath, encodeReservation(reservation));
    return reserved.ok ? this.#putConf(conf) : reserved;
  }

  #tokenOf({ token }: PlaceAsker, node: string): Result<TokenRecord | undefined> {
    return token === undefined ? success(undefined) : this.admitted(token, node);
  }

  /** The record of a token that lets a node in now, or why not. */
  admitted(hash: string, node: string): Result<TokenRecord> {
    const { files, wallS } = this.#ports;
    const own = authorityOf(files);
    const authority = own.ok ? Buffer.from(own.value).toString("hex") : undefined;
    return admit(this.token(hash), { node, nowS: wallS(), authority });
  }

  /** The record of a token, by its hash. */
  token(hash: string): TokenRecord | undefined {
    const read = this.#ports.files.read(tokenPath(hash));
    const record = read.ok ? decodeTokenRecord(read.value) : undefined;
    return record?.hash === hash ? record : undefined;
  }

  /** `secret`: the hash of the joiner's own; without the right one nothing of the place is told but whether the node is a member. */
  state(node: string, nodeid: number, secret: string): PlaceState {
    const reservation = this.#reservation();
    const conf = this.#conf();
    const entry = entryOf(conf, node);
    if (reservation?.node === node && reservation.secret === secret && entry !== undefined) {
      const isConfirmed = entry.votes !== 0;
      return isConfirmed ? { kind: "confirmed" } : { kind: "reserved", reservation, conf };
    }
    const isMember = entry?.nodeid === nodeid && reservation?.node !== node;
    return isMember ? { kind: "confirmed" } : { kind: "none" };
  }

  /** The joiner gives its place back. "confirmed": too late, it is a member. */
  async cancel(node: string, nodeid: number, secret: string): Promise<Result<PlaceState>> {
    const { files, ring, nodeid: own } = this.#ports;
    const { isQuorate, synced } = ring();
    // Anybody may ask: who does not know the secret never takes a lock that all nodes wait for. Only a tree that is the cluster's can say so.
    const known = this.state(node, nodeid, secret);
    if (isQuorate && synced.includes(own) && known.kind !== "reserved") return success(known);
    const locked = await withTreeLock(files, confLock, async (held) => {
      const state = this.state(node, nodeid, secret);
      if (state.kind !== "reserved") return success(state);
      const reason = `node '${node}' has given up`;
      const done = await this.#under(held).#remove(state.reservation, reason);
      return done.ok ? success<PlaceState>({ kind: "none" }) : done;
    });
    return locked.ok ? locked.value : locked;
  }

  /**
   * Does what is to be done about the reservation by this member now. Called at the start, whenever quorum, ring or tree have
   * changed, and when the time of its last answer is there.
   */
  tend(): Promise<JoinDecision> {
    const turn = this.#tending.then(() => this.#tend());
    this.#tending = turn.then(
      () => undefined,
      () => undefined, // Its caller has the error.
    );
    return turn;
  }

  async #tend(): Promise<JoinDecision> {
    const first = this.#keeper.decide(this.#view());
    if (first.kind === "nothing" || first.kind === "wait") return first;
    const locked = await withTreeLock(this.#ports.files, confLock, async (held) => {
      const decision = this.#keeper.decide(this.#view());
      const done = await this.#under(held).#carryOut(decision);
      return { decision, done };
    });
    const done = locked.ok ? locked.value.done : locked;
    if (done.ok) return locked.ok ? this.#keeper.decide(this.#view()) : first;
    this.#ports.warn(`the join of node '${first.reservation.node}': ${done.reason}; tried again`);
    return { kind: "wait", untilMs: this.#ports.nowMs() + retryMs };
  }

  async #carryOut(decision: JoinDecision): Promise<Result<undefined>> {
    switch (decision.kind) {
      case "nothing":
      case "wait":
        return success(undefined);
      case "confirm":
        return this.#confirm(decision.reservation);
      case "remove":
        return this.#remove(decision.reservation, decision.reason);
      case "forget":
        return this.#forget(decision.reservation, decision.isConfirmed);
    }
    return decision satisfies never;
  }

  async #confirm(reservation: Reservation): Promise<Result<undefined>> {
    const { node, nodeid, votes } = reservation;
    const before = this.#conf();
    const conf = withConfirmed(before, node, votes);
    if (!conf.ok) return conf;
    if (votes > 0) await this.#ports.grantVotes(nodeid, votes);
    const written = conf.value === before ? success(undefined) : await this.#putConf(conf.value);
    if (!written.ok) return written;
    return this.#forget(reservation, true);
  }

  async #remove(reservation: Reservation, reason: string): Promise<Result<undefined>> {
    const before = this.#conf();
    const conf = withoutPlace(before, reservation);
    if (!conf.ok) return conf;
    const written = await this.#putConf(conf.value);
    if (!written.ok) return written;
    this.#ports.logToCluster(reservation.by, `removing node ${reservation.node} again: ${reason}`);
    return this.#forget(reservation, false);
  }

  async #forget(reservation: Reservation, isConfirmed: boolean): Promise<Result<undefined>> {
    if (isConfirmed) {
      const settled = await this.#settle(reservation);
      if (!settled.ok) return settled;
    }
    const removed = await this.#ports.files.remove(reservationPath);
    if (removed.ok || removed.errno === "ENOENT") return success(undefined);
    return failure(removed.reason);
  }

  /** What a member has besides its entry. */
  async #settle({ node, by, token: hash }: Reservation): Promise<Result<undefined>> {
    const made = await this.#nodeDirectories(node);
    if (!made.ok) return made;
    const token = hash === undefined ? undefined : this.token(hash);
    if (token !== undefined && token.usedAt === undefined) {
      const used = { ...token, node, usedAt: this.#ports.wallS() };
      const written = await this.#put(tokenPath(token.hash), encodeTokenRecord(used));
      if (!written.ok) return written;
    }
    const again = await this.#forgetFormer(node);
    if (!again.ok) return again;
    this.#ports.logToCluster(by, `node ${node} has joined the cluster`);
    return success(undefined);
  }

  /** One that was removed, or had left, is a member again. */
  async #forgetFormer(node: string): Promise<Result<undefined>> {
    const read = this.#ports.files.read(formerMembersPath);
    const text = read.ok ? Buffer.from(read.value).toString("latin1") : undefined;
    if (formerOf(text, node)?.name !== node) return success(undefined);
    return this.#put(
      formerMembersPath,
      new Uint8Array(Buffer.from(withoutFormer(text, node) ?? "", "latin1")),
    );
  }

  /** As Proxmox makes them for a new node (pvecm.md §1.3). */
  async #nodeDirectories(node: string): Promise<Result<undefined>> {
    const own = `nodes/${node}`;
    const parts = ["lxc", "qemu-server", "openvz", "priv"].map((name) => `${own}/${name}`);
    return this.#directories(["nodes", own, ...parts]);
  }

  async #directories(paths: readonly string[]): Promise<Result<undefined>> {
    const { files } = this.#ports;
    for (const path of paths) {
      if (files.stat(path).ok) continue;
      const made = await files.mkdir(path);
      if (!made.ok && made.errno !== "EEXIST") return failure(`${path}: ${made.reason}`);
    }
    return success(undefined);
  }

  async #put(path: string, content: Uint8Array): Promise<Result<undefined>> {
    const folders = path.split("/").slice(0, -1);
    const made = await this.#directories(
      folders.map((_, at) => folders.slice(0, at + 1).join("/")),
    );
    if (!made.ok) return made;
    const written = await this.#ports.files.replace(path, content);
    return written.ok ? success(undefined) : failure(`${path}: ${written.reason}`);
  }

  /** As Proxmox's tools: a new file, whose rename is one change for all nodes (pvecm.md §2.5). */
  async #putConf(text: string): Promise<Result<undefined>> {
    const { files } = this.#ports;
    const draft = `${corosyncConfPath}.new`;
    const written = await this.#put(draft, new Uint8Array(Buffer.from(text, "latin1")));
    if (!written.ok) return written;
    const moved = await files.rename(draft, corosyncConfPath);
    return moved.ok ? success(undefined) : failure(`activating ${draft} failed - ${moved.reason}`);
  }

  #view(): JoinView {
    const { ring, nodeid, wallS, nowMs } = this.#ports;
    const reservation = this.#reservation();
    const entry = reservation && entryOf(this.#conf(), reservation.node);
    return { ...ring(), reservation, entry, self: nodeid, wallS: wallS(), nowMs: nowMs() };
  }

  #reservation(): Reservation | undefined {
    const read = this.#ports.files.read(reservationPath);
    return read.ok ? decodeReservation(read.value) : undefined;
  }

  #conf(): string {
    const read = this.#ports.files.read(corosyncConfPath);
    return read.ok ? Buffer.from(read.value).toString("latin1") : "";
  }
}

const retryMs = 5000;

function addressesOf({ links, fallbackAddress }: PlaceRequest): readonly string[] {
  if (links.size === 0) return [fallbackAddress ?? ""];
  const count = Math.max(...links.keys()) + 1;
  return Array.from({ length: count }, (_, link) => links.get(link) ?? "");
}
