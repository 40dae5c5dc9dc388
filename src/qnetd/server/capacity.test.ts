import { expect, test } from "bun:test";
import fc from "fast-check";
import { reservedOf } from "./admission.ts";
import { capacityOf, connectionsPerAddressDefault } from "./capacity.ts";

const nothing = { connectionsMax: 0, perAddressMax: undefined };
const mb = 1024 * 1024;

test("a machine of 256 MB: no address gets all that memory allows", () => {
  const small = capacityOf({ descriptors: 524_288, memoryBytes: 256 * mb }, nothing);
  expect(small).toEqual({ connectionsMax: 1456, connectionsPerAddressMax: 728, complaint: "" });
  const large = capacityOf({ descriptors: 524_288, memoryBytes: 8192 * mb }, nothing);
  expect(large).toMatchObject({ connectionsMax: 7168, connectionsPerAddressMax: 2048 });
});

test("the operator's numbers count as far as descriptors allow, and what is less is said", () => {
  const machine = { descriptors: 1024, memoryBytes: 256 * mb };
  expect(capacityOf(machine, { connectionsMax: 500, perAddressMax: 0 })).toEqual({
    connectionsMax: 500,
    connectionsPerAddressMax: 0,
    complaint: "",
  });
  const { connectionsMax, complaint } = capacityOf(machine, { ...nothing, connectionsMax: 5000 });
  expect(connectionsMax).toBe(728);
  expect(complaint).toContain("may open 1024 files: 728 clients are let in");
});

test("any machine: connections never need more descriptors than there are, nor one address all of them", () => {
  fc.assert(
    fc.property(fc.nat(100_000), fc.nat(4096), fc.nat(20_000), (descriptors, megabytes, wanted) => {
      const machine = { descriptors: descriptors + 32, memoryBytes: megabytes * mb };
      const capacity = capacityOf(machine, { ...nothing, connectionsMax: wanted });
      const { connectionsMax: most, connectionsPerAddressMax: one } = capacity;
      expect(most).toBeGreaterThan(0);
      expect(most + reservedOf(most)).toBeLessThan(machine.descriptors);
      expect(one).toBeLessThanOrEqual(Math.min(connectionsPerAddressDefault, most));
      if (most > 1) expect(one).toBeLessThan(most);
    }),
  );
});
