// Who may read `/metrics` without a login: addresses that the cluster's file quorate.cfg in the tree names, "metrics-from: 10.0.0.5, 10.1.0.0/24". Pure.
import { isWithin } from "../join/preflight.ts";

/** In the tree; Proxmox's tools leave it alone. */
export const settingsPath = "quorate.cfg";
const networksMax = 64;
const settingsCharactersMax = 65_536;

/** Networks that may; what is none is none of them. `text`: of the settings file, whatever is in it. */
export function metricsNetworks(text: string): readonly string[] {
  return text
    .slice(0, settingsCharactersMax)
    .split("\n")
    .flatMap((line) => /^\s{0,64}metrics-from\s{0,64}:(.*)$/.exec(line)?.[1]?.split(/[\s,]+/) ?? [])
    .filter((word) => word !== "")
    .slice(0, networksMax);
}

export function isAllowedFrom(address: string, networks: readonly string[]): boolean {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return networks.some((network) => isWithin(plain, withLength(network)));
}

/** An address alone is itself only. */
function withLength(network: string): string {
  if (network.includes("/")) return network;
  return `${network}/${network.includes(":") ? 128 : 32}`;
}
