import { expect, test } from "bun:test";
import { Lately, latelyMax } from "./lately.ts";

const line = (text: string, level: "debug" | "info" | "notice" | "warning" = "notice") =>
  ({ kind: "log", subsystem: "QNETD", level, text }) as const;

test("the last first; what is less than a notice is not kept; long lines are cut", () => {
  const lately = new Lately();
  lately.add(line("one"), "own", 0);
  lately.add(line("two", "warning"), "strangers", 0);
  lately.add(line("three", "info"), "own", 0);
  lately.add(line("x".repeat(9999), "debug"), "own", 0);
  lately.add(line("x".repeat(9999)), "own", 1000);
  const { lines } = lately;
  expect(lines.map(({ text }) => text.slice(0, 3))).toEqual(["xxx", "two", "one"]);
  expect(lines[0]?.text).toHaveLength(500);
  expect(lines[2]).toEqual({ at: "1970-01-01T00:00:00.000Z", level: "notice", text: "one" });
});

test("strangers cannot push out what others did", () => {
  const lately = new Lately();
  for (let at = 0; at < 50; at += 1) lately.add(line(`own ${at}`), "own", at);
  for (let at = 0; at < 500; at += 1) lately.add(line(`stranger ${at}`), "strangers", at);
  const texts = lately.lines.map(({ text }) => text);
  expect(texts).toHaveLength(latelyMax.own + latelyMax.strangers);
  expect(texts[0]).toBe("stranger 499");
  expect(texts.filter((text) => text.startsWith("own"))[0]).toBe("own 49");
});
