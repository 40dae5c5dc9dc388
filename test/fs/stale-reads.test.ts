// No stale read after an acknowledged write: once a change has returned at one mount, the other shows it, however busy the process is that
// has to carry it out there, and whatever the kernel kept.
import { afterEach, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MountedPair } from "./mounted-pair.ts";

const canMount = process.getuid?.() === 0 && existsSync("/dev/fuse") && Bun.which("python3");
const mountTest = test.skipIf(!canMount && process.env["QUORATE_CI"] !== "1");

let pair: MountedPair | undefined;
afterEach(async () => {
  await pair?.close();
  pair = undefined;
});

/** What a look at node b finds, whose tree gets nothing of the change until the look waits for it, or has an answer without. */
async function lookWhileBusy(
  at: MountedPair,
  change: string,
  look: () => Promise<string>,
): Promise<string> {
  at.b.port.isMute = true;
  await at.run(change);
  const state = { isOver: false };
  const looked = look().finally(() => {
    state.isOver = true;
  });
  while (!state.isOver && !at.b.mount.snapshot().isBehind) await Bun.sleep(1);
  at.b.port.isMute = false;
  at.bus.schedule();
  return looked;
}

mountTest("what was acknowledged is shown by a node that has not carried it out yet", async () => {
  const at = (pair = await MountedPair.open());
  await at.run("echo old > $A/f; echo keep > $A/g; mkdir $A/d; ls -l $B > /dev/null");
  const warm = "cat $B/f $B/g > /dev/null; stat $B/f $B/g $B/d > /dev/null; ls $B > /dev/null";
  const busy = async (change: string, script: string): Promise<string> => {
    // Until the kernel keeps them.
    await at.run(`${warm}; sleep 0.3; ${warm}`);
    return lookWhileBusy(at, change, () => at.run(script));
  };
  const replace = "echo renewed > $A/t; mv $A/t $A/f";
  expect(await busy(replace, "cat $B/f")).toBe("renewed\n");
  // The same size at the same second.
  expect(await busy("echo RENEWED > $A/t; mv $A/t $A/f", "cat $B/f")).toBe("RENEWED\n");
  expect(await busy("echo longer than before > $A/f", "stat -c %s $B/f")).toBe("19\n");
  expect(await busy("rm $A/g; echo x > $A/g2", "test -e $B/g || cat $B/g2")).toBe("x\n");
  await at.run("echo keep > $A/g; rm $A/g2");
  expect(await busy("mv $A/g $A/h", "ls $B/h $B/g 2> /dev/null || true")).toBe(
    `${at.b.target}/h\n`,
  );
  await at.run("mv $A/h $A/g");
  const made = "test -d $B/d/e && ls $B/d";
  expect(await busy("mkdir $A/d/e", made)).toBe("e\n");
  await at.run("rmdir $A/d/e");
  expect(await busy("rmdir $A/d; echo a file now > $A/d", "cat $B/d")).toBe("a file now\n");
  await at.run("rm $A/d; mkdir $A/d");
});

mountTest(
  "who has a file open reads what is acknowledged, and goes on when it is removed",
  async () => {
    const at = (pair = await MountedPair.open());
    await at.run("echo one > $A/f");
    writeFileSync(join(at.base, "look.py"), openLooker);
    const told = Bun.spawn(["python3", join(at.base, "look.py"), join(at.b.target, "f")], {
      ...{ stdin: "pipe", stdout: "pipe", stderr: "inherit" },
    });
    const lines = told.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const look = async (): Promise<string> => {
      await told.stdin.write("\n");
      await told.stdin.flush();
      return (await lines.read()).value ?? "";
    };
    const busy = (change: string): Promise<string> => lookWhileBusy(at, change, look);
    expect(await look()).toBe("one\n");
    expect(await look()).toBe("one\n");
    expect(await busy("echo two > $A/f")).toBe("two\n");
    expect(await busy("echo three > $A/t; mv $A/t $A/f")).toBe("three\n");
    expect(await busy("rm $A/f")).toBe("three\n");
    await told.stdin.end();
    expect(await told.exited).toBe(0);
  },
);

const openLooker = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for line in sys.stdin:
    text = os.pread(fd, 100, 0)
    print(text.decode(), end="", flush=True)
`;

mountTest(
  "nothing that is withdrawn waits for a change of the same directory that waits for the cluster",
  async () => {
    const at = (pair = await MountedPair.open(true, "full"));
    await at.run("mkdir $A/d; echo 0 > $A/d/f; echo x > $A/d/g");
    const look = "cat $B/d/f; stat $B/d $B/d/f > /dev/null";
    await at.run(`${look}; sleep 0.3; ${look}`);
    at.b.port.isUnconfirmed = true;
    // The kernel of node b has the directory locked until this is answered.
    const state = { isMoved: false };
    const moved = at.run("mv $B/d/g $B/d/h").then(() => (state.isMoved = true));
    while (at.b.mount.snapshot().waiting === 0 && !state.isMoved) await Bun.sleep(1);
    for (let n = 1; n <= 5; n += 1) {
      const change = `echo ${n} > $A/t; mv $A/t $A/d/f; mkdir $A/d/e; rmdir $A/d/e`;
      expect(await at.run(`${change}; ${look}; sleep 0.3; ${look}`)).toBe(`${n}\n${n}\n`);
    }
    expect(state.isMoved).toBe(false);
    at.b.port.isUnconfirmed = false;
    await at.run("mkdir $A/e");
    await moved;
    expect(await at.run("ls $B/d")).toBe("f\nh\n");
  },
);

/** Steps of the writer; and of both readers, the looks and what was stale. */
async function hunt(at: MountedPair, seconds: number) {
  writeFileSync(join(at.base, "board"), new Uint8Array(4096));
  // Node b is late by a random time, again and again.
  const state = { isOver: false };
  const lateness = (async () => {
    while (!state.isOver) {
      at.b.port.isMute = true;
      await Bun.sleep(Math.random() * 20);
      at.b.port.isMute = false;
      at.bus.schedule();
      await Bun.sleep(Math.random() * 10);
    }
  })();
  const python = (what: string, mount: string) =>
    at.run(`python3 $HERE/stale-hunt.py ${what} ${mount} $BASE/board ${seconds}`);
  const [steps, ...readers] = await Promise.all([
    python("write", "$A"),
    python("read", "$B"),
    python("read", "$B"),
  ]);
  state.isOver = true;
  await lateness;
  const counts = readers.map((text) => text.split(/\s/, 2).map(Number));
  const sum = (place: number) => counts.reduce((total, each) => total + (each[place] ?? NaN), 0);
  return { steps: Number(steps), looks: sum(0), stale: sum(1), told: readers.join("") };
}

mountTest(
  "a hunt for stale reads finds none, and finds some where nothing is withdrawn",
  async () => {
    pair = await MountedPair.open();
    const { steps, looks, stale, told } = await hunt(pair, 4);
    expect({ stale, told: stale === 0 ? "" : told }).toEqual({ stale: 0, told: "" });
    expect(steps).toBeGreaterThan(20);
    expect(looks).toBeGreaterThan(20);
    await pair.close();
    pair = await MountedPair.open(false);
    expect((await hunt(pair, 4)).stale).toBeGreaterThan(0);
  },
  60_000,
);
