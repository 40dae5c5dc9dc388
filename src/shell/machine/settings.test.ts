// resolv.conf, time zones and network interfaces, as files below a throw-away root.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isTimeZone, offsetOf, setTimeZone, timeZone } from "./clock.ts";
import { networkInterfaces, type PresentInterface } from "./interfaces.ts";
import { resolverSettings, withResolverSettings } from "./resolver.ts";

const root = mkdtempSync(join(tmpdir(), "quorate-settings-"));
afterAll(() => rmSync(root, { recursive: true }));

describe("resolv.conf", () => {
  const text =
    "# by hand\ndomain old.example\nsearch a.example b.example\nnameserver 192.0.2.1\nnameserver nonsense\nnameserver 2001:db8::1\noptions edns0\n";

  test("is read as the original reads it", () => {
    expect(resolverSettings(text)).toEqual({
      ...{ search: "a.example", dns1: "192.0.2.1", dns2: "2001:db8::1" },
    });
    expect(resolverSettings("")).toEqual({});
  });

  test("is written with what else is in it, each server once", () => {
    const settings = { search: "c.example", dns1: "192.0.2.7", dns2: "192.0.2.7" };
    const changed = withResolverSettings(text, settings);
    expect(changed).toBe("search c.example\nnameserver 192.0.2.7\n# by hand\noptions edns0\n");
    expect(resolverSettings(changed)).toEqual({ search: "c.example", dns1: "192.0.2.7" });
    expect(withResolverSettings(changed, settings)).toBe(changed);
  });
});

describe("the time zone", () => {
  mkdirSync(join(root, "etc"));
  mkdirSync(join(root, "usr/share/zoneinfo/Europe"), { recursive: true });
  for (const zone of ["UTC", "Europe/Berlin"]) {
    writeFileSync(join(root, "usr/share/zoneinfo", zone), "TZif2");
  }

  test("is UTC where nothing says another, then what was set", async () => {
    expect(await timeZone(root)).toBe("UTC");
    writeFileSync(join(root, "etc/timezone"), "Asia/Tokyo\n");
    expect(await timeZone(root)).toBe("Asia/Tokyo");
    setTimeZone(root, "Europe/Berlin");
    expect(await timeZone(root)).toBe("Europe/Berlin");
    expect(readlinkSync(join(root, "etc/localtime"))).toBe("../usr/share/zoneinfo/Europe/Berlin");
    expect(readFileSync(join(root, "etc/timezone"), "utf8")).toBe("Europe/Berlin\n");
  });

  test("is one that the machine knows, and no path out of its folder", () => {
    expect(isTimeZone(root, "Europe/Berlin")).toBe(true);
    for (const zone of [
      "Europe/Paris",
      "Europe",
      "",
      "../../../etc/timezone",
      "/etc/timezone",
      "Europe/..",
      "Europe/Berlin\n",
    ]) {
      expect(isTimeZone(root, zone)).toBe(false);
    }
  });

  test("is ahead of UTC by the season", () => {
    const [winter, summer] = [Date.UTC(2026, 0, 1) / 1000, Date.UTC(2026, 6, 1) / 1000];
    expect([winter, summer].map((at) => offsetOf("Europe/Berlin", at))).toEqual([3600, 7200]);
    expect([winter, summer].map((at) => offsetOf("America/New_York", at))).toEqual([
      -18_000, -14_400,
    ]);
    expect(offsetOf("No/Such", winter)).toBe(0);
  });
});

describe("network interfaces", () => {
  const present = (name: string, more: Partial<PresentInterface> = {}): PresentInterface => ({
    ...{ name, isPhysical: false, isUp: true, isBridge: false, isBond: false, cidrs: [], ...more },
  });

  test("a Proxmox machine: its bridge has the address, its cards are ports", () => {
    const text = `auto lo
iface lo inet loopback

iface eno1 inet manual

auto vmbr0
iface vmbr0 inet static
\taddress 192.0.2.1/24
\tgateway 192.0.2.254
\tbridge-ports eno1
\tbridge-stp off
\tbridge-fd 0
\tpost-up echo up
#the office
iface vmbr0 inet6 static
\taddress 2001:db8::1/64

auto bond0
iface bond0 inet manual
\tbond-slaves eno3 eno2
\tbond-mode 1

iface eno1.5 inet static
\taddress 10.0.5.1
\tnetmask 255.255.255.0

source /etc/network/interfaces.d/*
`;
    const all = networkInterfaces(text, [
      present("lo"),
      present("eno1", { isPhysical: true }),
      present("eno2", { isPhysical: true, isUp: false }),
      present("vmbr0", { isBridge: true, cidrs: ["192.0.2.1/24"] }),
    ]);
    const manual = { families: ["inet" as const], method: "manual", method6: "manual" };
    expect(all).toEqual([
      {
        ...{ ...manual, iface: "bond0", type: "bond", autostart: true, priority: 5 },
        ...{ slaves: "eno2 eno3", bond_mode: "active-backup" },
      },
      { ...manual, iface: "eno1", type: "eth", exists: true, active: true, priority: 3 },
      {
        ...{ ...manual, iface: "eno1.5", type: "vlan", priority: 6, method: "static" },
        ...{ address: "10.0.5.1", netmask: "24", cidr: "10.0.5.1/24" },
        ...{ "vlan-raw-device": "eno1", "vlan-id": "5" },
      },
      { ...manual, iface: "eno2", type: "eth", exists: true },
      {
        ...{ iface: "vmbr0", type: "bridge", active: true, autostart: true, priority: 4 },
        ...{ families: ["inet", "inet6"], method: "static", method6: "static" },
        ...{ address: "192.0.2.1", netmask: "24", cidr: "192.0.2.1/24", gateway: "192.0.2.254" },
        ...{ address6: "2001:db8::1", netmask6: 64, cidr6: "2001:db8::1/64" },
        ...{ bridge_ports: "eno1", bridge_stp: "off", bridge_fd: "0" },
        ...{ options: ["post-up echo up"], comments: "the office\n" },
      },
    ]);
  });

  test("a machine that is configured otherwise shows the addresses that it has", () => {
    const all = networkInterfaces("", [
      present("lo", { cidrs: ["127.0.0.1/8"] }),
      present("ens18", { isPhysical: true, cidrs: ["192.0.2.9/24", "2001:db8::9/64"] }),
      present("docker0", { isBridge: true, cidrs: ["172.17.0.1/16"] }),
      present("veth1"),
    ]);
    expect(all.map(({ iface, type, cidr, cidr6 }) => [iface, type, cidr, cidr6])).toEqual([
      ["docker0", "bridge", "172.17.0.1/16", undefined],
      ["ens18", "eth", "192.0.2.9/24", "2001:db8::9/64"],
    ]);
  });

  test("nonsense is no interface, and no address", () => {
    const text = "iface\niface a inet static\n address nonsense\n netmask 255.0.255.0\n address\n";
    expect(networkInterfaces(text, [])).toEqual([
      {
        ...{ iface: "a", type: "unknown", priority: 2, families: ["inet"] },
        ...{ method: "static", method6: "manual", address: "nonsense", netmask: "255.0.255.0" },
        options: ["address"],
      },
    ]);
  });
});
