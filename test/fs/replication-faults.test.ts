// The tree replicated over a simulated group: verification, locks, and members that send anything. Spec: pmxcfs.md §2.9,
// §4.11, §4.12.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  type DfsmAction,
  verifyIntervalMs,
  verifySoonMs,
} from "../../src/fs/replica/dfsm-events.ts";
import {
  dcdbProtocol,
  decodeMessage,
  encodeMessage,
  encodeOperation,
  type Message,
} from "../../src/fs/replica/message.ts";
import { indexHex, treeOfVersion, TreeGroup, type TreeNode } from "./tree-group.ts";
import { kinds, trio } from "./trio.ts";

describe("verification", () => {
  test("soon after a state exchange, then each hour, by the lowest node; equal trees stay", () => {
    const { group, nodes } = trio();
    const before = group.bus.sent.length;
    group.bus.advance(verifySoonMs);
    expect(kinds(group).slice(before)).toEqual(["verifyRequest", "verify"]);
    group.bus.advance(verifyIntervalMs - 1);
    expect(group.bus.sent).toHaveLength(before + 2);
    group.bus.advance(1);
    expect(kinds(group).slice(before + 2)).toEqual(["verifyRequest", "verify"]);
    for (const node of nodes) expect(node.logged()).toContain("data verification successful");
    group.expectEqual(nodes);
  });

  test("a wrong checksum: the member leaves, joins again and is filled up", () => {
    const { group, nodes } = trio();
    // Something changed node 3's memory behind everybody's back, at the same version.
    const spoiled = nodes[2].replica.tree;
    spoiled.apply({ kind: "create", path: "only-here" }, 3, 5);
    group.do(nodes[0], { kind: "mkdir", path: "x" });
    group.bus.advance(3_600_000);
    expect(nodes[2].logged()).toContain("wrong checksum");
    group.bus.advance(6000);
    // Its version was the higher one: it wins, as pmxcfs has it.
    group.expectEqual(nodes.slice(0, 2));
    expect(nodes[2].dfsm.mode).toBe("synced");
    expect(indexHex(nodes[2])).toBe(indexHex(nodes[0]));
    expect(nodes[0].replica.tree.lookup("only-here")).toBeDefined();
  });

  test("a checksum that is wrong for everybody: all resync", () => {
    const { group, nodes } = trio();
    group.bus.tamper = (_, message) => {
      const read = decodeMessage(message);
      if (!read.ok || read.value.kind !== "verify") return message;
      return encodeMessage({ ...read.value, checksum: new Uint8Array(32) });
    };
    group.bus.advance(3_600_000);
    for (const node of nodes) expect(node.logged()).toContain("wrong checksum");
    group.bus.advance(6000);
    group.expectEqual(nodes);
  });

  test("a request that does not come back delays the next; a configuration change ends the wait", () => {
    const { group, nodes } = trio();
    let lost = 0;
    group.bus.tamper = (_, message) => {
      const read = decodeMessage(message);
      if (!read.ok || read.value.kind !== "verifyRequest") return message;
      lost += 1;
      return undefined;
    };
    group.bus.advance(3_600_000 * 2);
    expect(lost).toBe(1);
    expect(nodes[0].logged()).toContain("delay verify request");
    group.bus.crash(nodes[2]);
    group.bus.run();
    group.bus.advance(3_600_000);
    expect(lost).toBe(2);
  });
});

describe("locks", () => {
  function lockOf(node: TreeNode, path: string) {
    const { tree } = node.replica;
    const entry = tree.lookup(path);
    return { path, checksum: tree.entryChecksum(entry?.inode ?? -1) ?? new Uint8Array(32) };
  }

  function locked() {
    const { group, nodes } = trio();
    group.do(nodes[0], { kind: "mkdir", path: "priv" });
    group.do(nodes[0], { kind: "mkdir", path: "priv/lock" });
    group.do(nodes[1], { kind: "mkdir", path: "priv/lock/x" });
    const request = (node: TreeNode) =>
      group.do(node, { kind: "unlockRequest", ...lockOf(node, "priv/lock/x") });
    const held = () => nodes[0].replica.tree.lookup("priv/lock/x") !== undefined;
    return { group, nodes, request, held };
  }

  test("freed by the lowest node after more than 120 s", () => {
    const { group, nodes, request, held } = locked();
    group.bus.advance(120_000);
    request(nodes[2]);
    expect(held()).toBe(true);
    group.bus.advance(1);
    request(nodes[2]);
    expect(held()).toBe(false);
    group.expectEqual(nodes);
  });

  test("a refresh, a retake and a membership change with a commit begin the time anew", () => {
    const { group, nodes, request, held } = locked();
    group.bus.advance(100_000);
    group.do(nodes[1], { kind: "setMtime", path: "priv/lock/x", mtime: group.bus.timeS });
    group.bus.advance(100_000);
    request(nodes[2]);
    expect(held()).toBe(true);
    group.do(nodes[1], { kind: "delete", path: "priv/lock/x" });
    group.do(nodes[2], { kind: "mkdir", path: "priv/lock/x" });
    group.bus.advance(100_000);
    request(nodes[0]);
    expect(held()).toBe(true);
  });

  test("a commit on the lowest node begins the time anew there", () => {
    const { group, nodes, request, held } = locked();
    group.bus.advance(100_000);
    group.bus.partition([1], [2, 3]);
    group.bus.run();
    group.write(nodes[1], "apart", "x");
    group.bus.heal();
    group.bus.run();
    group.bus.advance(120_000);
    request(nodes[2]);
    expect(held()).toBe(true);
    group.bus.advance(1);
    request(nodes[2]);
    expect(held()).toBe(false);
    group.expectEqual(nodes);
  });

  test("no other directory is freed", () => {
    const { group, nodes } = locked();
    group.do(nodes[0], { kind: "mkdir", path: "plain" });
    for (let i = 0; i < 2; i += 1) {
      group.do(nodes[1], { kind: "unlockRequest", ...lockOf(nodes[0], "plain") });
      group.bus.advance(200_000);
    }
    expect(nodes[0].replica.tree.lookup("plain")).toBeDefined();
  });

  test("a request with an old checksum frees nothing", () => {
    const { group, nodes, held } = locked();
    const old = lockOf(nodes[0], "priv/lock/x");
    group.do(nodes[1], { kind: "setMtime", path: "priv/lock/x", mtime: group.bus.timeS + 1 });
    group.bus.advance(500_000);
    group.do(nodes[0], { kind: "unlockRequest", ...old });
    expect(held()).toBe(true);
    group.do(nodes[0], { kind: "unlock", ...old });
    expect(held()).toBe(true);
    group.expectEqual(nodes);
  });

  test("the holder's node is the lowest only by nodeid: others never free", () => {
    const { group, nodes, request } = locked();
    group.bus.advance(500_000);
    const before = group.bus.sent.length;
    request(nodes[1]);
    const unlocks = group.bus.sent.slice(before).filter(({ message }) => {
      const read = decodeMessage(message);
      return read.ok && read.value.kind === "normal" && read.value.subtype === 8;
    });
    expect(unlocks.map(({ from }) => from.nodeid)).toEqual([1]);
  });
});

describe("bad members", () => {
  const bad: [string, (epoch: Message & { kind: "syncStart" }) => Uint8Array][] = [
    ["an empty message", () => new Uint8Array(0)],
    ["15 bytes", () => new Uint8Array(15)],
    ["an unknown type", ({ epoch }) => patchType(encode({ kind: "updateComplete", epoch }), 9)],
    ["a short operation header", () => encode({ kind: "normal" }).subarray(0, 20)],
    ["an unknown operation", () => encode({ kind: "normal", subtype: 99 })],
    ["an operation of wrong length", () => encode({ kind: "normal", subtype: 2 })],
    [
      "a path without NUL",
      () => {
        const { subtype, body } = encodeOperation({ kind: "mkdir", path: "abc" });
        body[body.length - 1] = 65;
        return encode({ kind: "normal", subtype, body });
      },
    ],
  ];

  function encode(part: { kind: string } & Record<string, unknown>): Uint8Array {
    const defaults = { protocol: dcdbProtocol, timeS: 1, subtype: 1, count: 1 };
    return encodeMessage({ ...defaults, body: new Uint8Array(0), ...part } as unknown as Message);
  }

  function patchType(message: Uint8Array, type: number): Uint8Array {
    message[0] = type;
    return message;
  }

  test.each(bad)("%s: leave, join again, equal trees", (_, make) => {
    const { group, nodes } = trio();
    const epoch = { epoch: 1, time: 1, nodeid: 1, pid: 1 };
    group.bus.inject(nodes[1], make({ kind: "syncStart", protocol: 1, timeS: 1, epoch }));
    group.bus.run();
    for (const node of nodes) expect(node.dfsm.mode).toBe("start");
    // At most one attempt in 6 s; nobody has moved the clock since the last one.
    group.bus.advance(5999);
    for (const node of nodes) expect(node.dfsm.mode).toBe("start");
    group.bus.advance(1);
    group.expectEqual(nodes);
  });

  test("a message before the first configuration change: leave, join again", () => {
    const group = new TreeGroup();
    const node = group.join(1, treeOfVersion(1, "a"));
    const message = new Uint8Array(24);
    const event = {
      kind: "delivered",
      group: group.bus.group,
      nodeid: 9,
      pid: 9,
      message,
    } as const;
    group.bus.step(node, { kind: "groupEvent", event, timeS: 1 });
    expect(node.dfsm.mode).toBe("leave");
    group.bus.run();
    group.bus.advance(6000);
    group.expectEqual([node]);
  });

  test("bad messages inside an exchange: foreign, double and broken states, broken and early updates", () => {
    const tampers: ((message: Message) => Message | undefined)[] = [
      (m) => (m.kind === "state" ? { ...m, body: m.body.subarray(1) } : undefined),
      (m) => (m.kind === "state" ? { ...m, body: m.body.slice(0, 72) } : undefined),
      (m) => (m.kind === "update" ? { ...m, body: m.body.subarray(0, 30) } : undefined),
      (m) => (m.kind === "state" ? { ...m, kind: "updateComplete" } : undefined),
      (m) => (m.kind === "update" ? { ...m, kind: "state" } : undefined),
      (m) => (m.kind === "update" ? { ...m, kind: "syncStart" } : undefined),
    ];
    for (const tamper of tampers) {
      const { group, nodes } = trio();
      let left = 1;
      group.bus.tamper = (from, bytes) => {
        const read = decodeMessage(bytes);
        if (!read.ok || left === 0) return bytes;
        const changed = tamper(read.value);
        if (changed === undefined) return bytes;
        left -= 1;
        return encodeMessage(changed);
      };
      const d = group.join(4, treeOfVersion(40, "d"));
      group.bus.run();
      expect(left).toBe(0);
      for (let i = 0; i < 4; i += 1) group.bus.advance(6000);
      group.expectEqual([...nodes, d]);
    }
  });

  test("a state twice in one exchange: leave, join again", () => {
    const { group, nodes } = trio();
    let doubled = false;
    group.bus.tamper = (from, bytes) => {
      const read = decodeMessage(bytes);
      if (!doubled && from.nodeid === 2 && read.ok && read.value.kind === "state") {
        doubled = true;
        group.bus.inject(nodes[1], bytes);
      }
      return bytes;
    };
    const d = group.join(4, treeOfVersion(1, "d"));
    group.bus.run();
    expect(doubled).toBe(true);
    for (const node of [...nodes, d]) expect(node.logged()).toContain("sent its state twice");
    for (let i = 0; i < 4; i += 1) group.bus.advance(6000);
    group.expectEqual([...nodes, d]);
  });

  test("updates that do not give the leader's tree end the member for good, its old tree untouched", () => {
    const { group, nodes } = trio();
    group.bus.tamper = (_, bytes) => {
      const read = decodeMessage(bytes);
      if (!read.ok || read.value.kind !== "update") return bytes;
      const body = read.value.body.slice();
      body[24] = 77; // writer
      return encodeMessage({ ...read.value, body });
    };
    const d = group.join(4, treeOfVersion(2, "d"));
    group.bus.run();
    expect(d.dfsm.mode).toBe("error");
    expect(d.replica.tree.lookup("made-by-d")).toBeDefined();
    group.expectStored(d);
    const fatal = d.actions.find((action): action is DfsmAction => action.kind === "fatal");
    expect(fatal).toMatchObject({
      reason: "the updates do not give the leader's tree: the index differs from the leader's",
    });
    group.expectEqual(nodes);
  });

  test("a higher protocol version ends the member for good, a lower one is ignored", () => {
    const { group, nodes } = trio();
    const message = { kind: "normal", timeS: 1, subtype: 2, count: 1 } as const;
    const body = new Uint8Array(0);
    group.bus.inject(nodes[0], encodeMessage({ ...message, body, protocol: 0 }));
    group.bus.run();
    group.expectEqual(nodes);
    group.bus.inject(nodes[0], encodeMessage({ ...message, body, protocol: 2 }));
    group.bus.run();
    group.bus.advance(60_000);
    for (const node of nodes) expect(node.dfsm.mode).toBe("versionError");
  });

  test("thrown out of the group: join again", () => {
    const { group, nodes } = trio();
    const members = [nodes[0].self, nodes[1].self];
    const left = [{ ...nodes[2].self, reason: 2 }] as const;
    const event = {
      kind: "configured",
      group: group.bus.group,
      members,
      left,
      joined: [],
    } as const;
    const token = group.ask(nodes[2], { kind: "mkdir", path: "x" });
    group.bus.step(nodes[2], { kind: "groupEvent", event, timeS: 1 });
    expect(nodes[2].dfsm.mode).toBe("start");
    expect(group.answers.get(token)).toEqual({ ok: false, errno: "EBUSY" });
    expect(nodes[2].timers.has("rejoin")).toBe(true);
  });

  test("random and mutated bytes never throw and never leave two synced trees different", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            from: fc.nat(2),
            at: fc.nat(400),
            value: fc.nat(255),
            cut: fc.option(fc.nat(60)),
            pick: fc.nat(200),
            deliver: fc.nat(6),
          }),
          { maxLength: 12 },
        ),
        fc.integer({ min: 1, max: 1e6 }),
        (faults, seed) => {
          const { group, nodes } = trio(seed);
          group.write(nodes[1], "file", "content");
          const originals = group.bus.sent.map(({ message }) => message);
          for (const { from, at, value, cut, pick, deliver } of faults) {
            const message = originals[pick % originals.length]!.slice();
            if (at < message.length) message[at] = value;
            group.bus.inject(nodes[from]!, cut === null ? message : message.subarray(0, cut));
            for (let i = 0; i < deliver; i += 1) group.bus.deliverTo(nodes[i % 3]!);
          }
          group.bus.run();
          group.bus.advance(6000);
          group.bus.advance(6000);
          const synced = nodes.filter((node) => node.dfsm.mode === "synced");
          for (const node of nodes) group.expectStored(node);
          if (synced.length > 0) group.expectEqual(synced);
        },
      ),
      { numRuns: 150 },
    );
  });
});
