// The resolver is asked for no more than is needed to find our own node: each question may cost a dead DNS server's patience.
import { expect, test } from "bun:test";
import { type Conf, parseConf } from "../../conf.ts";
import { boundedNames, factsOf, type Machine, thisMachine } from "./machine.ts";

/** Two nodes by name and address, ours the first; neither's name is the host's unless `host` says so. */
function asked(host: string, names: Readonly<Record<string, string>>, isStart = true) {
  const questions: string[] = [];
  const machine: Machine = {
    ...thisMachine,
    host: () => host,
    addresses: () => [
      { address: "::1", family: 6 },
      { address: "127.0.0.1", family: 4 },
      { address: "10.0.0.1", family: 4 },
    ],
    ask: async (name) => {
      questions.push(`addresses of ${name}`);
      const address = names[name];
      return address === undefined ? [] : [{ address, family: 4 }];
    },
    nameOf: async (address) => {
      questions.push(`name of ${address}`);
      return names[address];
    },
  };
  return factsOf(machine, nodelist(), isStart).then(() => questions);
}

function nodelist(): Conf {
  const node = (name: string, address: string): string =>
    `node {\nname: ${name}\nring0_addr: ${address}\n}`;
  const conf = parseConf(`nodelist {\n${node("a", "a.lab")}\n${node("b", "b.lab")}\n}\n`);
  if (!conf.ok) throw new Error(conf.reason);
  return conf.value;
}

test("the host name, or its beginning, is enough", async () => {
  for (const host of ["a", "a.lab", "a.example.org"]) expect(await asked(host, {})).toEqual([]);
});

test("then what an own address is called, IPv4 first", async () => {
  const questions = ["name of 127.0.0.1", "name of 10.0.0.1"];
  expect(await asked("x", { "10.0.0.1": "a.lab" })).toEqual(questions);
});

test("then what a node's name resolves to, until one is ours", async () => {
  const names = ["127.0.0.1", "10.0.0.1", "::1"].map((address) => `name of ${address}`);
  const all = [...names, "addresses of a", "addresses of a.lab"];
  expect(await asked("x", { "a.lab": "10.0.0.1" })).toEqual(all);
});

test("a running node asks nobody", async () => {
  expect(await asked("x", {}, false)).toEqual([]);
});

test("a resolver that says nothing is waited for once; names that it knows are found all the same", async () => {
  const silent = new Promise<string>(() => undefined);
  const nameOf = boundedNames(
    (address) => (address === "10.0.0.1" ? Promise.resolve("a.lab") : silent),
    20,
    () => 0,
  );
  expect(await nameOf("10.9.0.1")).toBeUndefined();
  expect(await nameOf("10.9.0.2")).toBeUndefined();
  expect(await nameOf("10.0.0.1")).toBe("a.lab");
});

test("an address without a name has none", async () => {
  const nameOf = boundedNames(
    () => Promise.reject(new Error("ENOTFOUND")),
    60_000,
    () => 0,
  );
  expect(await nameOf("10.9.0.1")).toBeUndefined();
});
