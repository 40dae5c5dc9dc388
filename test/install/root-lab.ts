// Machines to throw away: a process and network namespace of its own, with a root on a file system that ends with it. The glibc kind
// has this machine's /usr below a layer that takes the changes; the musl kind has busybox and nothing else. Needs root.
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { execute, type Outcome } from "./release-lab.ts";
import { boot, inOwnGroup, removeGroup, untilBooted } from "./root-boot.ts";

export interface RootOptions {
  readonly kind: "glibc" | "musl";
  /** /usr cannot be written. */
  readonly isReadOnly?: boolean;
  /** Its first process is systemd (glibc only; see bootFault). */
  readonly isBooted?: boolean;
  /** More shell text that shapes the root, from outside with $R. */
  readonly shape?: string;
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const insideMsMax = 20_000;
const insideAskMs = 10;

export class Root {
  readonly #directory: string;
  readonly #init: Bun.Subprocess<"ignore", "pipe", "inherit">;
  readonly #pid: number;
  readonly #isBooted: boolean;

  private constructor(
    directory: string,
    init: Bun.Subprocess<"ignore", "pipe", "inherit">,
    pid: number,
    isBooted: boolean,
  ) {
    this.#directory = directory;
    this.#init = init;
    this.#pid = pid;
    this.#isBooted = isBooted;
  }

  static async start(options: RootOptions): Promise<Root> {
    const directory = mkdtempSync(join(tmpdir(), "quorate-machine-"));
    const seed = join(directory, "seed");
    mkdirSync(seed);
    if (options.kind === "musl") fillMusl(seed);
    const setUp = [
      common,
      options.kind === "glibc" ? glibc : musl,
      options.shape ?? "",
      options.isReadOnly === true ? readOnly : "",
      options.isBooted === true ? boot : enter,
    ];
    const spaces = ["--mount", "--pid", "--net", "--uts", "--ipc"];
    const isolated = [
      ...["unshare", ...spaces, ...(options.isBooted === true ? ["--cgroup"] : [])],
      ...["--fork", "--kill-child=SIGKILL", "sh", "-euc", setUp.join("\n")],
    ];
    const init = Bun.spawn([...(options.isBooted === true ? inOwnGroup(isolated) : isolated)], {
      env: { PATH: path, R: join(directory, "root"), SEED: seed, D: directory },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
    const reader = init.stdout.getReader();
    let said = "";
    while (!said.includes("ready\n")) {
      const { done, value } = await reader.read();
      if (done) throw new Error(`the machine did not start: ${said}`);
      said += new TextDecoder().decode(value);
    }
    reader.releaseLock();
    const children = readFileSync(`/proc/${init.pid}/task/${init.pid}/children`, "utf8");
    const isBooted = options.isBooted === true;
    const root = new Root(directory, init, Number(children.trim().split(" ")[0]), isBooted);
    try {
      await root.#untilInside();
      // Nothing of this may ever be done to the machine that runs the tests.
      const { code } = await root.run(["test", "-e", "/.quorate-machine"]);
      if (code !== 0 || existsSync("/.quorate-machine"))
        throw new Error("the machine's root is not its own");
      if (isBooted) {
        const booted = await root.shell(untilBooted);
        if (booted.code !== 0)
          throw new Error(`systemd did not come up: ${booted.out}${booted.err}`);
      }
      return root;
    } catch (error) {
      await root.remove();
      throw error;
    }
  }

  /** systemd says nothing when it has the root. */
  async #untilInside(): Promise<void> {
    for (const begun = performance.now(); performance.now() - begun < insideMsMax;) {
      if (existsSync(`/proc/${this.#pid}/root/.quorate-machine`)) return;
      await Bun.sleep(insideAskMs);
    }
  }

  /** Of its first process, as this machine counts. */
  get pid(): number {
    return this.#pid;
  }

  /** A command inside. */
  run(
    command: readonly string[],
    env: Readonly<Record<string, string>> = {},
    stdin?: string,
  ): Promise<Outcome> {
    const words = [
      "env",
      "-i",
      `PATH=${path}`,
      "HOME=/root",
      ...Object.entries(env).map(([name, value]) => `${name}=${value}`),
    ];
    const inside = ["sh", "-c", 'cd / && exec "$@"', "sh", ...command];
    return execute(
      [...this.#enter("--root", "--wdns=/"), ...words, ...inside],
      stdin === undefined ? {} : { stdin },
    );
  }

  shell(text: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
    return this.run(["sh", "-euc", text], env);
  }

  /** A program of this machine that sees the other's network and processes, with $R its root. */
  outside(command: readonly string[]): Bun.Subprocess<"ignore", "pipe", "inherit"> {
    return Bun.spawn([...this.#enter(), "env", `R=${join(this.#directory, "root")}`, ...command], {
      stdin: "ignore",
      stdout: "pipe",
      stderr: "inherit",
    });
  }

  /** Every name there with its type, mode, owner and, of small files, what is in it; without what only a running system has. */
  async listing(): Promise<string> {
    // Of /usr only the layer with the changes.
    const pruned = [
      "/proc",
      "/dev",
      "/run/stand-in",
      "/run/mount",
      "/tmp",
      "/release",
      "/.layer/work",
      "/usr",
    ];
    const prune = pruned.map((each) => `-path ${each} -prune -o`).join(" ");
    const { code, out, err } = await this.shell(
      `{ find / -xdev ${prune} -print; [ -d /.layer ] || find /usr -xdev; } | sort | while IFS= read -r each; do
         if [ -L "$each" ]; then printf '%s -> %s\\n' "$each" "$(readlink "$each")"
         elif [ -d "$each" ]; then stat -c '%n %a %U' "$each"
         elif [ -f "$each" ]; then printf '%s %s\\n' "$(stat -c '%n %a %U' "$each")" "$(cksum <"$each")"
         else stat -c '%n %F' "$each"; fi
       done`,
    );
    if (code !== 0) throw new Error(err);
    // useradd and its like keep the files before, and a lock.
    return out.replaceAll(
      /^\/etc\/(?:(?:passwd|group|shadow|gshadow|subuid|subgid)-|\.pwd\.lock ).*\n/gm,
      "",
    );
  }

  #enter(...flags: readonly string[]): string[] {
    return ["nsenter", `--target=${this.#pid}`, "--mount", "--pid", "--net", "--uts", ...flags];
  }

  /** Everything that runs in it ends. */
  async remove(): Promise<void> {
    this.#init.kill("SIGKILL");
    await this.#init.exited;
    if (this.#isBooted) await removeGroup(this.#directory);
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const common = `
mount --make-rprivate /
mkdir -p "$R"
mount -t tmpfs -o mode=755,size=900m none "$R"
mkdir -p "$R/proc" "$R/dev" "$R/etc" "$R/var/lib" "$R/var/log" "$R/run" "$R/root" "$R/tmp" "$R/home" "$R/opt" "$R/usr"
chmod 1777 "$R/tmp"
ln -s /run "$R/var/run"
for name in null zero full random urandom tty fuse; do [ -e "/dev/$name" ] || continue; touch "$R/dev/$name"; mount --bind "/dev/$name" "$R/dev/$name"; done
mkdir "$R/dev/pts"; mount -t devpts -o newinstance,ptmxmode=0666 none "$R/dev/pts"; ln -s pts/ptmx "$R/dev/ptmx"
ip link set lo up
printf 'root:x:0:0:root:/root:/bin/sh\\nnobody:x:65534:65534:nobody:/:/bin/false\\n' >"$R/etc/passwd"
printf 'root:x:0:\\nnogroup:x:65534:\\n' >"$R/etc/group"
printf 'passwd: files\\ngroup: files\\n' >"$R/etc/nsswitch.conf"
`;

const glibc = `
for name in bin sbin lib lib64; do ln -s "usr/$name" "$R/$name"; done
mkdir -p "$R/.layer/up" "$R/.layer/work"
mount -t overlay -o "lowerdir=/usr,upperdir=$R/.layer/up,workdir=$R/.layer/work" overlay "$R/usr"
# As on a fresh machine: nothing of ours, and none of the originals.
rm -rf "$R"/usr/local/* "$R"/usr/bin/corosync* "$R"/usr/sbin/corosync* "$R"/usr/lib/systemd/system/corosync*
mkdir -p "$R/usr/local/bin" "$R/usr/local/sbin"
cp -a /etc/ld.so.cache /etc/login.defs /etc/alternatives "$R/etc/"
`;

const musl = `
cp -a "$SEED/." "$R/"
`;

const readOnly = `
mount -o remount,ro,bind "$R/usr"
`;

const enter = `
mount -t proc proc "$R/proc"
touch "$R/.quorate-machine"
exec chroot "$R" sh -c 'echo ready; while :; do sleep 1000; done'
`;

/**
 * Debian's busybox asks for glibc. The machine must not look like one with glibc, so the loader gets another name and busybox is told so.
 * quorate for musl needs a C++ library, which build/musl-bridge.c lets Debian's be (see build/executable.ts).
 */
function fillMusl(seed: string): void {
  const add = (source: string, place: string): void => {
    mkdirSync(dirname(join(seed, place)), { recursive: true });
    copyFileSync(source, join(seed, place));
    chmodSync(join(seed, place), 0o755);
  };
  const triple = process.arch === "x64" ? "x86_64-linux-gnu" : "aarch64-linux-gnu";
  const program = Bun.which("busybox");
  if (program === null) throw new Error("needs busybox (package busybox)");
  const bytes = readFileSync(program);
  const loader =
    process.arch === "x64" ? "/lib64/ld-linux-x86-64.so.2" : "/lib/ld-linux-aarch64.so.1";
  const other = "/lib/of-busybox.so".padEnd(loader.length, "\0");
  const at = bytes.indexOf(loader);
  bytes.write(other, at, "latin1");
  mkdirSync(join(seed, "bin"));
  writeFileSync(join(seed, "bin/busybox"), bytes, { mode: 0o755 });
  add(loader, "lib/of-busybox.so");
  for (const name of ["libc.so.6", "libm.so.6", "libresolv.so.2"])
    add(join("/lib", triple, name), join("lib", triple, name));
  for (const name of Bun.spawnSync([program, "--list"]).stdout.toString().trim().split("\n")) {
    if (!existsSync(join(seed, "bin", name)))
      Bun.spawnSync(["ln", "-s", "busybox", join(seed, "bin", name)]);
  }
  const muslTriple = process.arch === "x64" ? "x86_64" : "aarch64";
  add(`/usr/lib/${muslTriple}-linux-musl/libc.so`, `lib/ld-musl-${muslTriple}.so.1`);
  for (const name of ["libstdc++.so.6", "libgcc_s.so.1"]) {
    const source = [`/lib/${triple}`, `/usr/lib/${triple}`]
      .map((folder) => join(folder, name))
      .find(existsSync);
    if (source === undefined) throw new Error(`needs ${name}`);
    add(source, join("usr/lib", name));
  }
  const bridges = join(import.meta.dir, "..", "..", "node_modules", ".cache", "musl-bridge");
  for (const name of existsSync(bridges) ? readdirSync(bridges) : [])
    add(join(bridges, name), join("usr/lib", basename(name)));
}
