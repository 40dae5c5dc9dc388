// The service managers as an upgrade speaks to them: programs of their names that write down what they were asked and answer as the real ones.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { UpgradeMachine } from "../../src/shell/upgrade/machine.ts";
import { followUpgrade } from "../../src/shell/upgrade/follow.ts";
import { upgradePlaces } from "../../src/shell/upgrade/places.ts";
import { detectManager, servicesOf } from "../../src/shell/unit/services.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-services-"));
const tools = join(directory, "tools");
const asked = join(directory, "asked");
const places = upgradePlaces(directory, join(directory, "bin/quorate"));
const before = process.env["PATH"] ?? "";

beforeAll(() => {
  mkdirSync(tools, { recursive: true });
  process.env["PATH"] = `${tools}:${before}`;
});
afterAll(() => {
  process.env["PATH"] = before;
  rmSync(directory, { recursive: true, force: true });
});
beforeEach(() => writeFileSync(asked, ""));

function tool(path: string, body: string): void {
  writeFileSync(path, `#!/bin/sh\necho "$(basename "$0") $*" >> ${asked}\n${body}\n`, {
    mode: 0o755,
  });
}

const questions = () => readFileSync(asked, "utf8").trimEnd().split("\n");

describe("systemd", () => {
  test("a restart clears what failed before and waits for nothing", async () => {
    tool(join(tools, "systemctl"), "exit 0");
    expect(await servicesOf("systemd", places).restart("node")).toBeUndefined();
    expect(questions()).toEqual([
      "systemctl reset-failed quorate-node.service",
      "systemctl restart --no-block quorate-node.service",
    ]);
  });

  test("the user's own", async () => {
    tool(join(tools, "systemctl"), "exit 0");
    expect(await servicesOf("systemd-user", places).startRescuer("qnetd")).toBe(true);
    expect(questions().at(-1)).toBe(
      "systemctl --user start --no-block quorate-rescue@qnetd.service",
    );
  });

  test("a unit that is not there", async () => {
    tool(join(tools, "systemctl"), "echo 'Unit not found.' >&2; exit 5");
    const services = servicesOf("systemd", places);
    expect(await services.restart("qnetd")).toBe(
      "systemctl could not restart quorate-qnetd.service: Unit not found.",
    );
    expect(await services.startRescuer("qnetd")).toBe(false);
    expect(await services.state("qnetd")).toBe("unknown");
  });

  test.each([
    ["active", "running"],
    ["activating", "starting"],
    ["deactivating", "starting"],
    ["failed", "failed"],
    ["inactive", "stopped"],
    ["", "unknown"],
  ] as const)("%s is %s", async (said, state) => {
    tool(join(tools, "systemctl"), `echo ActiveState=${said}; echo NRestarts=0`);
    expect(await servicesOf("systemd", places).state("node")).toBe(state);
  });

  test.each([
    [2, "starting"],
    [3, "failed"],
  ] as const)("activating after %d starts that failed is %s", async (restarts, state) => {
    tool(join(tools, "systemctl"), `echo ActiveState=activating; echo NRestarts=${restarts}`);
    expect(await servicesOf("systemd", places).state("node")).toBe(state);
  });
});

describe("scripts", () => {
  test.each([
    [0, "running"],
    [3, "stopped"],
    [1, "failed"],
    [32, "failed"],
    [8, "starting"],
    [77, "unknown"],
  ] as const)("OpenRC's status %d is %s", async (code, state) => {
    tool(join(tools, "rc-service"), `exit ${code}`);
    expect(await servicesOf("openrc", places).state("qnetd")).toBe(state);
    expect(questions()).toEqual(["rc-service quorate-qnetd status"]);
  });

  test("a script is found where a NAS has it, and its failure is told", async () => {
    expect(detectManager(places, ["qnetd"])).not.toBe("rc");
    expect(await servicesOf("rc", places).restart("qnetd")).toBe(
      "there is no service manager to restart quorate-qnetd",
    );
    const folder = join(directory, "usr/local/etc/rc.d");
    mkdirSync(folder, { recursive: true });
    const script = join(folder, "quorate-qnetd.sh");
    tool(script, "echo 'no space' >&2; exit 1");
    expect(detectManager(places, ["qnetd"])).toBe("rc");
    expect(detectManager(places, ["node"])).not.toBe("rc");
    expect(await servicesOf("rc", places).restart("qnetd")).toBe(
      `${script} restart failed: no space`,
    );
  });

  test("none: nobody to ask", async () => {
    const services = servicesOf("none", places);
    expect(await services.state("node")).toBe("unknown");
    expect(await services.restart("node")).toContain("no service manager");
    expect(await services.startRescuer("node")).toBe(false);
  });
});

test("a rescuer that dies again and again is started three times, and then it is said", async () => {
  mkdirSync(join(directory, "bin"), { recursive: true });
  mkdirSync(places.state, { recursive: true });
  writeFileSync(places.record, "{}");
  tool(places.previous, "exit 1");
  const machine = {
    places,
    events: () => [],
    record: () => ({ ok: true, value: undefined }),
  } as unknown as UpgradeMachine;
  const said: string[] = [];
  const note = (text: string) => void said.push(text);
  const ended = followUpgrade({
    ...{ machine, manager: "none", before: 0, isWaiting: true, note, write: note },
    goneAfterMs: 300,
  });
  expect(ended).rejects.toThrow(`run "${places.previous} rescue" by hand`);
  await ended.catch(() => undefined);
  expect(questions().filter((line) => line.startsWith("quorate.prev rescue --bin"))).toHaveLength(
    3,
  );
});
