// What a datagram shows that our key and crypto settings do not open (knet.md §3). Host code, for a sentence now and then.
import type { CipherName, CryptoSettings, HashName } from "../settings/settings.ts";
import { decodePacket, isPacketHead } from "./packet.ts";
import { Seal } from "../thread/seal.ts";

const ciphers: readonly CipherName[] = ["aes256", "aes192", "aes128", "none"];
const hashes: readonly HashName[] = ["sha256", "sha1", "sha512", "sha384", "md5"];

/** Without crypto everything "opens": whether a datagram can be a clear packet at all. Cheap: asked for every datagram. */
export function isOpened(datagram: Uint8Array, own: CryptoSettings): boolean {
  return own.hash !== "none" || isPacketHead(datagram);
}

/** Why `datagram` of a peer is none that a node with `own` settings can open, as part of a sentence about the peer. */
export function mismatch(datagram: Uint8Array, own: CryptoSettings): string {
  const ours = cryptoText(own);
  if (own.hash === "none") {
    return "what it sends is encrypted, or nothing of a cluster, and this node runs without crypto";
  }
  for (const hash of hashes) {
    for (const cipher of ciphers) {
      const packet = new Seal({ cipher, hash, key: own.key }).open(datagram);
      if (packet === undefined || !decodePacket(packet).ok) continue;
      return `it uses ${cryptoText({ cipher, hash })} and our key, and this node ${ours}`;
    }
  }
  // After the hashes: a packet with a hash behind it and no cipher looks clear.
  if (decodePacket(datagram).ok) return `it sends without crypto, and this node uses ${ours}`;
  return "it has another authkey, or what it sends is nothing of a cluster";
}

function cryptoText({ cipher, hash }: Pick<CryptoSettings, "cipher" | "hash">): string {
  return `cipher ${cipher} and hash ${hash}`;
}
