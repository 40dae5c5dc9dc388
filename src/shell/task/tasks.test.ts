import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { watch } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, lockFile } from "../../libc.ts";
import { failure, success } from "../../result.ts";
import { TaskFiles } from "./task-files.ts";
import { startOfProcess, Tasks, type TaskWork } from "./tasks.ts";
import { formatUpid, logPathOf, parseUpid } from "./upid.ts";

let directory = "";
let clusterLog: string[] = [];
let warnings: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tasks-"));
  clusterLog = [];
  warnings = [];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A daemon's tasks; the next call is the daemon after a restart. */
function tasks(): Tasks {
  return new Tasks({
    files: new TaskFiles(directory),
    node: () => "pve1",
    logging: {
      cluster: ({ user, isFailure, message }) =>
        clusterLog.push(`${user} ${isFailure ? "err" : "info"} ${message}`),
      warn: (text) => warnings.push(text),
    },
  });
}

const spec = { type: "clusterjoin", id: "", user: "root@pam" };

function started(all: Tasks, work: TaskWork): string {
  const start = all.start(spec, work);
  if (!start.ok) throw new Error(start.reason);
  return start.value;
}

const ok = async () => success(undefined);

async function textOf(all: Tasks, upid: string): Promise<string[]> {
  const log = await all.readLog(upid, 0, 1000);
  return log?.lines.map(({ t }) => t) ?? [];
}

const lists = () => ({
  active: readFileSync(join(directory, "active"), "latin1"),
  index: readFileSync(join(directory, "index"), "latin1"),
});

test("a task from its start to its end: log, lists, cluster log", async () => {
  const all = tasks();
  const gate = Promise.withResolvers<undefined>();
  const upid = started(all, async (task) => {
    task.log("Login succeeded.\n");
    task.log("two\nlines \u001b[2J");
    await gate.promise;
    return success(undefined);
  });
  const parts = parseUpid(upid);
  expect(parts).toMatchObject({ node: "pve1", pid: process.pid, ...spec });
  expect(parts?.pstart).toBe(startOfProcess(process.pid) ?? 0);
  const end = all.ended(upid);
  await Promise.resolve();
  expect(all.find(upid)).not.toHaveProperty("status");
  expect(await textOf(all, upid)).toEqual(["Login succeeded.", "two", "lines ?[2J"]);
  expect(readFileSync(join(directory, "active"), "latin1")).toBe(`${upid} 0\n`);
  expect(all.list({ start: 0, limit: 9, source: "archive" }).total).toBe(0);
  gate.resolve(undefined);
  expect(await end).toBe("OK");
  expect((await textOf(all, upid)).at(-1)).toBe("TASK OK");
  expect(all.find(upid)).toMatchObject({ status: "OK" });
  expect(lists().index).toMatch(new RegExp(`^${RegExp.escape(upid)} [0-9A-F]{8} OK\\n$`));
  expect(lists().active).toMatch(new RegExp(`^${RegExp.escape(upid)} 1 [0-9A-F]{8} OK\\n$`));
  expect(all.list({ start: 0, limit: 9, source: "all" }).total).toBe(1);
  expect(clusterLog).toEqual([
    `root@pam info starting task ${upid}`,
    `root@pam info end task ${upid} OK`,
  ]);
  expect(warnings).toEqual([]);
});

test("failures, throws and warnings", async () => {
  const all = tasks();
  const failed = started(all, async () => failure("no quorum\non this node"));
  const thrown = started(all, () => Promise.reject(new Error("disk full")));
  const warned = started(all, async (task) => {
    task.warn("unable to resolve ring0_addr");
    return success(undefined);
  });
  expect(new Set([failed, thrown, warned]).size).toBe(3);
  const ends = [failed, thrown, warned].map((upid) => all.ended(upid));
  expect(await Promise.all(ends)).toEqual(["no quorum on this node", "disk full", "WARNINGS: 1"]);
  expect(await textOf(all, failed)).toEqual(["TASK ERROR: no quorum on this node"]);
  expect(await textOf(all, thrown)).toEqual(["TASK ERROR: disk full"]);
  expect(await textOf(all, warned)).toEqual([
    "WARN: unable to resolve ring0_addr",
    "TASK WARNINGS: 1",
  ]);
  expect(clusterLog.filter((line) => line.includes(" err "))).toHaveLength(2);
});

test("pages of a log, of one that is not there, of names that are none", async () => {
  const all = tasks();
  const upid = started(all, async (task) => {
    for (let at = 1; at <= 10; at += 1) task.log(`line ${at}`);
    return success(undefined);
  });
  await all.ended(upid);
  expect(await all.readLog(upid, 8, 2)).toEqual({
    lines: [
      { n: 9, t: "line 9" },
      { n: 10, t: "line 10" },
    ],
    total: 11,
  });
  expect(await all.readLog(upid, 0, 0)).toEqual({ lines: [], total: 11 });
  const other = upid.replace("clusterjoin", "clustercreate");
  for (const name of [other, "../../etc/passwd", ""]) {
    expect(await all.readLog(name, 0, 5)).toBeUndefined();
    expect(all.find(name)).toBeUndefined();
    expect(all.stop(name)).toBe(false);
  }
});

test("a stopped task is told, and says so", async () => {
  const all = tasks();
  const upid = started(all, async (task) => {
    await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
    task.signal.throwIfAborted();
    return success(undefined);
  });
  const end = all.ended(upid);
  await Promise.resolve();
  expect(all.stop(upid)).toBe(true);
  expect(await end).toBe("received interrupt");
});

test("a daemon dies in the middle of a line; the next goes on under the same name", async () => {
  const first = tasks();
  const upid = started(first, () => new Promise(() => undefined));
  const left = started(first, async () => "suspended");
  const parts = parseUpid(upid);
  if (parts === undefined) return expect.unreachable();
  appendFileSync(join(directory, logPathOf(upid, parts)), "half a li");

  const second = tasks();
  expect(second.find(upid)).not.toHaveProperty("status");
  expect(second.list({ start: 0, limit: 9, source: "active" }).total).toBe(2);
  const resumed = second.resume(upid, async (task) => {
    task.log(`done by ${task.upid === upid ? "the same task" : "another"}`);
    return success(undefined);
  });
  expect(resumed).toEqual({ ok: true, value: undefined });
  expect(second.resume(upid, ok).ok).toBe(false);
  const end = second.ended(left);
  second.settle();
  expect(await end).toBe("unexpected status");
  expect(await second.ended(upid)).toBe("OK");
  expect(await textOf(second, upid)).toEqual([
    "half a li",
    "the node's daemon was started again: going on",
    "done by the same task",
    "TASK OK",
  ]);
  expect(second.find(left)).toMatchObject({ status: "unexpected status" });
  expect(lists().index.split("\n")).toHaveLength(3);
  expect(lists().active).not.toContain(" 0\n");

  const third = tasks();
  third.settle();
  expect(lists().index.split("\n")).toHaveLength(3);
});

test("tasks of Proxmox's own daemons are shown, and left to them", async () => {
  const worker = spawn("sleep", ["60"]);
  try {
    const pid = worker.pid ?? 0;
    const pstart = startOfProcess(pid) ?? 0;
    const foreign =
      formatUpid({
        node: "pve1",
        pid,
        pstart,
        startTime: 7,
        type: "vzdump",
        id: "100",
        user: "a@pve",
      }) ?? "";
    writeFileSync(join(directory, "active"), `${foreign} 0\n`);
    const all = tasks();
    all.settle();
    const upid = started(all, ok);
    await all.ended(upid);
    expect(lists().active).toContain(`${foreign} 0\n`);
    expect(all.list({ start: 0, limit: 9, source: "active" }).entries.map((e) => e.upid)).toContain(
      foreign,
    );
    expect(all.resume(foreign, ok).ok).toBe(false);
  } finally {
    worker.kill();
  }
});

test("a list that somebody else is changing is written when that is over", async () => {
  const all = tasks();
  const held = lockFile(join(directory, ".active.lock"));
  if (!held.ok) return expect.unreachable();
  const upid = started(all, ok);
  await all.ended(upid);
  expect(new TaskFiles(directory).readActive()).toEqual([]);
  const changes = watch(directory);
  closeFd(held.fd);
  for await (const _ of changes) if (new TaskFiles(directory).readActive().length > 0) break;
  expect(lists().active).toStartWith(`${upid} 1 `);
});

test("many tasks: no more than 64 at once, old logs go with the index", async () => {
  const all = tasks();
  const gate = Promise.withResolvers<undefined>();
  const upids = Array.from({ length: 64 }, (_, at) => {
    const start = all.start({ ...spec, id: String(at) }, async () => {
      await gate.promise;
      return success(undefined);
    });
    return start.ok ? start.value : start.reason;
  });
  expect(all.start(spec, ok)).toMatchObject({ ok: false });
  const ends = upids.map((upid) => all.ended(upid));
  gate.resolve(undefined);
  await Promise.all(ends);
  const files = new TaskFiles(directory);
  const [first = ""] = upids;
  for (let at = 0; at < 1400; at += 1) {
    const parts = { node: "pve1", pid: 1, pstart: 1, startTime: at, ...spec };
    files.appendIndex({ upid: formatUpid(parts) ?? "", parts, endTime: at, status: "OK" });
  }
  expect(files.readIndex().length).toBeLessThan(1400);
  expect(all.find(first)).toBeUndefined();
});

test("a log is bounded, and its end is there all the same", async () => {
  const all = tasks();
  const upid = started(all, async (task) => {
    for (let at = 0; at < 400; at += 1) task.log("x".repeat(10_000));
    return success(undefined);
  });
  await all.ended(upid);
  const text = await textOf(all, upid);
  expect(text[0]).toHaveLength(4000);
  expect(text.slice(-2)).toEqual(["(the log is full: more is left out)", "TASK OK"]);
  expect(text.length).toBeLessThan(300);
});

test("a disk that refuses is a sentence, not a fall", async () => {
  rmSync(directory, { recursive: true });
  writeFileSync(directory, "a file in its place");
  const all = tasks();
  const start = all.start(spec, ok);
  expect(start).toMatchObject({ ok: false });
  expect(start.ok ? "" : start.reason).toStartWith("the task's log cannot be made");
});

test("a link in a log's place is never followed", async () => {
  const all = tasks();
  const upid = started(all, ok);
  await all.ended(upid);
  const parts = parseUpid(upid);
  if (parts === undefined) return expect.unreachable();
  const path = join(directory, logPathOf(upid, parts));
  expect(all.logFile(upid)).toBe(path);
  rmSync(path);
  symlinkSync(join(directory, "index"), path);
  expect(all.logFile(upid)).toBeUndefined();
});
