// Where the page's story plays: three machines, each in a network namespace of its own, on two networks; browser, vote server and story are where the
// networks meet. Nothing leaves the namespaces, and all of them end with the program. Needs root, iproute2, nftables, util-linux.
import { dropRules } from "../interop/lab.ts";
import type { Place } from "../node/lone-node.ts";

const marker = "QUORATE_PAGE_SITE";
const networks = ["10.78.0", "10.78.1"] as const;
/** Where the machines' cables meet, on the first network. */
export const hubAddress = `${networks[0]}.254`;

/** A machine: the words that put a command into it, its addresses. */
export interface Machine extends Place {
  /** On the second network. */
  readonly second: string;
  /** On it too, for a node that is given another. */
  readonly spare: string;
}

/** The pids of the programs that hold the machines' namespaces, where the story runs; undefined outside. */
function holders(): readonly string[] | undefined {
  return process.env[marker]?.split(" ");
}

/** Runs this program again where the machines' cables meet, and ends with its exit code; there it returns at once. */
export async function enterSite(): Promise<void> {
  if (holders() !== undefined) return;
  const child = Bun.spawn(
    [
      ...["unshare", "--net", "--pid", "--mount-proc", "--fork", "--kill-child=SIGKILL"],
      ...["sh", "-euc", siteScript, "sh", process.execPath, ...process.argv.slice(1)],
    ],
    { stdin: "ignore", stdout: "inherit", stderr: "inherit" },
  );
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => child.kill("SIGKILL"));
  }
  process.exit(await child.exited);
}

/** The machines, first to third. */
export function machines(): readonly [Machine, Machine, Machine] {
  const pids = holders();
  if (pids?.length !== 3) throw new Error("the story runs in a site (enterSite)");
  const machine = (at: 1 | 2 | 3): Machine => ({
    address: `${networks[0]}.${at}`,
    second: `${networks[1]}.${at}`,
    spare: `${networks[1]}.${at + 10}`,
    enter: ["nsenter", "-t", pids[at - 1] ?? "", "-n", "--"],
  });
  return [machine(1), machine(2), machine(3)];
}

/** What `machine` gets from these addresses is lost; without any, nothing is. */
export async function cutOff(machine: Machine, addresses: readonly string[]): Promise<void> {
  const rules = dropRules(addresses.map((address) => ({ address })));
  const child = Bun.spawn([...machine.enter, "nft", "-f", "-"], {
    ...{ stdin: new Blob([rules]), stdout: "ignore", stderr: "pipe" },
  });
  const text = await new Response(child.stderr).text();
  if ((await child.exited) !== 0) throw new Error(`nft: ${text}`);
}

const siteScript = `
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
ip addr add ${hubAddress}/24 dev br0
holders=
for at in 1 2 3; do
  unshare --net sleep infinity &
  while [ "$(readlink "/proc/$!/ns/net")" = "$(readlink /proc/self/ns/net)" ]; do :; done
  ip link add "port$at" type veth peer name eth0 netns "$!"
  ip link set "port$at" master br0 up
  inside="nsenter -t $! -n ip"
  $inside link set lo up
  for address in ${networks[0]}.$at ${networks[1]}.$at ${networks[1]}.1$at; do
    $inside addr add "$address/24" dev eth0
  done
  $inside link set eth0 up
  holders="\${holders:+$holders }$!"
done
export ${marker}="$holders"
"$@"
`;
