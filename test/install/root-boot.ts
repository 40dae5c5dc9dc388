// A machine of root-lab.ts whose first process is a real systemd: what it needs of the kernel, how it is started in a control group of
// its own, and what is left to remove when it has ended.
import { existsSync } from "node:fs";
import { execute } from "./release-lab.ts";

const program = "/lib/systemd/systemd";
/** From the end of the last process until the kernel lets its control group go. */
const emptyTries = 100;

/** Why no systemd can be booted here, as a sentence; undefined: it can, and must then work. */
export async function bootFault(): Promise<string | undefined> {
  if (!existsSync(program)) return `there is no ${program} (package systemd)`;
  const text = `mount -t tmpfs none /mnt && mkdir /mnt/c /mnt/o /mnt/u /mnt/w
mount -t cgroup2 none /mnt/c && mkdir /mnt/c/quorate-probe.$$ && rmdir /mnt/c/quorate-probe.$$
mount -t overlay -o lowerdir=/usr,upperdir=/mnt/u,workdir=/mnt/w none /mnt/o`;
  const spaces = ["--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork"];
  const { code, err } = await execute(["unshare", ...spaces, "sh", "-euc", text]);
  return code === 0 ? undefined : `its kernel does not let us: ${err.trim().split("\n").at(-1)}`;
}

/** `command` in a control group named as the directory $D, so that what systemd makes there can be found again. */
export function inOwnGroup(command: readonly string[]): readonly string[] {
  const text = `mkdir "$D/groups"; mount --make-rprivate /; mount -t cgroup2 none "$D/groups"
mkdir "$D/groups/\${D##*/}"; echo $$ >"$D/groups/\${D##*/}/cgroup.procs"; exec "$@"`;
  return ["unshare", "--mount", "sh", "-euc", text, "sh", ...command];
}

/** The control group and all below it, after the end of the machine. */
export async function removeGroup(directory: string): Promise<void> {
  const text = `mount --make-rprivate /; mount -t cgroup2 none "$1/groups"; cd "$1/groups"
[ -d "\${1##*/}" ] || exit 0
echo 1 >"\${1##*/}/cgroup.kill" 2>/dev/null || true
tries=0
until find "\${1##*/}" -depth -type d -exec rmdir {} + 2>/dev/null; do
  tries=$((tries + 1)); [ $tries -lt ${emptyTries} ] || { echo "its control group is not empty" >&2; exit 1; }
  sleep 0.1
done`;
  const { code, err } = await execute(["unshare", "--mount", "sh", "-euc", text, "sh", directory]);
  if (code !== 0) throw new Error(`${directory}: ${err}`);
}

/** The last step inside. What lies in /run before stays there; systemd mounts nothing over a mounted one. */
export const boot = `
mv "$R/run" "$R/run.before"; mkdir "$R/run"; mount -t tmpfs -o mode=755 none "$R/run"
cp -a "$R/run.before/." "$R/run/"; rm -r "$R/run.before"
mkdir -p "$R/sys" "$R/etc/systemd/system" "$R/mnt" "$R/srv"
mount -t proc proc "$R/proc"
# What is there is the whole kernel's, not this machine's.
mount --bind "$R/proc/sys" "$R/proc/sys"; mount -o remount,ro,bind "$R/proc/sys"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t cgroup2 none "$R/sys/fs/cgroup"
# Not its first boot: that would enable what every package has to offer.
echo 0123456789abcdef0123456789abcdef >"$R/etc/machine-id"
hostname alone
touch "$R/.quorate-machine"
echo ready
exec env -i container=quorate PATH="$PATH" chroot "$R" ${program} --log-target=null --unit=multi-user.target
`;

/** Inside: until the machine is up, or has been trying for too long. A unit of another package that failed is not our business. */
export const untilBooted = `tries=0
until [ -S /run/systemd/private ]; do tries=$((tries + 1)); [ $tries -lt 600 ] || exit 1; sleep 0.1; done
state=$(timeout 60 systemctl is-system-running --wait) || [ "$state" = degraded ] || { echo "it is $state"; exit 1; }`;
