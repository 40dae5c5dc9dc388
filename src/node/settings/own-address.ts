// The address under which others reach this machine, found as Proxmox finds a node's: what its name resolves to, if that is an address of
// its own and no loopback; else the address that the default route leaves by. And all addresses that a link could have. Host code.
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Result, failure, success } from "../../result.ts";
import { canonicalAddress } from "../link/address.ts";
import { addressesOf, type Ask, byResolver, chooseAddress } from "./resolve.ts";

export interface InterfaceAddress {
  readonly interfaceName: string;
  readonly address: string;
  readonly family: 4 | 6;
  /** With its length: "10.0.0.0/24" of an address in it, as the system has it. */
  readonly cidr: string;
  /** Of the loopback interface. */
  readonly isInternal: boolean;
}

/** What is asked of the machine; tests have their own. */
export interface AddressMachine {
  readonly addresses: () => readonly InterfaceAddress[];
  readonly ask: Ask;
  /** Of /proc/net/route and /proc/net/ipv6_route; "" where it cannot be read. */
  readonly routes: (family: 4 | 6) => string;
}

export const thisAddressMachine: AddressMachine = {
  addresses: () =>
    Object.entries(networkInterfaces()).flatMap(([interfaceName, addresses = []]) =>
      addresses.map(({ address, family, cidr, internal }) => ({
        ...{ interfaceName, address, family: family === "IPv4" ? (4 as const) : (6 as const) },
        ...{ cidr: cidr ?? address, isInternal: internal },
      })),
    ),
  ask: byResolver,
  routes: (family) => {
    try {
      return readFileSync(family === 4 ? "/proc/net/route" : "/proc/net/ipv6_route", "latin1");
    } catch {
      return ""; // Without the family, or without /proc.
    }
  },
};

/** The reason says what was tried and what to do. */
export async function ownAddress(
  nodeName: string,
  machine: AddressMachine = thisAddressMachine,
): Promise<Result<string>> {
  const own = machine.addresses().filter(isReachable);
  const named = await addressesOf(nodeName, 0, machine.ask);
  const ofOwn = named.filter(({ address }) => own.some((each) => isSame(each.address, address)));
  const found = chooseAddress(ofOwn, "ipv4-6") ?? routedAddress(own, machine);
  if (found !== undefined) return success(found);
  const what =
    named.length === 0
      ? `the name ${nodeName} does not resolve`
      : `the name ${nodeName} resolves to ${named.map(({ address }) => address).join(", ")}, which is no address of this machine that others could reach`;
  return failure(
    `this node's address is not known: ${what}, and there is no default route. Give it with --link0, or put the name with the address into /etc/hosts`,
  );
}

/** Addresses that a link of this machine could have: no loopback, nothing that is good on one interface only. IPv4 first. */
export function linkAddresses(machine: AddressMachine = thisAddressMachine): InterfaceAddress[] {
  return machine
    .addresses()
    .filter(isReachable)
    .toSorted((a, b) => a.family - b.family);
}

function isReachable({ isInternal, address }: InterfaceAddress): boolean {
  return !isInternal && !address.toLowerCase().startsWith("fe80:");
}

function isSame(a: string, b: string): boolean {
  return (canonicalAddress(a) ?? a) === (canonicalAddress(b) ?? b);
}

function routedAddress(
  own: readonly InterfaceAddress[],
  { routes }: AddressMachine,
): string | undefined {
  for (const family of [4, 6] as const) {
    const name = (family === 4 ? defaultRoute4 : defaultRoute6)(routes(family));
    const found = own.find((each) => each.family === family && each.interfaceName === name);
    if (found !== undefined) return found.address;
  }
  return undefined;
}

/** /proc/net/route: interface, destination, gateway, flags, …, metric, mask; hex. The lowest metric wins. */
function defaultRoute4(text: string): string | undefined {
  return lowest(
    text
      .split("\n")
      .slice(1)
      .map((line) => line.split("\t"))
      .filter((words) => words[1] === "00000000" && words[7] === "00000000")
      .map((words) => ({ name: words[0] ?? "", metric: Number(words[6]) })),
  );
}

/** /proc/net/ipv6_route: destination, its length, …, metric (field 5), …, interface; hex. */
function defaultRoute6(text: string): string | undefined {
  return lowest(
    text
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter((words) => /^0{32}$/.test(words[0] ?? "") && words[1] === "00" && words[9] !== "lo")
      .map((words) => ({ name: words[9] ?? "", metric: Number.parseInt(words[5] ?? "", 16) })),
  );
}

function lowest(
  routes: readonly { readonly name: string; readonly metric: number }[],
): string | undefined {
  return routes.toSorted((a, b) => a.metric - b.metric)[0]?.name;
}
