// One-time join tokens in a cluster's tree: made, listed, taken back, and removed when they have expired.
import { randomBytes } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { type Result, failure, success } from "../../result.ts";
import { authorityOf } from "./authority.ts";
import { encodeJoinToken } from "./join-token.ts";
import { secretHash } from "./places.ts";
import {
  decodeTokenRecord,
  encodeTokenRecord,
  isSpent,
  tokenPath,
  type TokenRecord,
  tokensDirectory,
  tokensMax,
} from "./token-record.ts";

const secretBytes = 16;
const addressesMax = 16;

export interface TokenSource {
  readonly files: Files;
  readonly clusterName: () => string;
  /** Where members answer, this one first. */
  readonly addresses: () => readonly string[];
  readonly port: number;
  /** Unix seconds. */
  readonly wallS: () => number;
}

export interface MadeToken {
  /** What the person carries to the joining machine; it is stored nowhere. */
  readonly text: string;
  /** Names it, without letting anybody in. */
  readonly id: string;
  readonly expiresAt: number;
}

/** `lifetimeS`: seconds from now. */
export async function makeToken(
  source: TokenSource,
  lifetimeS: number,
  by: string,
): Promise<Result<MadeToken>> {
  const { files, wallS, port } = source;
  await sweepTokens(source);
  if (listTokens(files).length >= tokensMax) {
    return failure(
      `there are ${tokensMax} join tokens already: take some back with "quorate join-token --revoke ID"`,
    );
  }
  const authority = authorityOf(files);
  if (!authority.ok) return authority;
  const secret = randomBytes(secretBytes);
  const hash = secretHash(secret);
  const createdAt = wallS();
  const record: TokenRecord = {
    ...{ hash, createdAt, expiresAt: createdAt + lifetimeS, by },
    authority: Buffer.from(authority.value).toString("hex"),
  };
  for (const path of ["priv", "priv/quorate", tokensDirectory]) {
    if (!files.stat(path).ok) await files.mkdir(path);
  }
  const written = await files.replace(tokenPath(hash), encodeTokenRecord(record));
  if (!written.ok) return failure(`the join token could not be stored: ${written.reason}`);
  const text = encodeJoinToken({
    cluster: source.clusterName(),
    addresses: source.addresses().slice(0, addressesMax),
    port,
    fingerprint: authority.value,
    secret,
    expiresAt: record.expiresAt,
  });
  return success({ text, id: hash.slice(0, 16), expiresAt: record.expiresAt });
}

/** Those that can be read, oldest first. */
export function listTokens(files: Files): readonly TokenRecord[] {
  const listed = files.list(tokensDirectory);
  if (!listed.ok) return [];
  return listed.value
    .flatMap(({ name }) => {
      const read = files.read(`${tokensDirectory}/${name}`);
      const record = read.ok ? decodeTokenRecord(read.value) : undefined;
      return record === undefined ? [] : [record];
    })
    .toSorted((a, b) => a.createdAt - b.createdAt);
}

/** `id`: as `MadeToken` has it. */
export async function revokeToken(files: Files, id: string): Promise<Result<undefined>> {
  const found = listTokens(files).find(({ hash }) => hash.startsWith(id));
  if (found === undefined)
    return failure(`there is no join token '${id}': "quorate join-token --list" shows them`);
  const removed = await files.remove(tokenPath(found.hash));
  return removed.ok ? success(undefined) : failure(removed.reason);
}

/** Removes those that have expired; answers when the next one does (Unix seconds), or undefined. */
export async function sweepTokens({
  files,
  wallS,
}: Pick<TokenSource, "files" | "wallS">): Promise<number | undefined> {
  let next: number | undefined;
  for (const record of listTokens(files)) {
    // One that cannot be removed now lets nobody in.
    if (isSpent(record, wallS())) await files.remove(tokenPath(record.hash));
    else next = Math.min(next ?? Number.POSITIVE_INFINITY, record.expiresAt);
  }
  return next;
}

/** All of them, also those that cannot be read: of a cluster that this node is no member of any more, they let nobody into its next one. */
export async function dropTokens(
  files: Pick<Files, "stat" | "list" | "remove">,
): Promise<Result<undefined>> {
  const there = files.stat(tokensDirectory);
  if (!there.ok && there.errno === "ENOENT") return success(undefined);
  const listed = files.list(tokensDirectory);
  if (!listed.ok) return failure(listed.reason);
  for (const { name } of listed.value) {
    const removed = await files.remove(`${tokensDirectory}/${name}`);
    if (!removed.ok && removed.errno !== "ENOENT") {
      return failure(`a join token of an earlier cluster cannot be taken back: ${removed.reason}`);
    }
  }
  return success(undefined);
}
