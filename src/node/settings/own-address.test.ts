// Whose address a node takes for its own.
import { expect, test } from "bun:test";
import { type AddressMachine, linkAddresses, ownAddress } from "./own-address.ts";

const v4 = (interfaceName: string, address: string) => ({
  ...{ interfaceName, address, family: 4 as const, cidr: `${address}/24`, isInternal: false },
});
const routes = [
  "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT",
  "eth1\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0",
  "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
  "eth2\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0",
].join("\n");

function machine(names: Readonly<Record<string, string>>, over: Partial<AddressMachine> = {}) {
  return {
    addresses: () => [
      { ...v4("lo", "127.0.0.1"), isInternal: true },
      { ...v4("eth0", "fe80::1"), family: 6 as const },
      { ...v4("eth0", "2001:db8::1"), family: 6 as const },
      v4("eth0", "192.168.0.5"),
      v4("eth1", "10.0.0.5"),
    ],
    ask: async (name: string) => {
      const address = names[name];
      if (address === undefined) throw new Error("ENOTFOUND");
      return [{ address, family: address.includes(":") ? 6 : 4 }];
    },
    routes: (family: 4 | 6) => (family === 4 ? routes : ""),
    ...over,
  } satisfies AddressMachine;
}

test("its name's address, if it is its own and no loopback; else that of the default route", async () => {
  const address = async (of: AddressMachine) => {
    const found = await ownAddress("pve1", of);
    return found.ok ? found.value : found.reason;
  };
  expect(await address(machine({ pve1: "10.0.0.5" }))).toBe("10.0.0.5");
  expect(await address(machine({ pve1: "2001:db8:0::1" }))).toBe("2001:db8:0::1");
  expect(await address(machine({ pve1: "127.0.1.1" }))).toBe("192.168.0.5");
  expect(await address(machine({ pve1: "10.9.9.9" }))).toBe("192.168.0.5");
  expect(await address(machine({}))).toBe("192.168.0.5");
  const six = `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe800000000000000000000000000001 00000400 0 0 3 eth0`;
  const only6 = (family: 4 | 6): string => (family === 4 ? "" : six);
  expect(await address(machine({}, { routes: only6 }))).toBe("2001:db8::1");
  expect(await address(machine({}, { routes: () => "" }))).toContain("does not resolve");
  expect(await address(machine({ pve1: "127.0.1.1" }, { routes: () => "" }))).toContain(
    "resolves to 127.0.1.1, which is no address of this machine that others could reach, and there is no default route. Give it with --link0",
  );
});

test("what a link could have", () => {
  expect(linkAddresses(machine({})).map(({ address }) => address)).toEqual([
    "192.168.0.5",
    "10.0.0.5",
    "2001:db8::1",
  ]);
});
