// `quorate upgrade` in a process of its own that ends itself with SIGKILL when it is about to do one step on the machine's files.
//   bun killed-staging.ts ROOT RELEASE KEY STEP     (STEP: a method of UpgradeMachine)
import { upgradeCommand } from "../../src/shell/command/upgrade.ts";
import { UpgradeMachine } from "../../src/shell/upgrade/machine.ts";
import { UpgradeMachineFixture } from "./upgrade-fixture.ts";

const [root = "", from = "", key = "", step = ""] = process.argv.slice(2);

Object.defineProperty(UpgradeMachine.prototype, step, {
  value: () => process.kill(process.pid, "SIGKILL"),
});

const machine = new UpgradeMachineFixture(root, "1.0.0");
process.exitCode = await upgradeCommand(machine.options({ from, releaseKeys: [key] }));
