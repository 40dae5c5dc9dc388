// Names of addresses as this machine's resolver knows them, for the page alone: asked in the background when the page is read, kept for a
// while, never waited for. Whoever owns an address can say what its name is, so a name stands beside the address, never in its place.
import { lookupService } from "node:dns/promises";

const namesMax = 256;
const asksMax = 4;
const keptMs = 600_000;
const nameCharactersMax = 64;

export class HostNames {
  readonly #ask: (address: string) => Promise<string>;
  readonly #now: () => number;
  /** `name` undefined: the address has none. */
  readonly #known = new Map<string, { readonly name: string | undefined; readonly at: number }>();
  readonly #asked = new Set<string>();

  /** `ask` resolves with a host name and rejects when there is none; `now`: milliseconds, monotonic. */
  constructor(now: () => number, ask = hostName) {
    this.#now = now;
    this.#ask = ask;
  }

  /** The first label, once it is known; asks for it otherwise. */
  of(address: string): string | undefined {
    const known = this.#known.get(address);
    if (known === undefined || this.#now() - known.at >= keptMs) void this.#find(address);
    return known?.name;
  }

  async #find(address: string): Promise<void> {
    if (this.#asked.size >= asksMax || this.#asked.has(address)) return;
    this.#asked.add(address);
    let name: string | undefined;
    try {
      name = (await this.#ask(address)).split(".")[0]?.slice(0, nameCharactersMax);
    } catch {
      // Nobody has named this address: it is shown alone.
    }
    this.#asked.delete(address);
    this.#known.delete(address);
    this.#known.set(address, { name: isName(name) ? name : undefined, at: this.#now() });
    const [oldest] = this.#known.keys();
    if (this.#known.size > namesMax && oldest !== undefined) this.#known.delete(oldest);
  }
}

async function hostName(address: string): Promise<string> {
  return (await lookupService(address, 0)).hostname;
}

/** A resolver that has no name gives the address back. */
function isName(text: string | undefined): text is string {
  return (
    text !== undefined && /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/i.test(text) && !/^\d+$/.test(text)
  );
}
