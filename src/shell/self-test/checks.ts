// What a quorate executable can find out about itself on this machine (engineering.md §12, §14 U2): libc, crypto, the wire formats, the ring
// thread, the tree's database. Each check answers undefined, or what is wrong as a sentence. It changes nothing but a temporary directory.
import { createHash, createPublicKey, verify } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { success, reasonOf } from "../../result.ts";
import type { FromRing } from "../../node/thread/bridge.ts";
import { nodePaths } from "../paths.ts";
import { digests, ed25519, qnetdInit, sealedToken, treeWrite } from "./vectors.ts";

const threadMsMax = 20_000;
/** A database that is being written may be copied between two states: then once more. */
const copyTriesMax = 3;

export type SelfRole = "node" | "qnetd";

export interface SelfCheck {
  readonly name: string;
  /** Of which role it is a condition; undefined: of both. */
  readonly role: SelfRole | undefined;
  readonly run: (root: string) => Promise<string | undefined>;
}

export const selfChecks: readonly SelfCheck[] = [
  { name: "libc", role: undefined, run: libc },
  { name: "crypto", role: undefined, run: crypto },
  { name: "vote server's messages", role: undefined, run: serverMessages },
  { name: "vote server's program", role: "qnetd", run: serverProgram },
  { name: "ring's messages, sealed", role: "node", run: ringMessages },
  { name: "tree's messages", role: "node", run: treeMessages },
  { name: "node's program", role: "node", run: nodeProgram },
  { name: "ring thread", role: "node", run: ringThread },
  { name: "copy of the database", role: "node", run: databaseCopy },
];

/** The result, or what was thrown. */
export async function runCheck(check: SelfCheck, root: string): Promise<string | undefined> {
  try {
    return await check.run(root);
  } catch (error) {
    return reasonOf(error);
  }
}

async function libc(): Promise<string | undefined> {
  const { errnoName, lockFile, closeFd, sendUnixDatagram, socketAddress } =
    await import("../../libc.ts");
  const address = hex(socketAddress("127.0.0.1", 5405) ?? new Uint8Array());
  const want = "0200151d7f0000010000000000000000";
  if (address !== want) return `inet_pton gave ${address}`;
  return inDirectory((directory) => {
    const errno = errnoName(sendUnixDatagram(join(directory, "none"), new Uint8Array(1)));
    if (errno !== "ENOENT") return `errno of a missing socket is ${errno}, not ENOENT`;
    const path = join(directory, "lock");
    const lock = lockFile(path);
    if (!lock.ok) return `a lock file cannot be made: ${errnoName(lock.errno)} of ${lock.call}`;
    const second = lockFile(path);
    closeFd(lock.fd);
    if (!second.ok) return undefined;
    closeFd(second.fd);
    return "a locked file was locked twice";
  });
}

async function crypto(): Promise<string | undefined> {
  for (const [name, want] of digests) {
    const got = createHash(name).update("abc").digest("hex");
    if (got !== want) return `${name} gives a wrong hash`;
  }
  const { key, message, signature } = ed25519;
  const der = Buffer.from(`302a300506032b6570032100${key}`, "hex");
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  const isGood = (text: string): boolean =>
    verify(null, Buffer.from(text, "hex"), publicKey, Buffer.from(signature, "hex"));
  if (!isGood(message)) return "a good Ed25519 signature is refused";
  return isGood("73") ? "a wrong Ed25519 signature is taken" : undefined;
}

async function serverMessages(): Promise<string | undefined> {
  const { decodeMessage, encodeMessage } = await import("../../qnetd/session/message.ts");
  const message = decodeMessage(bytes(qnetdInit));
  if (!message.ok) return message.reason;
  if (message.value.kind !== "init" || message.value.nodeId !== 1) return "it is read wrongly";
  return same(encodeMessage(message.value), qnetdInit);
}

async function serverProgram(): Promise<string | undefined> {
  await import("../daemon/qnetd.ts");
  return undefined;
}

async function ringMessages(): Promise<string | undefined> {
  const { firstIv, Seal } = await import("../../node/thread/seal.ts");
  const { decodePacket, encodePacket } = await import("../../node/link/packet.ts");
  const { decodeMessage, encodeMessage } = await import("../../node/ring/message.ts");
  const { sealed, clear, keyByte, ivBytes } = sealedToken;
  const key = Uint8Array.from({ length: 256 }, (_, i) => keyByte(i));
  const iv = bytes(sealed).subarray(0, ivBytes);
  const settings = { cipher: "aes256", hash: "sha256", key } as const;
  const seal = new Seal(settings, firstIv(settings, iv));
  const opened = seal.open(bytes(sealed));
  if (opened === undefined) return "a sealed packet cannot be opened";
  const packet = decodePacket(opened);
  if (!packet.ok) return packet.reason;
  if (packet.value.kind !== "data") return `a data packet is read as ${packet.value.kind}`;
  const token = decodeMessage(packet.value.data);
  if (!token.ok) return token.reason;
  if (token.value.kind !== "token") return `a token is read as ${token.value.kind}`;
  const again = encodePacket({ ...packet.value, data: encodeMessage(token.value) });
  return same(again, clear) ?? same(seal.seal(again), sealed);
}

async function treeMessages(): Promise<string | undefined> {
  const { decodeMessage, decodeOperation, encodeMessage, encodeOperation } =
    await import("../../fs/replica/message.ts");
  const message = decodeMessage(bytes(treeWrite));
  if (!message.ok) return message.reason;
  if (message.value.kind !== "normal") return `a write is read as ${message.value.kind}`;
  const operation = decodeOperation(message.value.subtype, message.value.body);
  if (!operation.ok) return operation.reason;
  const { subtype, body } = encodeOperation(operation.value);
  return same(encodeMessage({ ...message.value, subtype, body }), treeWrite);
}

async function nodeProgram(): Promise<string | undefined> {
  await import("../daemon/node.ts");
  return undefined;
}

async function ringThread(): Promise<string | undefined> {
  const { newRingThread } = await import("../../node/thread/client.ts");
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const thread = newRingThread();
  const timer = setTimeout(() => resolve("the ring thread does not answer"), threadMsMax);
  thread.addEventListener("message", (event: MessageEvent<FromRing>) => {
    const { kind } = event.data;
    // It says that it is loaded, and then that there is nothing to stop.
    if (kind !== "loaded") resolve(kind === "finished" ? undefined : `it answers ${kind}`);
  });
  thread.addEventListener("error", (event) => resolve(event.message));
  thread.postMessage({ kind: "stop" });
  const fault = await promise;
  clearTimeout(timer);
  thread.terminate();
  return fault;
}

/** Of the machine's own when it has one; a new one else: the database addon must load in any case. */
async function databaseCopy(root: string): Promise<string | undefined> {
  const { Journal } = await import("../../fs/disk/journal.ts");
  const original = join(nodePaths(root).treeDir, "config.db");
  let fault: string | undefined;
  for (let attempt = 0; attempt < copyTriesMax; attempt += 1) {
    fault = await inDirectory(async (directory) => {
      for (const end of ["", "-wal"]) {
        const source = `${original}${end}`;
        if (existsSync(source)) copyFileSync(source, join(directory, `config.db${end}`));
      }
      const opened = await Journal.open({ directory, durability: "normal", lockTries: 1 }, (rows) =>
        success(rows),
      );
      if (!opened.ok) return opened.reason;
      await opened.value.journal.close();
      return undefined;
    });
    if (fault === undefined) return undefined;
  }
  return fault;
}

async function inDirectory<T>(work: (directory: string) => T | Promise<T>): Promise<T> {
  mkdirSync(tmpdir(), { recursive: true });
  const directory = mkdtempSync(join(tmpdir(), "quorate-doctor-"));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function same(got: Uint8Array, want: string): string | undefined {
  return hex(got) === want ? undefined : `it is written as ${hex(got)}, not as ${want}`;
}

function bytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function hex(of: Uint8Array): string {
  return Buffer.from(of).toString("hex");
}
