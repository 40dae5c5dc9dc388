// The vote server's life on arm64 under emulation (issue 4): started as a service by the script that it prints itself, upgraded N → N+1 → N, and
// back from a version that crashes. In a user, mount, network and process namespace of its own, where the kernel hands executables of that
// processor to qemu: everything ends with it. One line a step, a closing line "N passed, N failed".
//   bun test/interop/upgrade-arm64.ts
// Without what it needs it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { targets } from "../../build/targets.ts";
import { skipped } from "./needs.ts";
import { makeReleases, newVersion, oldVersion } from "./upgrade-lab.ts";

const emulator = "/usr/bin/qemu-aarch64-static";
/** Where Debian's libc6-arm64-cross puts it. */
const libraries = "/usr/aarch64-linux-gnu";
/** Emulated, on a machine whose processors are busy with the other suites. */
const msMax = 900_000;

/** An ELF file of 64 bit, little endian, for machine 183; the kernel's own notation (binfmt_misc). */
const magic = String.raw`\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00`;
const mask = String.raw`\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff`;

/** Each step prints "ok NAME"; the first that fails ends it. */
const script = `set -eu
root=$1 old=$2 new=$3 crashing=$4 file=$5
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
printf '%s' ':arm64:M::${magic}:${mask}:${emulator}:' > /proc/sys/fs/binfmt_misc/register
ip link set lo up
export QEMU_LD_PREFIX=${libraries}
mkdir -p "$root/bin" "$root/etc/init.d"
cp "$file" "$root/bin/quorate"
bin=$root/bin/quorate
service=$root/etc/init.d/quorate-qnetd
"$bin" --version | grep -q 'quorate ${oldVersion} .*target linux-arm64'
echo "ok runs under emulation"
"$bin" doctor --self --role qnetd
echo "ok doctor --self"
"$bin" unit qnetd --rc --root "$root" > "$service"
chmod 755 "$service"
trap '"$service" stop; cat "$root/var/log/quorate-qnetd.log"' EXIT
"$service" start
for try in $(seq 60); do
  if "$bin" qnetd status --root "$root" > /dev/null; then break; fi
  sleep 1
done
"$bin" qnetd status --root "$root"
echo "ok serves as a service"
"$bin" upgrade --root "$root" --from "$new" --healthy 3
"$bin" --version | grep -q 'quorate ${newVersion} '
"$bin" qnetd status --root "$root" | grep 'version ${newVersion}'
echo "ok upgrade to ${newVersion}"
"$bin" upgrade --root "$root" --from "$old" --downgrade --healthy 3
"$bin" qnetd status --root "$root" | grep 'version ${oldVersion}'
echo "ok back to ${oldVersion}"
if "$bin" upgrade --root "$root" --from "$crashing"; then exit 1; else test $? = 6; fi
"$bin" --version | grep -q 'quorate ${oldVersion} '
echo "ok a crashing version is rolled back"
`;
const stepCount = script.match(/^echo "ok /gm)?.length ?? 0;

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  if (!existsSync(emulator)) return `${emulator} not installed`;
  return existsSync(libraries) ? undefined : `${libraries} not installed`;
}

async function main(): Promise<number> {
  const reason = obstacle();
  const target = targets.find(({ name }) => name === "linux-arm64");
  if (reason !== undefined || target === undefined) return skipped(reason ?? "no such target");
  const directory = mkdtempSync(join(tmpdir(), "quorate-arm64-"));
  try {
    const releases = await makeReleases(directory, target);
    const file = join(directory, "script");
    writeFileSync(file, script);
    const spaces = ["-U", "-r", "-m", "-n", "-p", "--fork", "--mount-proc", "--kill-child"];
    const child = Bun.spawn(
      [
        ...["unshare", ...spaces, "sh", file, join(directory, "root")],
        ...[releases.old, releases.new, releases.crashing, releases.oldFile],
      ],
      { stdin: "ignore", stdout: "pipe", stderr: "pipe", timeout: msMax, killSignal: "SIGKILL" },
    );
    const [out, err] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    const code = await child.exited;
    const steps = out.match(/^ok \S.*$/gm) ?? [];
    for (const step of steps) console.log(step.replace("ok ", "ok    arm64: "));
    const isGood = code === 0 && steps.length === stepCount;
    if (!isGood) console.log(`FAIL  arm64: exit ${code}\n${out}\n${err}`);
    console.log(`${steps.length} passed, ${isGood ? 0 : 1} failed`);
    return isGood ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

process.exitCode = await main();
