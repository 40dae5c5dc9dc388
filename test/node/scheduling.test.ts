// The ring thread's share of the processor, asked of the real kernel: needs root for what only root may, as a node does.
import { expect, test } from "bun:test";
import { parseConf } from "../../src/conf.ts";
import { readScheduling } from "../../src/node/settings/scheduling-settings.ts";

const program = `${import.meta.dir}/scheduling-program.ts`;
const isRoot = process.getuid?.() === 0;

/** As `as` in the words of setpriv; nothing: as we are. */
function run(conf: string, ...as: string[]) {
  const words = [...as, process.execPath, program, conf];
  const { stdout, stderr, exitCode } = Bun.spawnSync(words);
  if (exitCode !== 0) throw new Error(stderr.toString());
  return JSON.parse(stdout.toString());
}

test.skipIf(!isRoot)("round robin for the thread that asks, for no other and no child", () => {
  // The nice value is whoever's who runs the tests: it does not count here.
  const { remark, own, othersRealTime, child } = run("");
  expect({ remark, policy: own.policy, priority: own.priority }).toEqual({
    remark: undefined,
    policy: 2,
    priority: 99,
  });
  expect({ othersRealTime, child }).toEqual({ othersRealTime: 0, child: 0 });
});

test.skipIf(!isRoot)("sched_rr: no leaves the nice value of system.priority", () => {
  expect(run("system {\nsched_rr: no\npriority: -7\n}\n").own).toMatchObject({
    policy: 0,
    nice: -7,
  });
});

test.skipIf(!isRoot)("who may not is told so, and goes on as an ordinary thread", () => {
  const result = run("", "setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice", "--");
  expect(result.remark).toStartWith("the ring thread has no real-time scheduling (EPERM): ");
  expect(result.own.policy).toBe(0);
});

test("system{} as corosync reads it", () => {
  const read = (...lines: string[]) => {
    const conf = parseConf(["system {", ...lines, "}", ""].join("\n"));
    if (!conf.ok) throw new Error(conf.reason);
    return readScheduling(conf.value);
  };
  expect(read()).toEqual({ isRoundRobin: true, nice: 0 });
  expect(read("sched_rr: yes", "priority: max")).toEqual({ isRoundRobin: true, nice: -20 });
  expect(read("sched_rr: no", "priority: min")).toEqual({ isRoundRobin: false, nice: 19 });
  expect(read("sched_rr: no", "priority: 500")).toEqual({ isRoundRobin: false, nice: 19 });
  expect(read("sched_rr: no", "priority: x")).toEqual({ isRoundRobin: false, nice: 0 });
});
