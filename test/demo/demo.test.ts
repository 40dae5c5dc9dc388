// The demo as a person meets it: its options, a second one beside a running one, what a killed one left, and what the view says.
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { mountedOn } from "../../src/fs/fuse/mountinfo.ts";
import { bindUdpSocket, closeFd, mount, openFuse } from "../../src/libc.ts";
import { type DemoNode, demoNodes, prepare, until } from "./cluster.ts";
import { claim, expectFree, Obstacle, ringPort, unmount } from "./place.ts";
import { view } from "./view.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-demo-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Nodes whose program prints one line and ends with 8. */
function brokenNodes(name: string): DemoNode[] {
  const program = join(directory, `${name}.sh`);
  writeFileSync(program, "echo 'error: the key is missing'\nexit 8\n");
  return demoNodes({ command: ["sh", program], directory: join(directory, name), mount: false });
}

function screen(nodes: readonly DemoNode[]): string {
  const parts = { before: [], elapsedS: 1, mount: false, binary: "/x/dist/quorate", from: "/x" };
  return view({ ...parts, nodes, statuses: nodes.map(() => undefined) });
}

describe("options", () => {
  const run = async (...words: string[]): Promise<{ code: number; out: string; error: string }> => {
    const command = [process.execPath, join(import.meta.dir, "demo.ts"), ...words];
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    return { code: await child.exited, out, error };
  };

  test("--help says how, and starts nothing", async () => {
    const { code, out } = await run("--help", "--check");
    expect(code).toBe(0);
    expect(out).toStartWith("usage: npm run demo [-- --check]\n");
  });

  test("an unknown option is refused with 2, and starts nothing", async () => {
    const { code, out, error } = await run("--chek");
    expect({ code, out }).toEqual({ code: 2, out: "" });
    expect(error).toStartWith("demo: there is no option --chek\nusage: ");
  });
});

describe("a second demo", () => {
  test("of the same directory is refused, with the process that has it", () => {
    const place = join(directory, "claimed");
    claim(place);
    expect(() => claim(place)).toThrow(
      `a demo runs already in ${place} (process ${process.pid}), and was left alone`,
    );
  });

  test("of another directory finds the addresses taken", () => {
    const socket = bindUdpSocket({ address: "127.0.0.19", port: ringPort, options: [] });
    expect(socket.ok).toBe(true);
    expect(() => expectFree("127.0.0.19")).toThrow(Obstacle);
    expect(() => expectFree("127.0.0.19")).toThrow("port 5405/udp of 127.0.0.19 is taken");
    if (socket.ok) closeFd(socket.fd);
    expectFree("127.0.0.19");
  });
});

const isRoot = process.getuid?.() === 0 && existsSync("/dev/fuse");

describe("what an earlier demo left", () => {
  test("is replaced", () => {
    const nodes = brokenNodes("again");
    prepare(nodes);
    writeFileSync(nodes[2]!.log, "old");
    prepare(nodes);
    expect(existsSync(nodes[2]!.log)).toBe(false);
    expect(existsSync(`${nodes[0]!.paths.treeDir}/config.db`)).toBe(true);
  });

  test.skipIf(!isRoot)("a dead mount, twice on one place, is taken away", async () => {
    const nodes = brokenNodes("mounted");
    prepare(nodes);
    const target = nodes[2]!.paths.mount;
    for (let times = 0; times < 2; times += 1) {
      const device = openFuse();
      if (!device.ok) throw new Error(`/dev/fuse: ${device.errno}`);
      const options = `fd=${device.fd},rootmode=40000,user_id=0,group_id=0`;
      expect(mount({ source: "demo", target, type: "fuse", flags: 0, options })).toBe(0);
      closeFd(device.fd);
    }
    prepare(nodes);
    expect(mountedOn(readFileSync("/proc/self/mountinfo", "utf8"), target)).toBeUndefined();
    expect(existsSync(target)).toBe(true);
  });

  test("no mount and no directory are nothing to do", () => {
    unmount(join(directory, "absent/etc/pve"));
    mkdirSync(join(directory, "empty/etc/pve"), { recursive: true });
    unmount(join(directory, "empty/etc/pve"));
  });
});

test("the view says why a node ended, and how it is started again", async () => {
  const nodes = brokenNodes("broken");
  prepare(nodes);
  expect(screen(nodes)).toContain("starting");
  expect(screen(nodes)).not.toContain("kill -9");
  const [, , three] = nodes;
  three!.start();
  await until("it has ended", 20_000, async () => (three!.fate === "" ? undefined : true));
  const root = `..${three!.paths.root}`;
  expect(screen(nodes)).toContain(
    [
      "",
      "pve3 ended with code 8: error: the key is missing",
      `  dist/quorate node --root ${root} --name pve3 --api 127.0.0.13:8006 --no-mount >> ${root}/log 2>&1 &        (starts it again)`,
    ].join("\n"),
  );
});
