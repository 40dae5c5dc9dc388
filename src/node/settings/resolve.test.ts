import { expect, test } from "bun:test";
import { chooseAddress, resolveNames, type Ask } from "./resolve.ts";

const both = [
  { address: "10.0.0.1", family: 4 },
  { address: "10.0.0.2", family: 4 },
  { address: "fd00::1", family: 6 },
  { address: "fd00::2", family: 6 },
];
const [four, six] = [both.slice(0, 2), both.slice(2)];

test("ip_version chooses of one answer as corosync does", () => {
  expect(chooseAddress(both, "ipv6-4")).toBe("fd00::1");
  expect(chooseAddress(both, "ipv4-6")).toBe("10.0.0.1");
  expect(chooseAddress(four, "ipv6-4")).toBe("10.0.0.1");
  expect(chooseAddress(six, "ipv4-6")).toBe("fd00::1");
  expect(chooseAddress(four, "ipv6")).toBeUndefined();
  expect(chooseAddress(six, "ipv4")).toBeUndefined();
  expect(chooseAddress([], "ipv6-4")).toBeUndefined();
});

/** A resolver with /etc/hosts; what it is asked is kept. */
function hosts(): { readonly ask: Ask; readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    ask: async (name, family) => {
      asked.push(`${name} ${family}`);
      // With both families asked for at once the file has the answer; IPv6 alone goes to a DNS server that has one for everything.
      if (name.startsWith("known")) return family === 6 ? six : four;
      throw new Error("EAI_NONAME");
    },
  };
}

test("one question a name, for both families: a name in hosts never comes to DNS", async () => {
  const { ask, asked } = hosts();
  const found = await resolveNames(["known1", "known2", "known1"], "ipv6-4", ask);
  expect([...found]).toEqual([
    ["known1", "10.0.0.1"],
    ["known2", "10.0.0.1"],
  ]);
  expect(asked).toEqual(["known1 0", "known2 0"]);
});

test("one family alone is asked for where ip_version names one", async () => {
  const { ask, asked } = hosts();
  expect([...(await resolveNames(["known"], "ipv6", ask))]).toEqual([["known", "fd00::1"]]);
  await resolveNames(["known"], "ipv4", ask);
  expect(asked).toEqual(["known 6", "known 4"]);
});

test("the first name without an address is the last that is asked for", async () => {
  const { ask, asked } = hosts();
  const found = await resolveNames(["known", "unknown", "known2"], "ipv6-4", ask);
  expect([...found.keys()]).toEqual(["known"]);
  expect(asked).toEqual(["known 0", "unknown 0"]);
});

test("addresses are never asked for; theirs must be the family that is wanted", async () => {
  const { ask, asked } = hosts();
  const texts = ["10.0.0.9", "FD00:0:0::0009"];
  expect([...(await resolveNames(texts, "ipv6-4", ask))]).toEqual([
    ["10.0.0.9", "10.0.0.9"],
    ["FD00:0:0::0009", "fd00::9"],
  ]);
  expect((await resolveNames(["fd00::9"], "ipv4", ask)).size).toBe(0);
  expect((await resolveNames(["10.0.0.9"], "ipv6", ask)).size).toBe(0);
  expect((await resolveNames([""], "ipv6-4", ask)).size).toBe(0);
  expect(asked).toEqual([]);
});
