import { expect, test } from "bun:test";
import { HostNames } from "./host-names.ts";

/** A resolver whose answers come when the test says so. */
class Resolver {
  readonly asked: string[] = [];
  readonly #waiting: { resolve: (name: string) => void; reject: (error: Error) => void }[] = [];

  readonly ask = (address: string): Promise<string> => {
    this.asked.push(address);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  };

  async answer(name: string | undefined): Promise<void> {
    const first = this.#waiting.shift();
    if (name === undefined) first?.reject(new Error("ENOTFOUND"));
    else first?.resolve(name);
    await Bun.sleep(0);
  }
}

test("a name is asked for once, kept for ten minutes, and never waited for", async () => {
  let now = 0;
  const resolver = new Resolver();
  const names = new HostNames(() => now, resolver.ask);
  expect(names.of("10.0.0.1")).toBeUndefined();
  expect(names.of("10.0.0.1")).toBeUndefined();
  await resolver.answer("pve1.lan");
  expect(names.of("10.0.0.1")).toBe("pve1");
  now = 600_000;
  expect(names.of("10.0.0.1")).toBe("pve1");
  expect(resolver.asked).toEqual(["10.0.0.1", "10.0.0.1"]);
  await resolver.answer(undefined);
  expect(names.of("10.0.0.1")).toBeUndefined();
});

test("what is no host name is none: an address given back, markup, too many labels", async () => {
  const resolver = new Resolver();
  const names = new HostNames(() => 0, resolver.ask);
  for (const [at, name] of ["10.0.0.9", "<b>", "-x", "", "ev\u202eil", "1234"].entries()) {
    names.of(`a${at}`);
    await resolver.answer(name);
    expect([name, names.of(`a${at}`)]).toEqual([name, undefined]);
  }
});

test("few are asked for at a time, and few are kept", async () => {
  const resolver = new Resolver();
  const names = new HostNames(() => 0, resolver.ask);
  for (let at = 0; at < 10; at += 1) names.of(`a${at}`);
  expect(resolver.asked).toHaveLength(4);
  for (let at = 0; at < 4; at += 1) await resolver.answer(`n${at}`);
  for (let at = 100; at < 356; at += 1) {
    names.of(`a${at}`);
    await resolver.answer(`n${at}`);
  }
  expect(names.of("a355")).toBe("n355");
  const before = resolver.asked.length;
  expect(names.of("a0")).toBeUndefined();
  expect(resolver.asked).toHaveLength(before + 1);
});
