// Which network interfaces the running system has, below /sys/class/net, and their addresses.
import { existsSync, readdirSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import type { PresentInterface } from "./interfaces.ts";
import { readTextFile } from "./text-file.ts";

const upFlag = 1;

/** `sys`: "/sys" but for tests. Rejects with what the disk says. */
export async function presentInterfaces(sys: string): Promise<readonly PresentInterface[]> {
  const folder = join(sys, "class/net");
  const names = existsSync(folder) ? readdirSync(folder) : [];
  const addresses = networkInterfaces();
  return Promise.all(
    names.map(async (name) => {
      const own = join(folder, name);
      const flags = (await readTextFile(join(own, "flags"))) ?? "0";
      return {
        name,
        isPhysical: existsSync(join(own, "device")),
        isUp: (Number(flags) & upFlag) !== 0,
        isBridge: existsSync(join(own, "bridge")),
        isBond: existsSync(join(own, "bonding")),
        cidrs: (addresses[name] ?? []).flatMap(({ cidr, address }) =>
          cidr === null || address.startsWith("fe80:") ? [] : [cidr],
        ),
      };
    }),
  );
}
