import { expect, test } from "bun:test";
import { logger, logLine } from "./log.ts";

test("corosync's form, and journald's", () => {
  const line = {
    kind: "log",
    level: "notice",
    subsystem: "TOTEM",
    text: "A new membership ",
  } as const;
  expect(logLine(line, 0)).toBe("1970-01-01T00:00:00.000Z notice  [TOTEM ] A new membership");
  expect(logLine(line, undefined)).toBe("<5>[TOTEM ] A new membership");
});

test("levels above the limit are dropped, control characters never pass", () => {
  const written: string[] = [];
  const log = logger({
    level: "info",
    journal: true,
    write: (text) => written.push(text),
    now: () => 0,
  });
  log({ kind: "log", level: "debug", subsystem: "X", text: "no" });
  log({ kind: "log", level: "error", subsystem: "X", text: "a\u001b[31mb\nc" });
  expect(written).toEqual(["<3>[X     ] a?[31mb?c\n"]);
});
