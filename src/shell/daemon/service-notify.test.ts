import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ServiceManager } from "./service-notify.ts";

/** A datagram socket that Bun itself cannot make; perl or python of the machine prints what arrives. */
function listener(address: string, messages: number) {
  const script = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
a = sys.argv[1]
s.bind("\\0" + a[1:] if a[0] == "@" else a)
s.settimeout(10)
print("bound", flush=True)
for i in range(int(sys.argv[2])): print(repr(s.recv(4096)), flush=True)
`;
  return Bun.spawn(["python3", "-c", script, address, String(messages)], { stdout: "pipe" });
}

async function received(address: string, send: (manager: ServiceManager) => void, count: number) {
  const child = listener(address, count);
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("bound\n")) text += new TextDecoder().decode((await reader.read()).value);
  const failures: string[] = [];
  const manager = new ServiceManager({
    environment: { NOTIFY_SOCKET: address },
    pid: 1,
    onFailure: (sentence) => failures.push(sentence),
  });
  send(manager);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    text += new TextDecoder().decode(value);
  }
  expect(failures).toEqual([]);
  return text.trim().split("\n").slice(1);
}

const hasPython = Bun.which("python3") !== null;

test.skipIf(!hasPython)("messages reach a socket by path and by abstract name", async () => {
  const directory = mkdtempSync(join(tmpdir(), "quorate-notify-"));
  const send = (manager: ServiceManager) => {
    manager.ready("ring of 3\nnodes");
    manager.watchdog();
    manager.stopping("bye");
  };
  const expected = [
    "b'READY=1\\nSTATUS=ring of 3 nodes'",
    "b'WATCHDOG=1'",
    "b'STOPPING=1\\nSTATUS=bye'",
  ];
  expect(await received(join(directory, "socket"), send, 3)).toEqual(expected);
  expect(await received(`@quorate-notify-${process.pid}`, send, 3)).toEqual(expected);
  rmSync(directory, { recursive: true });
});

test("an unreachable socket is reported once, no socket is silence", () => {
  const failures: string[] = [];
  const onFailure = (sentence: string) => void failures.push(sentence);
  const unreachable = new ServiceManager({
    environment: { NOTIFY_SOCKET: "/no/such/socket" },
    pid: 1,
    onFailure,
  });
  unreachable.ready("x");
  unreachable.watchdog();
  expect(failures.length).toBe(1);
  expect(failures[0]).toContain('"READY=1" (ENOENT)');
  const none = new ServiceManager({ environment: {}, pid: 1, onFailure });
  none.ready("x");
  expect(failures.length).toBe(1);
});

test("the watchdog interval is half of the manager's limit, and only for us", () => {
  const interval = (environment: Record<string, string>) =>
    new ServiceManager({ environment, pid: 42, onFailure: () => {} }).watchdogMs;
  expect(interval({ WATCHDOG_USEC: "30000000" })).toBe(15_000);
  expect(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "42" })).toBe(15_000);
  expect(interval({ WATCHDOG_USEC: "30000000", WATCHDOG_PID: "43" })).toBeUndefined();
  expect(interval({ WATCHDOG_USEC: "junk" })).toBeUndefined();
  expect(interval({})).toBeUndefined();
});
