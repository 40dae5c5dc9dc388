import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { Progress, progressStyle, type ProgressStyle } from "./progress.ts";

interface Watched {
  readonly progress: Progress;
  readonly text: () => string;
  at(ms: number, bytes: number): void;
}

function watched(style: ProgressStyle, bytesTotal?: number, columns = 80): Watched {
  let nowMs = 0;
  let text = "";
  const progress = new Progress({
    what: "quorate.zst",
    bytesTotal,
    style,
    columns,
    write: (piece) => (text += piece),
    now: () => nowMs,
  });
  return {
    progress,
    text: () => text,
    at: (ms, bytes) => {
      nowMs = ms;
      progress.update(bytes);
    },
  };
}

describe("progress of a download", () => {
  test("on a terminal one line is written over in place", () => {
    const { progress, at, text } = watched("line", 40_000_000);
    at(0, 0);
    at(1000, 10_000_000);
    at(2000, 20_000_000);
    progress.end("done");
    const drawn = text().split("\r").slice(1);
    expect(drawn.map((line) => line.trimEnd())).toEqual([
      "quorate.zst    0 %  0.0 of 40.0 MB",
      "quorate.zst   25 %  10.0 of 40.0 MB  10.0 MB/s, 3.0 s left",
      "quorate.zst   50 %  20.0 of 40.0 MB  10.0 MB/s, 2.0 s left",
      "quorate.zst  20.0 MB in 2.0 s",
    ]);
    expect(drawn[3]!.length).toBeGreaterThanOrEqual(drawn[2]!.length); // Nothing of it stays.
    expect(text().split("\n")).toHaveLength(2);
  });

  test("the rate is that of the last seconds", () => {
    const { at, text } = watched("line", 1_000_000_000);
    at(0, 0);
    for (let second = 1; second <= 20; second += 1) at(second * 1000, second * 10_000_000);
    for (let second = 21; second <= 40; second += 1) {
      at(second * 1000, 200_000_000 + (second - 20) * 1_000_000);
    }
    expect(text().split("\r").at(-1)).toContain("1.0 MB/s, 13 min 0 s left");
  });

  test("it draws ten times a second at most", () => {
    const { at, text } = watched("line", 1000);
    for (let ms = 0; ms < 1000; ms += 1) at(ms, ms);
    expect(text().split("\r").length - 1).toBe(10);
  });

  test("an unknown size has no percent", () => {
    const { at, text } = watched("line");
    at(0, 0);
    at(1000, 2_000_000);
    expect(text().split("\r").at(-1)?.trimEnd()).toBe("quorate.zst  2.0 MB  2.0 MB/s");
  });

  test("a dumb terminal gets a whole line each quarter, a pipe nothing", () => {
    const dumb = watched("plain", 100_000_000);
    for (let percent = 0; percent <= 100; percent += 1) dumb.at(percent * 200, percent * 1_000_000);
    dumb.progress.end("done");
    expect(
      dumb
        .text()
        .trimEnd()
        .split("\n")
        .map((line) => line.slice(0, 18)),
    ).toEqual([
      "quorate.zst    0 %",
      "quorate.zst   25 %",
      "quorate.zst   50 %",
      "quorate.zst   75 %",
      "quorate.zst  100 %",
      "quorate.zst  100.0",
    ]);
    expect(dumb.text()).not.toContain("\r");
    const pipe = watched("silent", 100);
    pipe.at(0, 0);
    pipe.at(500, 100);
    pipe.progress.end("failed");
    expect(pipe.text()).toBe("");
  });

  test("broken off says how much there was, and nothing comes after the end", () => {
    const { progress, at, text } = watched("line", 40_000_000);
    at(0, 0);
    at(1000, 10_000_000);
    progress.end("failed");
    const before = text();
    at(5000, 20_000_000);
    progress.end("done");
    expect(text()).toBe(before);
    expect(before.split("\r").at(-1)?.trimEnd()).toBe("quorate.zst  broken off after 10.0 MB");
  });

  test("no escape sequence, and never wider than the terminal", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 200 }),
        fc.option(fc.integer({ min: 0, max: 2 ** 40 }), { nil: undefined }),
        fc.array(fc.tuple(fc.nat(5000), fc.nat(2 ** 31)), { maxLength: 20 }),
        (columns, total, steps) => {
          const { progress, at, text } = watched("line", total, columns);
          let ms = 0;
          for (const [later, bytes] of steps) at((ms += later), bytes);
          progress.end("done");
          expect(text()).not.toContain("\u001b");
          for (const line of text().split(/[\r\n]/)) {
            expect(line.length).toBeLessThan(Math.max(20, columns));
          }
        },
      ),
    );
  });

  test("the style is that of the stream", () => {
    expect(progressStyle({ isTTY: true }, "xterm")).toBe("line");
    expect(progressStyle({ isTTY: true }, "dumb")).toBe("plain");
    expect(progressStyle({ isTTY: true }, undefined)).toBe("plain");
    expect(progressStyle({}, "xterm")).toBe("silent");
    expect(progressStyle({ isTTY: false }, "xterm")).toBe("silent");
  });
});
