import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Admission, originOf } from "./admission.ts";

const taken = { kind: "taken", evicted: undefined } as const;
const evicting = (evicted: number) => ({ kind: "taken", evicted }) as const;

describe("room for honest clients", () => {
  test("full of newcomers: the oldest of the most crowded address goes", () => {
    const admission = new Admission({
      connectionsMax: 4,
      connectionsPerAddressMax: 0,
      newcomersMax: 100,
      listedMax: 100,
    });
    for (const id of [1, 2, 3]) expect(admission.admit(id, "10.0.0.66")).toEqual(taken);
    expect(admission.admit(4, "10.0.0.1")).toEqual(taken);
    expect(admission.admit(5, "10.0.0.2")).toEqual(evicting(1));
    expect(admission.admit(6, "10.0.0.66")).toEqual(evicting(2));
    for (const id of [3, 4, 5, 6]) admission.introduced(id);
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
      newcomersMax: 100,
      listedMax: 100,
    });
    admission.admit(1, "fe80::1%eth0");
    admission.admit(2, "FE80:0::2%eth1");
    admission.introduced(1);
    expect(admission.admit(3, "fe80::3")).toEqual(evicting(2));
    admission.introduced(3);
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
      newcomersMax: 2,
      listedMax: 100,
    });
    for (const id of [1, 2, 3, 4]) {
      admission.admit(id, `10.0.0.${id}`);
      if (id < 3) admission.introduced(id);
    }
    expect(admission.admit(5, "10.0.0.5")).toEqual(evicting(3));
    expect(admission.newcomers).toBe(2);
  });
});

test("too many nodes in lists: the longest of the address that has most of them", () => {
  const admission = new Admission({
    connectionsMax: 0,
    connectionsPerAddressMax: 0,
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

test("any history: the limits hold, clients stay, and the books are empty at the end", () => {
  const deed = fc.tuple(fc.constantFrom("admit", "introduced", "left"), fc.nat(30), fc.nat(4));
  fc.assert(
    fc.property(fc.array(deed, { maxLength: 200 }), (deeds) => {
      const limits = {
        connectionsMax: 9,
        connectionsPerAddressMax: 4,
        newcomersMax: 5,
        listedMax: 100,
      };
      const admission = new Admission(limits);
      const open = new Map<number, { readonly address: string; isClient: boolean }>();
      for (const [what, id, at] of deeds) {
        if (what === "admit" && !open.has(id)) {
          const address = `10.0.0.${at}`;
          const admitted = admission.admit(id, address);
          if (admitted.kind === "refused") continue;
          if (admitted.evicted !== undefined) {
            expect(open.get(admitted.evicted)?.isClient).toBe(false);
            open.delete(admitted.evicted);
          }
          open.set(id, { address, isClient: false });
        } else if (what === "introduced") {
          admission.introduced(id);
          const one = open.get(id);
          if (one !== undefined) one.isClient = true;
        } else if (what === "left") {
          admission.left(id);
          open.delete(id);
        }
        const all = [...open.values()];
        expect(all.length).toBeLessThanOrEqual(limits.connectionsMax);
        expect(admission.newcomers).toBe(all.filter(({ isClient }) => !isClient).length);
        expect(admission.newcomers).toBeLessThanOrEqual(limits.newcomersMax);
        for (const group of Map.groupBy(all, ({ address }) => address).values()) {
          expect(group.length).toBeLessThanOrEqual(limits.connectionsPerAddressMax);
        }
      }
      for (const id of open.keys()) admission.left(id);
      expect([admission.newcomers, admission.origins]).toEqual([0, 0]);
    }),
    { numRuns: 300 },
  );
});
