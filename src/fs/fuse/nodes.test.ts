import { expect, test } from "bun:test";
import fc from "fast-check";
import { NodeTable, type Node } from "./nodes.ts";

function known(table: NodeTable, parent: Node, name: string, type: Node["type"] = "file"): Node {
  const node = table.found(parent, name, type);
  table.remember(node);
  return node;
}

test("paths follow renames, also of a directory above", () => {
  const table = new NodeTable();
  const d = known(table, table.root, "d", "directory");
  const file = known(table, d, "f");
  expect(table.path(table.root)).toBe("");
  expect(table.path(file)).toBe("d/f");
  table.moved(d, table.root, "e");
  expect(table.path(file)).toBe("e/f");
  table.moved(file, table.root, "g");
  expect(table.path(file)).toBe("g");
  expect(table.child(d, "f")).toBeUndefined();
  expect(table.found(table.root, "g", "file")).toBe(file);
});

test("what is replaced or removed loses its path but lives while it is known or open", () => {
  const table = new NodeTable();
  const a = known(table, table.root, "a");
  const b = known(table, table.root, "b");
  table.opened(b);
  table.moved(a, table.root, "b");
  expect(table.path(b)).toBeUndefined();
  expect(table.path(a)).toBe("b");
  table.forget(b.id, 1);
  expect(table.get(b.id)).toBe(b);
  table.closed(b);
  expect(table.get(b.id)).toBeUndefined();
  table.removed(a);
  expect(table.get(a.id)).toBe(a);
  table.forget(a.id, 1);
  expect(table.get(a.id)).toBeUndefined();
  expect(table.size).toBe(1);
});

test("a name keeps its number when the kernel forgets it, not when its type changes", () => {
  const table = new NodeTable();
  const a = known(table, table.root, "a");
  table.forget(a.id, 1);
  expect(known(table, table.root, "a").id).toBe(a.id);
  const other = known(table, table.root, "a", "directory");
  expect(other.id).not.toBe(a.id);
  expect(table.path(a)).toBeUndefined();
});

test("forgotten nodes are bounded, deep chains too", () => {
  const table = new NodeTable();
  let parent = table.root;
  for (let i = 0; i < 3000; i += 1) parent = known(table, parent, `d${i}`, "directory");
  for (let node: Node | undefined = parent; node !== undefined; node = node.parent)
    table.forget(node.id, 1);
  for (let i = 0; i < 40_000; i += 1) table.found(table.root, `f${i}`, "file");
  expect(table.size).toBeLessThan(20_000);
  expect(table.root.children.size).toBeLessThan(20_000);
});

type Step = {
  readonly kind: number;
  readonly a: number;
  readonly b: number;
  readonly name: string;
};

test("whatever happens: one node a path, ids never used twice, no kernel mention lost", () => {
  const step: fc.Arbitrary<Step> = fc.record({
    kind: fc.nat(6),
    a: fc.nat(),
    b: fc.nat(),
    name: fc.constantFrom("a", "b", "c"),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const table = new NodeTable();
      const held = new Map<number, { node: Node; lookups: number; opens: number }>();
      const ever = new Map<number, Node>();
      for (const { kind, a, b, name } of steps) {
        const all = [...held.values()];
        const one = all[a % Math.max(1, all.length)];
        const directories = [table.root, ...all.map((h) => h.node)].filter(
          (node) => node.type === "directory" && table.path(node) !== undefined,
        );
        const directory = directories[b % directories.length]!;
        if (kind <= 1) {
          const node = known(table, directory, name, kind === 0 ? "file" : "directory");
          const entry = held.get(node.id) ?? { node, lookups: 0, opens: 0 };
          expect(entry.node).toBe(node);
          // A rested node may come back as itself; a new one has a new number.
          if (!ever.has(node.id)) expect(node.id).toBeGreaterThan(Math.max(1, ...ever.keys()));
          expect(ever.get(node.id) ?? node).toBe(node);
          ever.set(node.id, node);
          held.set(node.id, { ...entry, lookups: entry.lookups + 1 });
        } else if (one !== undefined) {
          if (kind === 2) {
            table.forget(one.node.id, one.lookups);
            one.lookups = 0;
          }
          if (kind === 3) {
            table.opened(one.node);
            one.opens += 1;
          }
          if (kind === 4 && one.opens > 0) {
            table.closed(one.node);
            one.opens -= 1;
          }
          if (kind === 5) table.removed(one.node);
          // The kernel refuses to move a directory into itself.
          let above: Node | undefined = directory;
          while (above !== undefined && above !== one.node) above = above.parent;
          if (kind === 6 && above === undefined && table.path(one.node) !== undefined)
            table.moved(one.node, directory, name);
          if (one.lookups === 0 && one.opens === 0) held.delete(one.node.id);
        }
        const paths = new Set<string>();
        for (const { node, lookups, opens } of held.values()) {
          expect(table.get(node.id)).toBe(node);
          expect(node.lookups).toBe(lookups);
          expect(node.opens).toBe(opens);
          const path = table.path(node);
          if (path === undefined) continue;
          expect(paths.has(path)).toBe(false);
          paths.add(path);
        }
      }
    }),
    { numRuns: 1000 },
  );
});
