// The rescuer on real files, in a process of its own that ends itself with SIGKILL before its n-th action (test/upgrade/kills.test.ts). The
// service is a file that says which program "runs"; a restart runs the installed program once, as a service manager would.
//   bun killed-program.ts ROOT BIN KILL_AT     (KILL_AT -1: never)
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { drive } from "../../src/shell/upgrade/driver.ts";
import type { NodeFacts } from "../../src/shell/upgrade/events.ts";
import { UpgradeMachine } from "../../src/shell/upgrade/machine.ts";
import { upgradePlaces } from "../../src/shell/upgrade/places.ts";
import { loneNode } from "./lone-node.ts";

const [root = "", bin = "", killAt = ""] = process.argv.slice(2);
const machine = new UpgradeMachine(upgradePlaces(root, bin));
const running = join(root, "running");
const journal = join(root, "actions");

/** What the installed program says when it is started: its version, or nothing when it does not start. */
async function start(): Promise<undefined> {
  const done = Bun.spawnSync([bin, "--version"], { stdout: "pipe", stderr: "pipe" });
  const version = /^quorate (\S+)/.exec(done.stdout.toString())?.[1];
  writeFileSync(running, done.exitCode === 0 ? (version ?? "") : "");
}

function facts(): NodeFacts | undefined {
  const version = existsSync(running) ? readFileSync(running, "utf8") : "";
  if (version === "") return undefined;
  return loneNode(version);
}

let actions = 0;
const end = await drive({
  machine,
  services: {
    kind: "none",
    restart: start,
    state: async () => (facts() === undefined ? "failed" : "running"),
    startRescuer: async () => false,
  },
  facts: async () => facts(),
  tell: () => undefined,
  before: (action) => {
    if (actions === Number(killAt)) process.kill(process.pid, "SIGKILL");
    actions += 1;
    appendFileSync(journal, `${action.kind}\n`);
  },
});
process.stdout.write(`${JSON.stringify({ ...end, actions })}\n`);
