// Invitations on disk, one file each beside the certificates: made by the operator's command, read and used up by the daemon, each in
// a process of its own. Every file is written whole and durably. A host. It must never store a secret.
import { createHash } from "node:crypto";
import { readdirSync, type Stats } from "node:fs";
import { join } from "node:path";
import { type Result, success, failure, reasonOf } from "../../result.ts";
import { Directory } from "../../directory.ts";
import {
  decodeInvite,
  encodeInvite,
  inviteBytesMax,
  invitesMax,
  type Invite,
  type InviteUse,
} from "./enrolment.ts";

const filePattern = /^invite-[0-9a-f]{16}\.json$/;
const directoryEntriesMax = 4096;

/** It still lets a node in. `now`: wall clock, milliseconds. */
export function isOpen({ used, expiresAt }: Invite, now: number): boolean {
  return used === undefined && expiresAt > now;
}

export class InviteStore {
  readonly #directory: string;

  /** `directory`: the one of the certificates. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  /** All that can be read, expired ones too. Broken files are left alone and named in `onBroken`. */
  all(onBroken: (sentence: string) => void): readonly Invite[] {
    try {
      const files = this.#files();
      if (files.length === 0) return [];
      using directory = Directory.open(this.#directory);
      return files.flatMap((file) => {
        const invite = this.#read(directory, file);
        if (invite.ok) return [invite.value];
        onBroken(invite.reason);
        return [];
      });
    } catch (error) {
      onBroken(reasonOf(error));
      return [];
    }
  }

  /** Stores a new one; those that have expired go. `now`: wall clock, milliseconds. */
  add(invite: Invite, now: number): Result<void> {
    this.sweep(now);
    if (this.#files().length >= invitesMax) {
      return failure(
        `there are ${invitesMax} invitations already: revoke some with "quorate qnetd invite --revoke CLUSTER", or wait until they expire`,
      );
    }
    return this.#write(invite);
  }

  /** The answer is durable from here on; the invitation serves no other request. */
  use(invite: Invite, use: InviteUse): Result<void> {
    return this.#write({ ...invite, used: use });
  }

  /** Ends the invitations of a cluster; answers how many were open and how many were not. `now`: wall clock, milliseconds. */
  revoke(cluster: string, now: number): Result<{ readonly open: number; readonly ended: number }> {
    let open = 0;
    const removed = this.#removeWhere((invite) => {
      if (invite.cluster !== cluster) return false;
      if (isOpen(invite, now)) open += 1;
      return true;
    });
    return removed.ok ? success({ open, ended: removed.value - open }) : removed;
  }

  sweep(now: number): void {
    // An expired file that cannot be removed lets nobody in.
    this.#removeWhere((invite) => invite.expiresAt <= now);
  }

  #removeWhere(isEnded: (invite: Invite) => boolean): Result<number> {
    let count = 0;
    try {
      const files = this.#files();
      if (files.length === 0) return success(0);
      using directory = Directory.open(this.#directory);
      for (const file of files) {
        const invite = this.#read(directory, file);
        if (!invite.ok || !isEnded(invite.value)) continue;
        directory.remove(file);
        count += 1;
      }
    } catch (error) {
      return failure(reasonOf(error));
    }
    return success(count);
  }

  #files(): readonly string[] {
    try {
      return readdirSync(this.#directory)
        .slice(0, directoryEntriesMax)
        .filter((file) => filePattern.test(file));
    } catch {
      return []; // No directory: nobody was invited.
    }
  }

  #read(directory: Directory, file: string): Result<Invite> {
    try {
      const text = new TextDecoder().decode(directory.read(file, inviteBytesMax));
      const invite = decodeInvite(text);
      return invite.ok ? invite : failure(`${join(this.#directory, file)}: ${invite.reason}`);
    } catch (error) {
      return failure(reasonOf(error));
    }
  }

  #write(invite: Invite): Result<void> {
    try {
      using directory = Directory.open(this.#directory);
      const layout = layoutOf(directory.stat());
      // Only root can give files away; anybody else is the owner anyhow.
      const owner = process.geteuid?.() === 0 ? layout : undefined;
      const mode = owner?.isSharedWithGroup === true ? 0o640 : 0o600;
      const name = `invite-${invite.secretHash.slice(0, 16)}.json`;
      directory.replace(name, new TextEncoder().encode(encodeInvite(invite)), mode, owner);
      return success(undefined);
    } catch (error) {
      return failure(reasonOf(error));
    }
  }
}

/** The hash under which a secret is known, and a request compared. */
export function hashOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Who owns the directory of the certificates; a daemon without root works in it through its group (qnetd.md §4.5, 5). */
export function layoutOf({ uid, gid, mode }: Stats): {
  readonly uid: number;
  readonly gid: number;
  readonly isSharedWithGroup: boolean;
} {
  return { uid, gid, isSharedWithGroup: uid === 0 && gid !== 0 && (mode & 0o070) === 0o070 };
}
