// A command line that is wrong ends with 2 before anything is made: no certificate, no lock, no directory.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const base = mkdtempSync(join(tmpdir(), "quorate-usage-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
const main = join(import.meta.dir, "..", "..", "src", "main.ts");

test.each([
  ["qnetd --http foo", "--http is an address and a port"],
  ["qnetd --http 127.0.0.1:99999", "--http is an address and a port"],
  ["qnetd --port 0", "--port is a number from 1 to 65535"],
  ["qnetd invite home --port 65536", "--port is a number from 1 to 65535"],
  ["qdevice setup 10.0.0.9 --port abc", "--port is a number from 1 to 65535"],
  ["qnetd --set foo=1", "Unknown option"],
  ["qnetd --max-clients many", "--max-clients is a number"],
  ["qnetd --connections-per-address many", "--connections-per-address is a number"],
  ["qnetd --tls maybe", "--tls is"],
  ["qnetd --listen=", "--listen needs a value"],
  ["qnetd invite home --expires soon", "--expires is a time"],
  ["node --durability half", "--durability is"],
  ["node --name=", "--name needs a value"],
  ["upgrade --healthy soon", "--healthy is a number"],
  ["upgrade --patience 86401", "--patience is a number of seconds from 1 to 86400"],
  ["doctor --role both", "--role is node or qnetd"],
  ["qnetd certificates drop", "takes list, renew or import"],
  ["upgrade --service-manager launchd", "--service-manager is one of"],
])("quorate %s", async (words, complaint) => {
  const root = mkdtempSync(join(base, "root-"));
  const child = Bun.spawn([process.execPath, main, ...words.split(" "), "--root", root], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  expect({ code, out }).toEqual({ code: 2, out: "" });
  expect(err).toContain(complaint);
  expect(readdirSync(root)).toEqual([]);
});

test("install without a role, or with a path that no unit can name", async () => {
  for (const words of [["install"], ["install", "--check"], ["unit", "node", "--bin", "/a b"]]) {
    const child = Bun.spawn([process.execPath, main, ...words], { stderr: "pipe" });
    expect([words, await child.exited]).toEqual([words, 2]);
  }
});

test("a vote server that cannot listen makes no certificates and takes none over", async () => {
  const taken = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  try {
    for (const [words, complaint] of [
      [["--listen", "192.0.2.77"], "no address of this machine"],
      [["--listen", "127.0.0.1", "--port", String(taken.port)], "by another program"],
    ] as const) {
      const root = mkdtempSync(join(base, "root-"));
      const child = Bun.spawn([process.execPath, main, "qnetd", ...words, "--root", root], {
        stderr: "pipe",
      });
      const [err, code] = await Promise.all([child.stderr.text(), child.exited]);
      // Not 2: an address may come later, and the service is then started again.
      expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining(complaint) });
      expect(readdirSync(root)).toEqual(["var"]);
    }
  } finally {
    taken.stop(true);
  }
});
