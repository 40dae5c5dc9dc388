import { describe, expect, test } from "bun:test";
import type { ServiceAction } from "../member/service.ts";
import { busSettings, OrderedBus } from "../../../test/double/service-bus.ts";
import {
  configVersionItem,
  configVersionOf,
  decodeMapMessage,
  encodeMapMessage,
} from "./config-version-message.ts";
import { ConfigVersion } from "./config-version.ts";

const view = { ring: { rep: 1, seq: 9 }, members: [1, 2], transitional: [1] };
const alone = { ring: { rep: 1, seq: 5 }, members: [1], transitional: [1] };

function meet(own: number, other: number | undefined): ServiceAction[] {
  const service = new ConfigVersion({ nodeid: 1, version: own });
  const out: ServiceAction[] = [];
  service.syncInit(alone);
  service.syncProcess(0, out);
  service.syncActivate(0, out);
  service.syncInit(view);
  service.syncProcess(0, out);
  const message = encodeMapMessage({ reason: "sync", items: [configVersionItem(other)] });
  service.received(2, message, out);
  service.syncActivate(0, out);
  service.timedOut(out);
  return out;
}

const leaves = (out: readonly ServiceAction[]): boolean =>
  out.some((action) => action.kind === "leave");

describe("configuration version", () => {
  test("only the older file leaves, also after a ring of its own", () => {
    expect(leaves(meet(5, 7))).toBe(true);
    expect(leaves(meet(7, 5))).toBe(false);
    expect(leaves(meet(7, 7))).toBe(false);
    expect(leaves(meet(7, undefined))).toBe(false);
    expect(leaves(meet(0, 7))).toBe(false);
  });

  test("versions are compared at the first meeting only", () => {
    const service = new ConfigVersion({ nodeid: 1, version: 5 });
    const out: ServiceAction[] = [];
    for (const version of [5, 9]) {
      service.syncInit(view);
      const message = encodeMapMessage({ reason: "sync", items: [configVersionItem(version)] });
      service.received(2, message, out);
      service.syncActivate(0, out);
    }
    expect(leaves(out)).toBe(false);
    expect(service.versions()).toEqual([{ nodeid: 2, version: 9 }]);
  });

  test("a change at run time is told once, and does nothing to the others", () => {
    const bus = new OrderedBus();
    for (const nodeid of [1, 2]) bus.start(busSettings({ nodeid, nodes: 2 }));
    bus.join([1, 2]);
    const before = bus.delivered.length;
    bus.reconfigure(busSettings({ nodeid: 2, nodes: 2, configVersion: 4 }));
    bus.settle();
    const told = bus.delivered
      .slice(before)
      .map(({ bytes }) => decodeMapMessage(bytes.subarray(5)));
    const versions = told.filter((message) => message.ok && message.value.items.length > 0);
    expect(versions).toHaveLength(1);
    expect(versions[0]).toMatchObject({ ok: true, value: { reason: "newConfigVersion" } });
    expect(bus.node(1).services.snapshot().configVersions).toEqual([
      { nodeid: 1, version: 1 },
      { nodeid: 2, version: 4 },
    ]);
    expect(bus.node(1).actions.some((action) => action.kind === "leave")).toBe(false);
  });

  test("sizes on the wire, and a version beyond 2^53 is simply newer", () => {
    const present = encodeMapMessage({ reason: "sync", items: [configVersionItem(3)] });
    expect(present).toHaveLength(336);
    const absent = encodeMapMessage({ reason: "sync", items: [configVersionItem(undefined)] });
    expect(absent).toHaveLength(328);
    present.fill(0xff, 328, 336);
    const decoded = decodeMapMessage(present);
    expect(decoded.ok && configVersionOf(decoded.value)).toBe(Number.MAX_SAFE_INTEGER);
    expect(decodeMapMessage(present.subarray(0, 328)).ok).toBe(false);
  });
});
