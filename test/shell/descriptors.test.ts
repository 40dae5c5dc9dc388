// Descriptors exhausted (issue 8, A.10): neither the local API nor the vote server spins, and both let people in again afterwards.
import { afterEach, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect, type NetConnectOpts, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { init, LoopbackClient, preinit } from "../double/qnetd-client.ts";
import { Daemon } from "../double/qnetd-daemon.ts";

setDefaultTimeout(60_000);
const dir = mkdtempSync(join(tmpdir(), "quorate-descriptors-"));
const saying = /hardly a file descriptor left/;
/** A process that spins takes all of it. */
const watchedMs = 3000;
const patienceMs = 30_000;
let sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets) socket.destroy();
  rmSync(dir, { recursive: true, force: true });
});

/** Opens connections that say nothing, until told to stop or so many are tried. */
async function crowd(where: NetConnectOpts, count: number): Promise<void> {
  for (let at = 0; at < count; at += 1) {
    const { promise, resolve } = Promise.withResolvers<void>();
    // Their own side stays open, whatever the server does.
    const socket = connect({ ...where, allowHalfOpen: true }, resolve);
    socket.on("error", () => resolve());
    sockets.push(socket);
    await promise;
  }
}

function leave(): void {
  for (const socket of sockets) socket.destroy();
  sockets = [];
}

/** What part of a processor a process has used while we look. */
async function busyness(pid: number): Promise<number> {
  // User and system time, in hundredths of a second.
  const used = (): number => {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1").split(") ")[1]?.split(" ") ?? [];
    return Number(fields[11]) + Number(fields[12]);
  };
  const before = used();
  await Bun.sleep(watchedMs);
  return ((used() - before) * 10) / watchedMs;
}

async function eventually(isDone: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + patienceMs; ;) {
    if (await isDone()) return;
    if (performance.now() > end) throw new Error("waited in vain");
    await Bun.sleep(100);
  }
}

test("the local API", async () => {
  const path = join(dir, "api.sock");
  const program = join(import.meta.dir, "descriptors-program.ts");
  const child = Bun.spawn(["prlimit", "--nofile=96", process.execPath, program, path], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    timeout: 60_000,
  });
  let output = "";
  const decoder = new TextDecoder();
  const lines = child.stdout.getReader();
  const said = async (pattern: RegExp): Promise<void> => {
    while (!pattern.test(output)) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`not said: ${pattern}\n${output}`);
      output += decoder.decode(value, { stream: true });
    }
  };
  const asked = async (): Promise<boolean> => {
    const answer = await fetch("http://api/", { unix: path }).catch(() => undefined);
    return (await answer?.text()) === "here";
  };
  await said(/ready/);
  expect(await asked()).toBe(true);
  await crowd({ path }, 150);
  await said(saying);
  expect(await busyness(child.pid)).toBeLessThan(0.5);
  leave();
  await eventually(asked);
  await child.stdin.end();
  expect(await child.exited).toBe(0);
});

test("the vote server", async () => {
  const daemon = await Daemon.start({ root: dir, openFilesMax: 48 });
  const port = await daemon.port();
  const node = await LoopbackClient.open(port);
  node.send(preinit(), init(1));
  expect([await node.next(), await node.next()]).toMatchObject([{}, { errorCode: 0 }]);
  await crowd({ port, host: "127.0.0.1" }, 300);
  await daemon.logged(saying);
  expect(await busyness(daemon.pid)).toBeLessThan(0.5);
  node.send({ kind: "echoRequest", seq: 7 });
  expect(await node.next()).toMatchObject({ kind: "echoReply" });
  leave();
  await eventually(async () => {
    const late = await LoopbackClient.open(port).catch(() => undefined);
    if (late === undefined) return false;
    late.send(preinit());
    const answer = await late.next();
    late.destroy();
    return answer !== "closed" && answer.kind === "preinitReply";
  });
  node.destroy();
  expect(await daemon.stop()).toBe(0);
});
