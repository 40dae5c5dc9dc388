// Pages of docs/ that are about one node alone, as they are typed (typed-page.ts).
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { LoneNode } from "./lone-node.ts";
import { playPage } from "./typed-page.ts";

const port = 18_306;
const nodes: LoneNode[] = [];
const folders: string[] = [];
afterEach(async () => {
  for (const node of nodes.splice(0)) await node.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

test.each([
  ["users.md", 20],
  ["api.md", 17],
  ["monitoring.md", 10],
  ["alerts.md", 12],
] as const)(
  "%s",
  async (page, linesMin) => {
    const node = new LoneNode("pve1");
    nodes.push(node);
    const folder = mkdtempSync(join(tmpdir(), "quorate-page-"));
    folders.push(folder);
    expect(await playPage({ page, node, port, folder })).toBeGreaterThan(linesMin);
  },
  // Keys of 4096 bits and many starts of a program, on whatever machine this is.
  500_000,
);
