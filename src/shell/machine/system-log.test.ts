// The machine's log: journalctl's words and what is made of its output, and log files, both bounded.
import { afterAll, describe, expect, test } from "bun:test";
import { appendFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JournalLog } from "./journal.ts";
import { FileLog } from "./log-file.ts";
import { type EntryRange, linesCountedMax, type LineRange } from "./log-range.ts";
import type { ProgramEnd, RunProgram } from "./programs.ts";
import { systemLog } from "./system-log.ts";
import { unitStates } from "./unit-states.ts";

const everything: LineRange = {
  ...{ start: 0, limit: 100, since: undefined, until: undefined, service: undefined },
};
const all: EntryRange = {
  ...{ since: undefined, until: undefined, after: undefined, before: undefined, last: undefined },
};

/** Prints in pieces that part its lines; remembers how it was called. */
function printing(text: string, end: Partial<ProgramEnd> = {}) {
  const calls: (readonly string[])[] = [];
  const run: RunProgram = async (command, { onOutput }) => {
    calls.push(command);
    const bytes = new TextEncoder().encode(text);
    for (let at = 0; at < bytes.length; at += 1000) {
      if (!onOutput(bytes.subarray(at, at + 1000))) return { kind: "enough", code: -1, words: "" };
    }
    return { kind: "exited", code: 0, words: "", ...end };
  };
  return { run, calls };
}

const entry = (at: number, message: unknown, more: object = {}) =>
  JSON.stringify({
    __CURSOR: `s=ab;i=${at.toString(16)}`,
    __REALTIME_TIMESTAMP: String(Date.UTC(2026, 10, 30, 12, 0, at) * 1000),
    _HOSTNAME: "pve1",
    SYSLOG_IDENTIFIER: "sshd",
    _PID: "7",
    MESSAGE: message,
    ...more,
  });
const clock = (at: number) => {
  const local = new Date(Date.UTC(2026, 10, 30, 12, 0, at));
  return local.toTimeString().slice(0, 8);
};

describe("the journal", () => {
  test("lines are numbered, counted to the end, and asked for as the caller says", async () => {
    const { run, calls } = printing(
      Array.from({ length: 500 }, (_, at) => `line ${at}\n`).join(""),
    );
    const range = { ...everything, start: 10, limit: 2, since: "2026-11-30", service: "sshd" };
    expect(await new JournalLog(run).lines(range)).toEqual({
      ...{
        total: 500,
        lines: [
          { n: 11, t: "line 10" },
          { n: 12, t: "line 11" },
        ],
      },
    });
    expect(calls[0]).toEqual([
      ...["journalctl", "--output=short", "--no-pager", "--quiet", "--unit=ssh"],
      "--since=2026-11-30",
    ]);
  });

  test("a journal without end is counted up to a bound", async () => {
    const { run } = printing("x\n".repeat(linesCountedMax + 5000));
    const { total } = await new JournalLog(run).lines(everything);
    expect(total).toBeGreaterThanOrEqual(linesCountedMax);
    expect(total).toBeLessThan(linesCountedMax + 1000);
  });

  test("entries are lines between two cursors; what is no text is shown as far as it can be", async () => {
    const text = [
      entry(1, "one"),
      entry(2, [102, 111, 111, 0xff]),
      entry(3, null, { SYSLOG_IDENTIFIER: undefined, _COMM: "kworker", _PID: undefined }),
      "{ cut",
    ].join("\n");
    const { run, calls } = printing(`${text}\n`);
    const found = await new JournalLog(run).entries({ ...all, last: 50, since: 5 });
    expect(found).toEqual({
      ...{ first: "s=ab;i=1", last: "s=ab;i=3" },
      lines: [
        `Nov 30 ${clock(1)} pve1 sshd[7]: one`,
        `Nov 30 ${clock(2)} pve1 sshd[7]: foo\uFFFD`,
        `Nov 30 ${clock(3)} pve1 kworker: (a message that is too long to be shown)`,
      ],
    });
    expect(calls[0]).toContain("--lines=50");
    expect(calls[0]).toContain("--since=@5");
  });

  test("forward from a cursor up to another, backward from a cursor without it", async () => {
    const forward = printing(`${[1, 2, 3].map((at) => entry(at, "x")).join("\n")}\n`);
    const between = { ...all, after: "s=ab;i=0", before: "s=ab;i=3" };
    const found = await new JournalLog(forward.run).entries(between);
    expect([found.first, found.last]).toEqual(["s=ab;i=1", "s=ab;i=2"]);
    expect(forward.calls[0]).toContain("--after-cursor=s=ab;i=0");
    const backward = printing(`${[3, 2, 1, 0].map((at) => entry(at, "x")).join("\n")}\n`);
    const before = { ...all, before: "s=ab;i=3", last: 2 };
    const older = await new JournalLog(backward.run).entries(before);
    expect([older.first, older.last]).toEqual(["s=ab;i=1", "s=ab;i=2"]);
    expect(backward.calls[0]).toContain("--reverse");
  });

  test("what goes wrong is said, with what to do", async () => {
    const failing = (end: Partial<ProgramEnd>) => new JournalLog(printing("", end).run);
    expect(failing({ code: 1, words: "No such cursor" }).entries(all)).rejects.toThrow(
      "the journal of this node cannot be read: No such cursor",
    );
    expect(failing({ kind: "late", code: -1 }).lines(everything)).rejects.toThrow(
      /not read within 20 s: ask for a shorter time \(since, until\)$/,
    );
    const { isCursor } = new JournalLog(printing("").run);
    expect(["s=0f;i=1", "s=0f", "--help", "s=x", ""].map((text) => isCursor(text))).toEqual([
      ...[true, true, false, false, false],
    ]);
  });
});

describe("a log file", () => {
  const root = mkdtempSync(join(tmpdir(), "quorate-log-"));
  afterAll(() => rmSync(root, { recursive: true }));
  const path = join(root, "var/log/syslog");
  mkdirSync(join(root, "var/log"), { recursive: true });
  const line = (minute: number, name = "sshd", text = "said") =>
    `2026-11-30T12:${String(minute).padStart(2, "0")}:00Z pve1 ${name}[7]: ${text}`;
  writeFileSync(path, `${[0, 1, 2, 3].map((minute) => line(minute)).join("\n")}\n`);
  const log = systemLog(root, printing("").run);

  test("lines by time, by service, and by number", async () => {
    expect(await log.lines({ ...everything, start: 1, limit: 2 })).toEqual({
      ...{
        total: 4,
        lines: [
          { n: 2, t: line(1) },
          { n: 3, t: line(2) },
        ],
      },
    });
    const at = (minute: number) => {
      const local = new Date(Date.UTC(2026, 10, 30, 12, minute));
      const two = (value: number) => String(value).padStart(2, "0");
      const day = [local.getFullYear(), two(local.getMonth() + 1), two(local.getDate())].join("-");
      return `${day} ${local.toTimeString().slice(0, 8)}`;
    };
    const some = await log.lines({ ...everything, since: at(1), until: at(2) });
    expect(some.lines.map(({ t }) => t)).toEqual([line(1), line(2)]);
    expect((await log.lines({ ...everything, service: "cron" })).total).toBe(0);
    expect((await log.lines({ ...everything, service: "sshd" })).total).toBe(4);
  });

  test("entries go on behind a cursor when the file grows, and before one", async () => {
    const newest = await log.entries({ ...all, last: 2 });
    expect(newest.lines).toEqual([line(2), line(3)]);
    expect(log.isCursor(newest.last)).toBe(true);
    appendFileSync(path, `${line(4)}\nhalf`);
    const grown = await log.entries({ ...all, after: newest.last });
    expect(grown.lines).toEqual([line(4), "half"]);
    const older = await log.entries({ ...all, before: newest.first });
    expect(older.lines).toEqual([line(0), line(1)]);
    expect(await log.entries({ ...all, after: grown.last })).toEqual({
      ...{ first: "", last: "", lines: [] },
    });
  });

  test("a cursor of a file that was rotated away counts from the start of the new one", async () => {
    const { last } = await log.entries(all);
    renameSync(path, `${path}.1`);
    writeFileSync(path, `${line(5)}\n`);
    expect((await log.entries({ ...all, after: last })).lines).toEqual([line(5)]);
  });

  test("of a large one only the end is read, from the start of a line", async () => {
    const large = join(root, "large");
    const length = 20_000;
    writeFileSync(large, `${"y".repeat(length - 1)}\n`.repeat(2000));
    const { lines, total } = await new FileLog(large).lines({ ...everything, limit: 1 });
    expect(lines[0]?.t).toHaveLength(length - 1);
    expect(total).toBe(Math.floor((32 * 1024 * 1024) / length));
  });

  test("without any log the operator is told where it was looked for", async () => {
    const none = systemLog(join(root, "nothing"), printing("").run);
    expect(none.lines(everything)).rejects.toThrow(/^this node knows no log of its machine/);
  });
});

describe("services", () => {
  test("one call for all, in the words of the original", async () => {
    const { run, calls } = printing(
      "Type=simple\nResult=success\nDescription=OpenSSH\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n\n" +
        "Type=oneshot\nResult=success\nDescription=Once\nLoadState=loaded\nActiveState=inactive\nSubState=dead\nUnitFileState=static\n\n" +
        "Description=x.service\nLoadState=not-found\nActiveState=inactive\nSubState=dead\n",
    );
    const states = await unitStates(run, ["sshd", "once", "x"]);
    expect(calls).toHaveLength(1);
    expect([...states]).toEqual([
      ["sshd", { description: "OpenSSH", state: "running", active: "active", unit: "enabled" }],
      ["once", { description: "Once", state: "success", active: "inactive", unit: "static" }],
      ["x", { description: "x.service", state: "dead", active: "inactive", unit: "not-found" }],
    ]);
    expect((await unitStates(printing("").run, ["a", "b"])).size).toBe(0);
  });
});
