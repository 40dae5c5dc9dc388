// The readers of corosync's tools against outputs of the real ones (test/golden/tools).
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  parseGroups,
  parseLinkStatus,
  parseMap,
  parseMembership,
  parseQuorumStatus,
  parseReachable,
} from "./tools.ts";

const directory = join(import.meta.dir, "../golden/tools");
const golden = (name: string): string => readFileSync(join(directory, `${name}.txt`), "utf8");

describe("corosync-quorumtool", () => {
  test("a healthy ring of three", () => {
    expect(parseQuorumStatus(golden("3n-healthy.n1.quorumtool-s"))).toEqual({
      provider: "corosync_votequorum",
      nodeid: 1,
      ring: "1.34",
      quorate: true,
      members: [1, 2, 3].map((nodeid) => ({ nodeid, votes: 1, name: `n${nodeid}` })),
      expectedVotes: 3,
      totalVotes: 3,
      quorum: 2,
      flags: ["Quorate"],
    });
  });

  test("a minority is not quorate and has no flags", () => {
    const status = parseQuorumStatus(golden("3n-partition-minority.n3.quorumtool-s"));
    expect(status).toMatchObject({ quorate: false, ring: "3.16", flags: [], totalVotes: 1 });
    expect(status?.members).toEqual([{ nodeid: 3, votes: 1, name: "n3" }]);
  });

  test("the row of a device is no member", () => {
    const status = parseQuorumStatus(golden("3n-qdevice-fake-cast.n1.quorumtool-s"));
    expect(status?.members.map((member) => member.name)).toEqual(["n1", "n2", "n3"]);
    expect(status?.flags).toEqual(["Quorate", "Qdevice"]);
  });

  test("a failed tool gives nothing", () => {
    expect(parseQuorumStatus(golden("3n-no-quorum-provider.n1.quorumtool-s"))).toBeUndefined();
    expect(parseQuorumStatus("")).toBeUndefined();
  });

  test("every recorded -s answer but errors is understood", () => {
    const names = readdirSync(directory).filter((name) => name.endsWith("quorumtool-s.txt"));
    expect(names.length).toBeGreaterThan(40);
    for (const name of names) {
      const text = readFileSync(join(directory, name), "utf8");
      if (!text.includes("Quorum information\n")) continue;
      const status = parseQuorumStatus(text);
      const count = Number(/^Nodes:\s+(\d+)/m.exec(text)?.[1]);
      expect({ name, members: status?.members.length }).toEqual({ name, members: count });
    }
  });

  test("-l has the same table", () => {
    const names = parseMembership(golden("3n-healthy.n1.quorumtool-l"))?.map((one) => one.name);
    expect(names).toEqual(["n1", "n2", "n3"]);
  });
});

describe("corosync-cfgtool", () => {
  test("-s", () => {
    const status = parseLinkStatus(golden("3n-healthy.n1.cfgtool-s"));
    expect(status).toMatchObject({ nodeid: 1, transport: "knet" });
    expect(status?.links.map(({ link, address }) => [link, address])).toEqual([[0, "10.96.0.1"]]);
    expect([...(status?.links[0]?.nodes ?? [])]).toEqual([
      [1, "localhost"],
      [2, "connected"],
      [3, "connected"],
    ]);
  });

  test("-s with two links", () => {
    const status = parseLinkStatus(golden("3n-2links-link1-down-on-n3.n1.cfgtool-s"));
    expect(status?.links.map(({ nodes }) => nodes.get(3))).toEqual(["connected", "disconnected"]);
  });

  test("-n", () => {
    expect(parseReachable(golden("3n-healthy.n1.cfgtool-n"))).toEqual(
      [2, 3].map((nodeid) => ({
        nodeid,
        links: [
          {
            link: 0,
            source: "10.96.0.1",
            target: `10.96.0.${nodeid}`,
            connected: true,
            mtu: 64946,
          },
        ],
      })),
    );
    const down = parseReachable(golden("3n-2links-link1-down-on-n3.n1.cfgtool-n"));
    const third = down.find((node) => node.nodeid === 3);
    expect(third?.links.map((link) => link.connected)).toEqual([true, false]);
  });
});

describe("corosync-cmapctl and corosync-cpgtool", () => {
  test("keys with types", () => {
    const map = parseMap(golden("3n-healthy.n1.cmapctl"));
    expect(map.get("nodelist.node.1.name")).toEqual({ type: "str", value: "n2" });
    expect(map.get("nodelist.node.1.nodeid")).toEqual({ type: "u32", value: "2" });
    expect(map.size).toBe(golden("3n-healthy.n1.cmapctl").trimEnd().split("\n").length);
  });

  test("groups with members", () => {
    const groups = parseGroups(golden("3n-healthy.n1.cpgtool"));
    expect([...groups.keys()]).toEqual(["pve_dcdb_v1\\x00", "svgrp"]);
    expect(groups.get("svgrp")).toEqual([
      { pid: 19141, nodeid: 1 },
      { pid: 19148, nodeid: 2 },
    ]);
  });
});
