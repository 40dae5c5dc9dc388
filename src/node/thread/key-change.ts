// Changes of the cluster's key or crypto while the ring runs (knet.md §3.5): which keys open when, and which one seals. The others
// send with the new one as soon as the reload message has come to them, the original without waiting for anybody. So it is taken
// from disk and opens at once, in the ring thread; the main thread checks the file in its own time.
// A change may overtake the one before: the newest key wins. The phases carry no number, but our own come back in the order in which
// we announced them: the last that was announced is that of the newest key, and all before it are overtaken and have no effect.
import { Seal } from "./seal.ts";
import { sameCrypto } from "../settings/reload-rules.ts";
import type { CryptoSettings } from "../settings/settings.ts";

export class KeyChange {
  readonly seal: Seal;
  /** Of the settings in force. */
  #crypto: CryptoSettings;
  /** What was loaded last. */
  #newest: CryptoSettings;
  /** Changes that this node has announced, and how many of them all nodes can open, and all nodes send with. */
  #announced = 0;
  #loaded = 0;
  #taken = 0;

  constructor(crypto: CryptoSettings) {
    this.seal = new Seal(crypto);
    this.#crypto = crypto;
    this.#newest = crypto;
  }

  /** `crypto` will be checked, and a peer may use it before: it opens from now on. Clear traffic waits for the check. */
  expect(crypto: CryptoSettings): void {
    if (crypto.hash !== "none") this.#load(crypto);
  }

  /** Whether `crypto`, which is not in use yet, would open this. Without a key anything would: false. */
  opensWith(crypto: CryptoSettings, datagram: Uint8Array): boolean {
    if (crypto.hash === "none" || this.seal.has(crypto)) return false;
    return new Seal(crypto).open(datagram) !== undefined;
  }

  /** `crypto` is in force: it opens. True when its phases are to be announced; they must then come back here. */
  apply(crypto: CryptoSettings): boolean {
    // A reload that came since may have loaded a newer one, which is checked after this one.
    const isOvertaken = !this.#isChecked && this.seal.has(crypto);
    if (!isOvertaken) this.#load(crypto);
    const isChanged = !sameCrypto(this.#crypto, crypto);
    this.#crypto = crypto;
    // Keys of files that were refused are forgotten in the same way.
    if (!isChanged && !this.seal.hasOthers) return false;
    this.#announced += 1;
    return true;
  }

  /** Nobody sends with a new key before all have it; who waits longer than a peer may find the old one forgotten by then. */
  followPeer(): boolean {
    return this.seal.followOpener();
  }

  /** Own phase 1: all nodes can open the key that we announced. True when another one seals from now on. */
  switchOver(): boolean {
    if (this.#loaded < this.#announced) this.#loaded += 1;
    return this.#loaded === this.#announced && this.#isChecked && this.seal.switchOver();
  }

  /** Own phase 2: all nodes seal with it. True when others were forgotten. */
  retire(): boolean {
    if (this.#taken < this.#loaded) this.#taken += 1;
    return this.#taken === this.#announced && this.#isChecked && this.seal.retire();
  }

  /** No reload since has brought another one. */
  get #isChecked(): boolean {
    return sameCrypto(this.#newest, this.#crypto);
  }

  #load(crypto: CryptoSettings): void {
    if (sameCrypto(crypto, this.#newest)) return;
    this.#newest = crypto;
    this.seal.load(crypto);
  }
}
