// What --dry-run shows of a quorum device's set-up or removal: the steps, and each file that would change. Nobody is asked but the local node, for
// what there is, and no invitation is used up.
import type { NodeClient } from "../api/client.ts";
import { withDevice } from "../conf/device.ts";
import { type DryRun, dryRun } from "../operation/dry-run.ts";
import {
  deviceRemovalPlan,
  type DevicePorts,
  type DeviceSetupFacts,
  deviceSetupPlan,
} from "./device-plan.ts";
import { orFail } from "./device-setup.ts";
import { storedFiles } from "./device-tree.ts";

/** Throws with why corosync.conf (`text`) cannot have this device. */
export async function setupPreview(
  client: Pick<NodeClient, "read">,
  facts: DeviceSetupFacts,
  text: string,
): Promise<DryRun> {
  const { identity, authority } = await storedFiles(client);
  return dryRun<DeviceSetupFacts, DevicePorts>(deviceSetupPlan, {
    ...facts,
    before: {
      text,
      identity: identity?.toBase64() ?? null,
      authority: authority?.toBase64() ?? null,
    },
    after: orFail(withDevice(text, { ...facts.device, votes: facts.device.votes })),
  });
}

export async function removalPreview(
  client: Pick<NodeClient, "read">,
  text: string,
): Promise<DryRun> {
  const { authority } = await storedFiles(client);
  return dryRun(deviceRemovalPlan, {
    seen: { text, authority: authority?.toBase64() ?? null },
  });
}
