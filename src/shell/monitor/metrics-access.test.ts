// Which addresses may read metrics without a login.
import { expect, test } from "bun:test";
import { isAllowedFrom, metricsNetworks } from "./metrics-access.ts";

test("addresses and networks of both families, in as many lines as there are", () => {
  const networks = metricsNetworks(
    "# monitoring\nmetrics-from: 10.0.0.5, 10.1.0.0/24\nother: 1.2.3.4\n  metrics-from:fd00::/64\n",
  );
  expect(networks).toEqual(["10.0.0.5", "10.1.0.0/24", "fd00::/64"]);
  for (const address of ["10.0.0.5", "::ffff:10.0.0.5", "10.1.0.77", "fd00::1", "fd00::1%eth0"]) {
    expect([address, isAllowedFrom(address, networks)]).toEqual([address, true]);
  }
  for (const address of ["10.0.0.6", "10.1.1.1", "1.2.3.4", "fd00:0:0:1::1", "", "x"]) {
    expect([address, isAllowedFrom(address, networks)]).toEqual([address, false]);
  }
});

test("what is no network lets nobody in", () => {
  const networks = metricsNetworks("metrics-from: all * 0.0.0.0/x /0 10.0.0/8 0.0.0.0/33 , ::/129");
  for (const address of ["10.0.0.1", "::1", ""]) {
    expect(isAllowedFrom(address, networks)).toBe(false);
  }
  expect(metricsNetworks("")).toEqual([]);
  expect(metricsNetworks(`metrics-from: ${"10.0.0.1 ".repeat(1000)}`)).toHaveLength(64);
});
