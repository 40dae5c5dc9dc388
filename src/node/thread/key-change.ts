// A change of the cluster's key or crypto while the ring runs (knet.md §3.5): which key opens when, and which one seals. The others
// send with the new one as soon as the reload message has come to them, the original without waiting for anybody. So it is taken
// from disk and opens at once, in the ring thread; the main thread checks the file in its own time.
import { Seal } from "./seal.ts";
import { sameCrypto } from "../settings/reload-rules.ts";
import type { CryptoSettings } from "../settings/settings.ts";

export class KeyChange {
  readonly seal: Seal;
  /** Of the settings in force. */
  #crypto: CryptoSettings;
  /** What was loaded last. */
  #newest: CryptoSettings;
  /** "loaded": both keys open, the old one seals; "sending": the new one seals, both open. */
  #phase: "none" | "loaded" | "sending" = "none";

  constructor(crypto: CryptoSettings) {
    this.seal = new Seal(crypto);
    this.#crypto = crypto;
    this.#newest = crypto;
  }

  /** Both keys open, and the new one does not seal yet. */
  get isLoaded(): boolean {
    return this.#phase === "loaded";
  }
  /** Without crypto anything can be opened. */
  get isNewestClear(): boolean {
    return this.#newest.hash === "none";
  }

  /** `crypto` will be checked, and a peer may use it before: it opens from now on. Clear traffic waits for the check. */
  expect(crypto: CryptoSettings): void {
    const isUnderWay = this.#phase === "sending" || (this.#phase === "loaded" && this.#isChecked);
    if (isUnderWay || crypto.hash === "none" || sameCrypto(crypto, this.#crypto)) return;
    this.#load(crypto);
  }

  /** Why this cannot be put in force now, as a sentence. */
  obstacle(crypto: CryptoSettings): string | undefined {
    if (this.#phase === "none" || !this.#isChecked || sameCrypto(this.#crypto, crypto)) return;
    return "an earlier change of the key or crypto is not finished on all nodes: try again in a moment";
  }

  /** `crypto` is in force: it opens. True when it is another than before. */
  apply(crypto: CryptoSettings): boolean {
    const isChanged = !sameCrypto(this.#crypto, crypto);
    this.#crypto = crypto;
    if (isChanged && (this.#phase === "none" || !this.#isChecked)) this.#load(crypto);
    return isChanged;
  }

  /** All nodes can open the new key: it seals from now on. False when it does already, or there is none. */
  switchOver(): boolean {
    if (this.#phase !== "loaded") return false;
    this.#phase = "sending";
    this.seal.switchOver();
    return true;
  }

  /** All nodes seal with the new key: the old one is forgotten. */
  retire(): boolean {
    if (this.#phase !== "sending") return false;
    this.#phase = "none";
    this.seal.retire();
    return true;
  }

  get #isChecked(): boolean {
    return sameCrypto(this.#newest, this.#crypto);
  }

  #load(crypto: CryptoSettings): void {
    this.#newest = crypto;
    this.#phase = "loaded";
    this.seal.load(crypto);
  }
}
