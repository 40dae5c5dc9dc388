// Alerts of a real cluster of three, in a network namespace of its own, where a link can be cut (alert-lab.ts).
import { expect, test } from "bun:test";
import { join } from "node:path";

const isRoot = process.getuid?.() === 0;

test.skipIf(!isRoot)(
  "a node, a link, the sender and quorum go and come back: each is told exactly once",
  async () => {
    const lab = join(import.meta.dir, "alert-lab.ts");
    const script = 'ip link set lo up && exec "$0" "$1"';
    const child = Bun.spawn(
      [
        "unshare",
        "--net",
        "--kill-child=SIGKILL",
        "--fork",
        "sh",
        "-euc",
        script,
        process.execPath,
        lab,
      ],
      { stdout: "pipe", stderr: "inherit" },
    );
    const out = await new Response(child.stdout).text();
    expect(out).toContain("all was told once");
    expect(await child.exited).toBe(0);
  },
  600_000,
);
