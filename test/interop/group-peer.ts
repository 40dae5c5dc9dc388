// A member of the total order experiment on a quorate node: quorate's own ring thread without a tree, in the node's
// namespaces in place of its daemon. Same plan, same notes as cpg-client.ts:
// bun group-peer.ts ROOT NAME GROUP SEED MEMBERS COUNT DEADLINE_MS OUT
import { loadSettings } from "../../src/node/settings/load-settings.ts";
import { RingThreadClient } from "../../src/node/thread/client.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { takePart } from "./group-member.ts";
import { planFromWords } from "./order.ts";

async function main(): Promise<number> {
  const [root, name, ...words] = process.argv.slice(2);
  if (root === undefined || name === undefined) throw new Error("usage: ROOT NAME and the plan");
  const plan = planFromWords(words);
  const paths = nodePaths(root);
  const settings = await loadSettings(paths, name);
  if (!settings.ok) throw new Error(settings.reason);
  const cluster = new RingThreadClient({
    settings: settings.value,
    stateDir: paths.stateDir,
    deviceDir: paths.deviceDir,
    pid: process.pid,
    log: (line) => console.log(`${line.level} [${line.subsystem}] ${line.text}`),
  });
  const reason = await cluster.start(settings.value);
  if (reason !== "") throw new Error(reason);
  const summary = await takePart(cluster, plan);
  console.log(JSON.stringify(summary));
  await cluster.stop();
  return summary.ended === "complete" ? 0 : 1;
}

process.exit(await main());
