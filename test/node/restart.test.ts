// A node that begins anew in place: the same process, everything given back before, the service manager told.
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import type { Subprocess } from "bun";
import { startOfProcess } from "../../src/shell/task/tasks.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { LoneNode } from "./lone-node.ts";

const nodes: LoneNode[] = [];

function lone(name: string): LoneNode {
  const node = new LoneNode(name);
  nodes.push(node);
  return node;
}

const managers: Subprocess[] = [];

afterEach(async () => {
  for (const child of managers.splice(0)) child.kill();
  for (const node of nodes.splice(0)) await node.close();
});

/** What a process has open, by kind: a restart must leave nothing of what was before. */
function openFiles(pid: number): string[] {
  return readdirSync(`/proc/${pid}/fd`)
    .flatMap((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`).replace(/\[\d+\]|\d{5,}/g, "");
      } catch {
        return []; // The directory's own.
      }
    })
    .filter((name) => /^\/|^socket:/.test(name) && !name.startsWith("/proc/"))
    .toSorted();
}

async function settled(node: LoneNode, before: NodeStatus | undefined): Promise<NodeStatus> {
  return node.statusWhen(
    // Not by its start: two may be in one second.
    ({ tree, ring }) => tree.writable && ring.id !== before?.ring.id && tree.mode !== "starting",
    "started",
  );
}

/** Bound as a service manager's socket; prints what comes, a message a line. */
function manager(path: string) {
  const script = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True: print(s.recv(4096).decode().replace("\\n", "|"), flush=True)
`;
  const child = Bun.spawn(["python3", "-c", script, path], {
    stdout: "pipe",
    stderr: "ignore",
    timeout: 120_000,
  });
  managers.push(child);
  return child;
}

test("a member restarts in place: same process, nothing left open, its manager told, its tree kept", async () => {
  const node = lone("anew1");
  mkdirSync(dirname(node.paths.conf), { recursive: true });
  writeFileSync(node.paths.authkey, crypto.getRandomValues(new Uint8Array(256)), { mode: 0o400 });
  writeFileSync(
    node.paths.conf,
    `totem {\nversion: 2\ncluster_name: t\nconfig_version: 1\nsecauth: on\n}\nquorum {\nprovider: corosync_votequorum\n}\nnodelist {\nnode {\nname: anew1\nnodeid: 1\nring0_addr: ${node.address}\n}\n}\n`,
  );
  const socket = `${node.root}/notify`;
  const service = manager(socket);
  const reader = service.stdout.getReader();
  const decoder = new TextDecoder();
  let told = "";
  while (!told.includes("bound\n")) told += decoder.decode((await reader.read()).value);
  const hearing = (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      told += decoder.decode(value);
    }
  })();
  node.start(undefined, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "30000000" });
  const first = await settled(node, undefined);
  await node.client.put("kept", new TextEncoder().encode("kept\n"));
  const filesBefore = openFiles(node.pid);
  const ticks = startOfProcess(node.pid);
  for (let round = 0, last = first; round < 2; round += 1) {
    await node.client.restart();
    const again = await settled(node, last);
    expect(again.node.pid).toBe(node.pid);
    expect(startOfProcess(node.pid)).toBe(ticks ?? -1);
    expect(openFiles(node.pid)).toEqual(filesBefore);
    last = again;
  }
  expect(new TextDecoder().decode(await node.client.read("kept"))).toBe("kept\n");
  expect(await node.stop()).toBe(0);
  service.kill();
  await hearing;
  const kinds = told
    .trim()
    .split("\n")
    .slice(1)
    .filter((line) => !/^STATUS=|^WATCHDOG=1$/.test(line))
    .map((line) => line.replace(/STATUS=[^|]*\|?/, ""));
  const reloading = "RELOADING=1|WATCHDOG_USEC=120000000|WATCHDOG=1";
  const ready = "READY=1|WATCHDOG_USEC=30000000";
  expect(kinds).toEqual([ready, reloading, ready, reloading, ready, "STOPPING=1|"]);
}, 180_000);

test("a node that is ended while it restarts ends", async () => {
  const node = lone("anew3");
  node.start();
  await settled(node, undefined);
  const restarting = node.client.restart();
  // Only the log tells that it is in the middle.
  while (!node.log().includes("restarting in place")) await Bun.sleep(1);
  node.signal("SIGTERM");
  await restarting;
  // In the first moments of the next process a signal ends it by itself.
  expect([0, 128 + 15]).toContain(await node.ended());
}, 120_000);

test("a restart into what cannot start ends the process with the reason, as a start would", async () => {
  const node = lone("anew2");
  node.start();
  await settled(node, undefined);
  mkdirSync(dirname(node.paths.conf), { recursive: true });
  writeFileSync(node.paths.conf, "totem {");
  await node.client.restart();
  expect(await node.ended()).toBe(8);
  expect(readFileSync(`${node.root}/log`, "utf8")).toContain(
    "corosync.conf:1: Missing closing brace",
  );
}, 120_000);
