import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Admission, reservedOf } from "./admission.ts";
import { originOf } from "./origin.ts";

const taken = { kind: "taken", evicted: undefined } as const;
const evicting = (evicted: number) => ({ kind: "taken", evicted }) as const;

describe("room for honest clients", () => {
  test("full of newcomers: the oldest of the most crowded address goes", () => {
    const admission = new Admission({
      connectionsMax: 4,
      connectionsPerAddressMax: 0,
      isVerifying: false,
      newcomersMax: 100,
      listedMax: 100,
    });
    for (const id of [1, 2, 3]) expect(admission.admit(id, "10.0.0.66")).toEqual(taken);
    expect(admission.admit(4, "10.0.0.1")).toEqual(taken);
    expect(admission.admit(5, "10.0.0.2")).toEqual(evicting(1));
    expect(admission.admit(6, "10.0.0.66")).toEqual(evicting(2));
    for (const id of [3, 4, 5, 6]) admission.introduced(id, false);
    expect(admission.admit(7, "10.0.0.3")).toEqual({
      kind: "refused",
      why: "4 clients are connected, the allowed maximum",
    });
    admission.left(4);
    expect(admission.admit(7, "10.0.0.3")).toEqual(taken);
    expect([admission.newcomers, admission.origins]).toEqual([1, 3]);
  });

  test("one address at its limit gives up its own newcomers, then is refused", () => {
    const admission = new Admission({
      connectionsMax: 0,
      connectionsPerAddressMax: 2,
      isVerifying: false,
      newcomersMax: 100,
      listedMax: 100,
    });
    admission.admit(1, "fe80::1%eth0");
    admission.admit(2, "FE80:0::2%eth1");
    admission.introduced(1, false);
    expect(admission.admit(3, "fe80::3")).toEqual(evicting(2));
    admission.introduced(3, false);
    expect(admission.admit(4, "fe80::4")).toEqual({
      kind: "refused",
      why: "2 clients of this address are connected, the allowed maximum",
    });
    expect(admission.admit(4, "fe81::4")).toEqual(taken);
  });

  test("newcomers have a limit of their own", () => {
    const admission = new Admission({
      connectionsMax: 0,
      connectionsPerAddressMax: 0,
      isVerifying: false,
      newcomersMax: 2,
      listedMax: 100,
    });
    for (const id of [1, 2, 3, 4]) {
      admission.admit(id, `10.0.0.${id}`);
      if (id < 3) admission.introduced(id, false);
    }
    expect(admission.admit(5, "10.0.0.5")).toEqual(evicting(3));
    expect(admission.newcomers).toBe(2);
  });
});

test("too many nodes in lists: the longest of the address that has most of them", () => {
  const admission = new Admission({
    connectionsMax: 0,
    connectionsPerAddressMax: 0,
    isVerifying: false,
    newcomersMax: 100,
    listedMax: 1000,
  });
  for (const [id, address] of [1, 1, 1, 2].entries()) admission.admit(id, `10.0.0.${address}`);
  expect([200, 300, 200].map((nodes, id) => admission.listed(id, nodes))).not.toContain(1);
  expect(admission.listed(3, 301)).toBe(1);
  admission.left(1);
  expect(admission.listed(3, 600)).toBeUndefined();
  expect(admission.listed(0, 201)).toBe(3);
  admission.left(3);
  expect(admission.listed(0, 800)).toBeUndefined();
});

test("addresses by who can choose them", () => {
  const names = ["10.0.0.1", "::ffff:10.0.0.1", "::1", "2001:db8:0:7::1", "2001:0DB8::7:1:2:3:4"];
  expect(names.map(originOf)).toEqual([
    "10.0.0.1",
    "10.0.0.1",
    "0:0:0:0::/64",
    "2001:db8:0:7::/64",
    "2001:db8:0:7::/64",
  ]);
});

describe("verified clients", () => {
  const limits = { isVerifying: true, newcomersMax: 100, listedMax: 100 };
  const full = { kind: "refused" } as const;

  /** An address with as many clients without a certificate as it gets in. */
  function fill(admission: Admission, address: string, from: number): number {
    for (let id = from; ; id += 1) {
      expect(admission.admit(id, address).kind).toBe("taken");
      if (admission.introduced(id, false).kind === "taken") continue;
      admission.left(id);
      return id - from;
    }
  }

  test("find room when one address holds all that it may, also from that address", () => {
    const admission = new Admission({
      ...limits,
      connectionsMax: 40,
      connectionsPerAddressMax: 20,
    });
    expect(fill(admission, "10.0.0.66", 100)).toBe(20);
    for (const [id, address] of ["10.0.0.1", "10.0.0.66", "10.0.0.66"].entries()) {
      expect(admission.admit(id, address)).toEqual(taken);
      expect(admission.introduced(id, true)).toEqual(taken);
    }
    expect(fill(admission, "10.0.0.1", 200)).toBe(17);
  });

  test("find room when clients without a certificate fill the server: the newest of the fullest address goes", () => {
    const admission = new Admission({ ...limits, connectionsMax: 10, connectionsPerAddressMax: 0 });
    admission.admit(1, "10.0.0.1");
    admission.introduced(1, false);
    expect(fill(admission, "10.0.0.66", 100)).toBe(9);
    for (const id of [2, 3]) {
      expect(admission.admit(id, "10.0.0.2")).toEqual(taken);
      expect(admission.introduced(id, true)).toEqual(evicting(110 - id));
    }
    for (let id = 4; id < 11; id += 1) {
      admission.admit(id, "10.0.0.2");
      expect(admission.introduced(id, true)).toEqual(evicting(110 - id));
    }
    // Only the honest plain one is left; the last place is a verified client's too.
    admission.admit(11, "10.0.0.2");
    expect(admission.introduced(11, true)).toEqual(evicting(1));
    expect(admission.admit(12, "10.0.0.2")).toMatchObject(full);
  });

  test("newcomers above a full limit are few, and the most crowded address gives them up", () => {
    const admission = new Admission({ ...limits, connectionsMax: 10, connectionsPerAddressMax: 0 });
    expect(fill(admission, "10.0.0.66", 100)).toBe(10);
    expect(admission.admit(1, "10.0.0.1")).toEqual(taken);
    const few = reservedOf(10);
    for (let id = 200; id < 300; id += 1) {
      const evicted = id < 200 + few - 1 ? taken : evicting(id - few + 1);
      expect(admission.admit(id, "10.0.0.66")).toEqual(evicted);
    }
    expect(admission.introduced(1, true)).toEqual(evicting(109));
  });

  test("a stranger's many addresses do not push out a newcomer of an address that they came from", () => {
    const admission = new Admission({ ...limits, connectionsMax: 10, connectionsPerAddressMax: 0 });
    admission.admit(1, "10.0.0.1");
    admission.introduced(1, true);
    admission.left(1);
    admission.admit(2, "10.0.0.1");
    for (let id = 100; id < 120; id += 1) admission.admit(id, `10.0.1.${id}`);
    expect(admission.introduced(2, true)).toEqual(taken);
    // A crowd behind that address has no such favour.
    for (let id = 200; id < 209; id += 1) admission.admit(id, "10.0.0.1");
    expect(admission.admit(300, "10.0.2.1")).toEqual(evicting(200));
  });

  test("lists of others go before theirs", () => {
    const admission = new Admission({ ...limits, connectionsMax: 0, connectionsPerAddressMax: 0 });
    for (const id of [1, 2]) admission.admit(id, "10.0.0.1");
    admission.introduced(1, true);
    admission.introduced(2, false);
    admission.listed(1, 90);
    expect(admission.listed(2, 20)).toBe(2);
    admission.left(2);
    expect(admission.listed(1, 101)).toBe(1);
  });
});

interface Standing {
  readonly address: string;
  standing: "newcomer" | "introduced" | "verified";
}
const isVerified = ({ standing }: Standing): boolean => standing === "verified";

test("any history: the limits hold, verified clients stay and get in, and the books are empty at the end", () => {
  const kinds = fc.constantFrom("admit", "introduced", "verified", "left");
  const deed = fc.tuple(kinds, fc.nat(60), fc.nat(4));
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 200 }), (deeds) => {
      const limits = {
        connectionsMax: 9,
        connectionsPerAddressMax: 4,
        isVerifying: true,
        newcomersMax: 5,
        listedMax: 100,
      };
      const admission = new Admission(limits);
      const open = new Map<number, Standing>();
      for (const [what, id, at] of deeds) {
        if (what === "admit" && !open.has(id)) {
          const address = `10.0.0.${at}`;
          const admitted = admission.admit(id, address);
          if (admitted.kind === "refused") continue;
          if (admitted.evicted !== undefined) {
            expect(open.get(admitted.evicted)?.standing).toBe("newcomer");
            open.delete(admitted.evicted);
          }
          open.set(id, { address, standing: "newcomer" });
        } else if (what === "introduced" || what === "verified") {
          const one = open.get(id);
          if (one === undefined || one.standing !== "newcomer") continue;
          const settled = admission.introduced(id, what === "verified");
          const isFull = [...open.values()].filter(isVerified).length === limits.connectionsMax;
          if (what === "verified") expect(settled.kind === "taken" || isFull).toBe(true);
          if (settled.kind === "refused") continue;
          if (settled.evicted !== undefined) {
            expect(open.get(settled.evicted)?.standing).toBe("introduced");
            open.delete(settled.evicted);
          }
          one.standing = what;
        } else if (what === "left") {
          admission.left(id);
          open.delete(id);
        }
        const all = [...open.values()];
        const newcomers = all.filter(({ standing }) => standing === "newcomer");
        expect(all.length).toBeLessThanOrEqual(limits.connectionsMax + reservedOf(9));
        expect(all.length - newcomers.length).toBeLessThanOrEqual(limits.connectionsMax);
        expect(admission.newcomers).toBe(newcomers.length);
        expect(admission.newcomers).toBeLessThanOrEqual(limits.newcomersMax);
        for (const group of Map.groupBy(all, ({ address }) => address).values()) {
          const plain = group.filter(({ standing }) => standing === "introduced");
          expect(plain.length).toBeLessThanOrEqual(limits.connectionsPerAddressMax);
        }
      }
      for (const id of open.keys()) admission.left(id);
      expect([admission.newcomers, admission.origins]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});
