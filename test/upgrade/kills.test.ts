// SIGKILL at every step of an upgrade, on real files: whatever was done, a whole program that starts has the installed name, and whoever
// runs the rescuer again brings it to its end (issue 4; engineering.md §14 U3, U6).
import { afterAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileHash, UpgradeMachine } from "../../src/shell/upgrade/machine.ts";
import { upgradePlaces } from "../../src/shell/upgrade/places.ts";
import { loneNode } from "./lone-node.ts";

const base = mkdtempSync(join(tmpdir(), "quorate-kills-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const oldProgram = "#!/bin/sh\necho quorate 1.0.0 '(old)'\n";
const goodProgram = "#!/bin/sh\necho quorate 1.0.1 '(new)'\n";
const crashingProgram = "#!/bin/sh\necho quorate 1.0.1 '(bad)'\nexit 3\n";
let machines = 0;

const facts = loneNode("1.0.0");

class Machine {
  readonly root: string;
  readonly bin: string;
  readonly files: UpgradeMachine;

  constructor(next: string) {
    machines += 1;
    this.root = join(base, `m${machines}`);
    mkdirSync(join(this.root, "bin"), { recursive: true });
    this.bin = join(this.root, "bin/quorate");
    this.files = new UpgradeMachine(upgradePlaces(this.root, this.bin));
    expect(this.files.prepareState()).toBeUndefined();
    writeFileSync(this.bin, oldProgram, { mode: 0o755 });
    writeFileSync(join(this.root, "running"), "1.0.0");
    writeFileSync(this.files.places.next, next);
    this.files.flushNext();
    this.files.keepPrevious();
    this.files.persist({
      format: 1,
      from: { version: "1.0.0", sha256: fileHash(this.bin)! },
      to: { version: "1.0.1", sha256: fileHash(this.files.places.next)! },
      phase: "staged",
      before: [facts],
      isRestarted: false,
      attempts: 0,
      reason: "",
      patience: { healthyMs: 20, silentMsMax: 5000, unhealthyMsMax: 5000 },
    });
  }

  /** What the rescuer said; undefined when it was killed. */
  async rescue(
    killAt: number,
  ): Promise<{ outcome?: string; kind: string; actions: number } | undefined> {
    const program = join(import.meta.dir, "killed-program.ts");
    const child = Bun.spawn([process.execPath, program, this.root, this.bin, String(killAt)], {
      stdout: "pipe",
      stderr: "inherit",
    });
    const text = await child.stdout.text();
    await child.exited;
    return child.signalCode === "SIGKILL" ? undefined : JSON.parse(text);
  }

  /** Of the installed program, when it is whole: it must be one of the two files. */
  version(): string {
    const done = Bun.spawnSync([this.bin, "--version"], { stdout: "pipe" });
    const content = readFileSync(this.bin, "utf8");
    expect([oldProgram, goodProgram, crashingProgram]).toContain(content);
    return done.stdout.toString().split(" ")[1] ?? "";
  }
}

describe.each([
  ["that works", goodProgram, "1.0.1", "kept"],
  ["that crashes at start", crashingProgram, "1.0.0", "rolledBack"],
])("a version %s", (_name, program, version, outcome) => {
  test("is killed nowhere", async () => {
    const machine = new Machine(program);
    expect(await machine.rescue(-1)).toMatchObject({ outcome });
    expect(machine.version()).toBe(version);
    expect(readFileSync(join(machine.root, "running"), "utf8")).toBe(version);
    expect(await machine.rescue(-1)).toEqual({ kind: "nothing", actions: 0 });
  });

  test("is killed before each action in turn", async () => {
    for (let killAt = 0; ; killAt += 1) {
      const machine = new Machine(program);
      const first = await machine.rescue(killAt);
      expect(["1.0.0", "1.0.1"]).toContain(machine.version());
      if (first !== undefined) {
        expect(killAt).toBeGreaterThan(10);
        break;
      }
      // Its predecessor may have been at the very end.
      const isOver = !existsSync(machine.files.places.record);
      const second = await machine.rescue(-1);
      expect([killAt, second?.outcome]).toEqual([killAt, isOver ? undefined : outcome]);
      expect(machine.version()).toBe(version);
      expect(readFileSync(join(machine.root, "running"), "utf8")).toBe(version);
      const litter = readdirSync(join(machine.root, "bin")).toSorted();
      expect(litter).toEqual(["quorate", "quorate.prev"]);
    }
  }, 120_000);
});

test("two rescuers at one time: one does it, the other leaves", async () => {
  const machine = new Machine(goodProgram);
  const ends = await Promise.all([machine.rescue(-1), machine.rescue(-1)]);
  const kinds = ends.map((end) => end?.kind).toSorted();
  // The second waits a little for the lock: it finds it held, or everything done.
  expect(kinds[0]).toBe("finished");
  expect(["nothing", "busy"]).toContain(kinds[1]!);
  expect(machine.version()).toBe("1.0.1");
});

test("a record that others could have written is not followed", async () => {
  const machine = new Machine(goodProgram);
  chmodSync(machine.files.places.record, 0o666);
  expect(await machine.rescue(-1)).toMatchObject({ kind: "unreadable" });
  chmodSync(machine.files.places.record, 0o600);
  chmodSync(machine.files.places.state, 0o777);
  expect(await machine.rescue(-1)).toMatchObject({ kind: "unreadable" });
  chmodSync(machine.files.places.state, 0o755);
  writeFileSync(machine.files.places.record, "{", { mode: 0o600 });
  expect(await machine.rescue(-1)).toMatchObject({ kind: "unreadable" });
  expect(machine.version()).toBe("1.0.0");
});
