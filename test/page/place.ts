// Three standalone nodes on the loopback, each with its page and a root whose password is known; nothing of them is left.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "../node/lone-node.ts";

export const password = "secret";
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
/** That other nodes call without being told, each at an address of its own. */
const port = 8006;
export const patientMs = 240_000;

export function addressOf(node: LoneNode): string {
  return `https://${node.address}:${port}`;
}

export async function threeNodes(): Promise<readonly [LoneNode, LoneNode, LoneNode]> {
  const nodes = [new LoneNode("pve1"), new LoneNode("pve2"), new LoneNode("pve3")] as const;
  for (const node of nodes) {
    mkdirSync(dirname(node.paths.shadow), { recursive: true });
    writeFileSync(node.paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
    node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  }
  for (const node of nodes) await served(node);
  return nodes;
}

/** The node answers, and its certificate is the one that stays. */
async function served(node: LoneNode): Promise<void> {
  await until(
    async () => {
      const read = await node.client.read("pve-root-ca.pem").catch(() => undefined);
      const isOpen = node.log().includes("this node has a new certificate in the tree");
      return read !== undefined && isOpen ? ready(true) : pending(node.log().slice(-400));
    },
    patientMs,
    `${node.name}'s certificate`,
  );
}
