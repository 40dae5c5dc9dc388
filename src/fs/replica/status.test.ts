// The status store alone and in a group. Spec: pmxcfs.md §3.2, §3.5, §4.3, §4.10.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { GroupBus, type BusNode } from "../../../test/fs/group-bus.ts";
import type { LogAction } from "../../world.ts";
import { decodeMessage, encodeMessage, kvstoreGroup } from "./message.ts";
import {
  nodeIpBytesMax,
  rrdExpiryMs,
  rrdValueBytesMax,
  StatusStore,
  statusValueBytesMax,
  textValue,
} from "./status.ts";

type StatusNode = BusNode<LogAction, StatusStore>;
const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (value: Uint8Array | undefined) =>
  value === undefined ? undefined : new TextDecoder().decode(value);

class StatusGroup {
  readonly bus: GroupBus<LogAction, StatusStore>;
  constructor(seed = 1) {
    this.bus = new GroupBus(kvstoreGroup, seed);
  }

  join(nodeid: number, pid = nodeid * 100): StatusNode {
    const store = new StatusStore({ self: { nodeid, pid }, nodeName: `n${nodeid}` });
    store.nodesChanged([1, 2, 3]);
    store.set("nodeip", textValue(`10.0.0.${nodeid}`), 0);
    const node = this.bus.add({ nodeid, pid }, store);
    this.bus.start(node);
    return node;
  }

  set(node: StatusNode, key: string, value: string): void {
    const { send } = node.replica.set(key, bytes(value), this.bus.now);
    if (send !== undefined) this.bus.send(node, send);
  }

  log(node: StatusNode, message: string): void {
    const { timeS } = this.bus;
    const line = { time: timeS, pid: 1, priority: 6, ident: "root@pam", tag: "t" };
    this.bus.send(node, node.replica.log({ ...line, message: bytes(message) }));
  }
}

const logOf = (node: StatusNode) => Array.from(node.replica.logEntries(), (entry) => entry.message);

describe("in a group", () => {
  test("a newcomer gets keys, addresses and the log, but no measured values", () => {
    const group = new StatusGroup();
    const a = group.join(1);
    group.bus.run();
    group.set(a, "kv/x", "1");
    group.set(a, "tasklist", "[]");
    group.set(a, "rrd/pve-node-9.0/n1", "1:2\0");
    group.log(a, "before");
    group.bus.run();
    const b = group.join(2);
    group.bus.run();
    expect(textOf(b.replica.get(1, "kv/x"))).toBe("1");
    expect(b.replica.keysOf(1).map(({ key }) => key)).toEqual(["kv/x", "tasklist"]);
    expect([b.replica.addressOf(1), a.replica.addressOf(2)]).toEqual(["10.0.0.1", "10.0.0.2"]);
    expect(b.replica.rrd(group.bus.now)).toEqual([]);
    expect(logOf(b)).toEqual(["before"]);
    expect([a.dfsm.mode, b.dfsm.mode]).toEqual(["synced", "synced"]);
  });

  test("no updates, no end of updates, protocol version 0", () => {
    const group = new StatusGroup();
    group.join(1);
    group.join(2);
    group.bus.run();
    const read = group.bus.sent.map(({ message }) => {
      const each = decodeMessage(message);
      return each.ok ? [each.value.kind, each.value.protocol] : [];
    });
    expect(read.map(([kind]) => kind)).not.toContain("updateComplete");
    expect(new Set(read.map(([, protocol]) => protocol))).toEqual(new Set([0]));
  });

  test("online follows the group, the address stays; clinfo counts both", () => {
    const group = new StatusGroup();
    const a = group.join(1);
    const b = group.join(2);
    group.bus.run();
    expect([a.replica.isOnline(2), a.replica.isOnline(3)]).toEqual([true, false]);
    const before = a.replica.clusterInfo;
    group.bus.crash(b);
    group.bus.run();
    expect(a.replica.isOnline(2)).toBe(false);
    expect(a.replica.addressOf(2)).toBe("10.0.0.2");
    expect(a.replica.clusterInfo).toBe(before + 1);
    const again = group.join(2, 201);
    group.bus.run();
    // A membership change; the same address changes nothing.
    expect(a.replica.clusterInfo).toBe(before + 2);
    group.bus.send(again, again.replica.set("nodeip", textValue("10.9.9.9"), 0).send!);
    group.bus.run();
    expect(a.replica.clusterInfo).toBe(before + 3);
  });

  test("logs of a partition are merged, in the same order everywhere", () => {
    const group = new StatusGroup();
    const nodes = [group.join(1), group.join(2), group.join(3)];
    group.bus.run();
    group.bus.partition([1], [2, 3]);
    group.bus.run();
    nodes.forEach((node, i) => {
      group.bus.advance(1000);
      group.log(node, `alone ${i}`);
    });
    group.bus.run();
    expect(logOf(nodes[0]!)).toEqual(["alone 0"]);
    group.bus.heal();
    group.bus.run();
    for (const node of nodes) expect(logOf(node)).toEqual(["alone 2", "alone 1", "alone 0"]);
  });

  test("a bad log in a state is skipped, the exchange goes on", () => {
    const group = new StatusGroup();
    const a = group.join(1);
    group.log(a, "kept");
    group.bus.tamper = (from, message) => {
      const read = decodeMessage(message);
      if (from.nodeid !== 2 || !read.ok || read.value.kind !== "state") return message;
      return encodeMessage({ ...read.value, body: read.value.body.slice(0, 100) });
    };
    const b = group.join(2);
    group.bus.run();
    expect([a.dfsm.mode, b.dfsm.mode]).toEqual(["synced", "synced"]);
    expect(a.logged()).toContain("log of node 2 skipped");
  });

  test("values set during an exchange arrive, and only once", () => {
    const group = new StatusGroup(5);
    const a = group.join(1);
    const b = group.join(2);
    for (let i = 0; i < 3; i += 1) group.bus.deliverTo(a);
    group.set(a, "kv/during", "x");
    group.log(a, "during");
    group.bus.run();
    expect(textOf(b.replica.get(1, "kv/during"))).toBe("x");
    expect(logOf(b)).toEqual(["during"]);
  });
});

describe("values", () => {
  const store = () => new StatusStore({ self: { nodeid: 1, pid: 1 }, nodeName: "n1" });

  test("counters: 0 at first, + 1 per change, gone when removed", () => {
    const own = store();
    own.set("kv/a", bytes("1"), 0);
    own.set("kv/a", bytes("2"), 0);
    expect(own.keysOf(1)).toEqual([{ key: "kv/a", version: 1 }]);
    expect(own.nodesWithKeys).toEqual([1]);
    own.set("kv/a", new Uint8Array(0), 0);
    expect(own.keysOf(1)).toEqual([]);
    own.set("kv/a", bytes("3"), 0);
    expect(own.keysOf(1)).toEqual([{ key: "kv/a", version: 0 }]);
  });

  test("an own value that comes back does not undo a newer one", () => {
    const group = new StatusGroup();
    const a = group.join(1);
    group.bus.run();
    group.set(a, "kv/a", "1");
    group.set(a, "kv/a", "2");
    group.bus.run();
    expect(textOf(a.replica.get(1, "kv/a"))).toBe("2");
    expect(a.replica.keysOf(1)).toEqual([{ key: "kv/a", version: 1 }]);
  });

  test("limits, and what is still broadcast", () => {
    const own = store();
    expect(own.set("kv/a", new Uint8Array(statusValueBytesMax), 0).error).toBeUndefined();
    expect(own.set("kv/a", new Uint8Array(statusValueBytesMax + 1), 0)).toEqual({
      error: "EFBIG",
      send: undefined,
    });
    const terminated = (size: number) => new Uint8Array(size).fill(65).fill(0, size - 1);
    for (const [key, most] of [
      ["rrd/x", rrdValueBytesMax],
      ["nodeip", nodeIpBytesMax],
    ] as const) {
      expect(own.set(key, terminated(most), 0).error).toBeUndefined();
      const refused = own.set(key, terminated(most + 1), 0);
      expect([refused.error, refused.send !== undefined]).toEqual(["ENOMEM", true]);
      expect(own.set(key, new Uint8Array(0), 0).error).toBe("ENOMEM");
      expect(own.set(key, bytes("no NUL"), 0).error).toBe("ENOMEM");
    }
    expect(own.set("", bytes("x"), 0).error).toBe("EINVAL");
  });

  test("measured values are forgotten after 300 s without a new one", () => {
    const own = store();
    own.set("rrd/a", bytes("1\0"), 0);
    own.set("rrd/b", bytes("2\0"), 0);
    own.set("rrd/a", bytes("3\0"), rrdExpiryMs);
    expect(own.rrd(rrdExpiryMs)).toHaveLength(2);
    expect(own.rrd(rrdExpiryMs + 1)).toEqual([{ key: "a", value: "3" }]);
  });

  test("values of nodes that are not in the node list are dropped", () => {
    const group = new StatusGroup();
    const a = group.join(1);
    const d = group.join(4);
    group.bus.run();
    a.replica.nodesChanged([1, 2, 3]);
    group.set(d, "kv/x", "1");
    group.bus.run();
    expect(a.replica.get(4, "kv/x")).toBeUndefined();
    expect(a.logged()).toContain("node 4 is not in the node list");
    a.replica.nodesChanged([1, 2, 3, 4]);
    group.set(d, "kv/x", "2");
    group.bus.run();
    expect(textOf(a.replica.get(4, "kv/x"))).toBe("2");
  });

  test("hostile messages are ignored: nothing throws, the node stays", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(5), fc.uint8Array({ maxLength: 400 })), { maxLength: 8 }),
        (list) => {
          const group = new StatusGroup();
          const a = group.join(1);
          const b = group.join(2);
          group.bus.run();
          for (const [subtype, body] of list) group.bus.send(b, { subtype, body });
          group.bus.run();
          expect(a.dfsm.mode).toBe("synced");
          expect(a.replica.keysOf(1)).toEqual([]);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("changed bytes of its messages never throw; whoever leaves comes back", () => {
    const change = fc.tuple(fc.nat(30), fc.nat(60), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const group = new StatusGroup();
        const nodes = [group.join(1), group.join(2)];
        group.log(nodes[0]!, "x");
        group.set(nodes[0]!, "kv/x", "1");
        group.bus.run();
        const originals = group.bus.sent.map(({ message }) => message);
        for (const [pick, at, value] of changes) {
          const message = originals[pick % originals.length]!.slice();
          message[at] = value;
          group.bus.inject(nodes[pick % 2]!, message);
        }
        group.bus.run();
        group.bus.advance(6000);
        const modes = nodes.map((node) => node.dfsm.mode);
        // A changed version field is the one thing that ends a member.
        for (const mode of modes) expect(["synced", "versionError"]).toContain(mode);
      }),
      { numRuns: 100 },
    );
  });
});
