// For scheduling.test.ts: asks for the scheduling that its argument says, as the ring thread does, and prints what came of it for this
// thread, for the other threads of the process and for a child.
import { readdirSync, readFileSync } from "node:fs";
import { parseConf } from "../../src/conf.ts";
import { scheduleThisThread } from "../../src/node/thread/scheduling.ts";
import { readScheduling } from "../../src/node/settings/scheduling-settings.ts";

/** Policy (0 ordinary, 2 round robin), real-time priority and nice value of a thread (proc(5)). */
function scheduling(stat: string) {
  const words = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { policy: Number(words[38]), priority: Number(words[37]), nice: Number(words[16]) };
}

const conf = parseConf(process.argv[2] ?? "");
if (!conf.ok) throw new Error(conf.reason);
const remark = scheduleThisThread(readScheduling(conf.value));
const tasks = `/proc/${process.pid}/task`;
const others = readdirSync(tasks).filter((task) => task !== String(process.pid));
const child = Bun.spawnSync(["cat", "/proc/self/stat"]).stdout.toString();
console.log(
  JSON.stringify({
    remark: remark?.text,
    own: scheduling(readFileSync(`${tasks}/${process.pid}/stat`, "utf8")),
    othersRealTime: others.filter(
      (task) => scheduling(readFileSync(`${tasks}/${task}/stat`, "utf8")).policy !== 0,
    ).length,
    child: scheduling(child).policy,
  }),
);
