// The machines of roots.ts, one scenario each: which service manager, which C library, what is odd about it.
import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { testRelease } from "./release-lab.ts";
import type { Outcome } from "./release-lab.ts";
import { Root, type RootOptions } from "./root-lab.ts";
import {
  corosyncConf,
  openrc,
  rcService,
  rcUpdate,
  realOpenrc,
  systemd,
} from "./root-stand-ins.ts";

const here = import.meta.dir;
const project = join(here, "..", "..");
const readyMsMax = 20_000;

export type Scenario = (release: string) => Promise<void>;

/** Removes the machine however it ends. */
export async function machine(
  release: string,
  options: RootOptions,
  story: (root: Root) => Promise<void>,
): Promise<void> {
  const shape = `${options.shape ?? ""}\nmkdir -p "$R/release"; mount --bind "${release}" "$R/release"`;
  const root = await Root.start({ ...options, shape });
  try {
    await story(root);
  } finally {
    await root.remove();
  }
}

/** The mirror of the release, at the address that install.sh knows. */
async function serve(root: Root, release: string): Promise<void> {
  const mirror = root.outside([
    process.execPath,
    join(project, "build/release.ts"),
    ...["--only-serve", "--serve", "8080", "--out", release],
  ]);
  await said(mirror, "Serving");
}

async function said(
  child: Bun.Subprocess<"ignore", "pipe", "inherit">,
  word: string,
): Promise<void> {
  const reader = child.stdout.getReader();
  for (let text = ""; !text.includes(word);) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`ended before it said "${word}": ${text}`);
    text += new TextDecoder().decode(value);
  }
  reader.releaseLock();
}

/** What a service tells systemd. */
export async function listen(root: Root, folder = "run/stand-in"): Promise<void> {
  const script = join(here, "notify-listener.py");
  const listener = root.outside([
    "sh",
    "-c",
    `exec python3 ${script} "$R/${folder}/socket" "$R/${folder}/notify"`,
  ]);
  await said(listener, "bound");
}

export async function good(result: Promise<Outcome>): Promise<string> {
  const { code, out, err } = await result;
  equal({ code, err }, { code: 0, err: "" }, out);
  return out;
}

export async function refused(
  root: Root,
  command: string,
  code: number,
  words: RegExp,
): Promise<void> {
  const before = await root.listing();
  const result = await root.shell(command);
  equal(result.code, code, `${result.out}${result.err}`);
  match(result.err, words);
  same(await root.listing(), before);
}

export function same(after: string, before: string): void {
  const [now, then] = [after, before].map((text) => new Set(text.split("\n")));
  const difference = {
    more: [...now!].filter((line) => !then!.has(line)),
    less: [...then!].filter((line) => !now!.has(line)),
  };
  equal(difference, { more: [], less: [] });
}

export function closing(out: string): readonly string[] {
  return out.trimEnd().split("\n").slice(-3);
}

export async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const begun = performance.now(); performance.now() - begun < readyMsMax;) {
    if (await check()) return;
    await wait(50);
  }
  throw new Error(`not within ${readyMsMax} ms: ${what}`);
}

const fromMirror = "curl -fsSL http://127.0.0.1:8080/install.sh | sh -s --";
const fromDirectory = "sh /release/install.sh --from /release";
/** The rescuer's program comes with the first upgrade. */
const analyse = `cd /usr/local/bin; ln quorate quorate.prev
/usr/bin/systemd-analyze verify --man=no /etc/systemd/system/quorate-*.service 2>&1 | grep -i quorate || true
rm -f quorate.prev /run/systemd/systemd-units-load`;
const version = /^quorate \d+\.\d+\.\d+\S* \(commit \S+, target linux-\S+, Bun \S+, development\)$/;

/** Which process of the service runs. */
export async function pidOf(root: Root, role: string): Promise<string> {
  return (
    await root.shell(`for p in /proc/[0-9]*; do
    [ "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null | cut -d ' ' -f 2)" = ${role} ] && echo $(basename $p); done; true`)
  ).out.trim();
}

const glibcServer: Scenario = (release) =>
  machine(release, { kind: "glibc", shape: systemd }, async (root) => {
    await serve(root, release);
    await listen(root);
    const before = await root.listing();
    const dry = await good(root.shell(`${fromMirror} qnetd --dry-run 2>/dev/null`));
    match(dry, /would make quorate-linux-\S+ \/usr\/local\/bin\/quorate/);
    match(dry, /would write \/etc\/systemd\/system\/quorate-qnetd\.service/);
    match(dry, /would run: useradd .*would run: systemctl start quorate-qnetd\.service/s);
    same(await root.listing(), before);
    // Variables that would make another program of it must not reach the service.
    const out = await good(
      root
        .shell(`${fromMirror} qnetd`, { BUN_OPTIONS: "--no-such", BUN_BE_BUN: "0" })
        .then((result) => ({ ...result, err: "" })),
    );
    const [first = "", second, third] = closing(out);
    match(first, version);
    equal(
      second,
      "vote server is running: service quorate-qnetd of systemd, program /usr/local/bin/quorate",
    );
    match(third ?? "", /^next: on one node of your cluster: pvecm qdevice setup \S+$/);
    match(out, /5403\/tcp/);
    const pid = await pidOf(root, "qnetd");
    match(pid, /^\d+$/);
    match(await good(root.shell(`stat -c %U /proc/${pid}`)), /^coroqnetd$/m);
    const told = () => good(root.shell("cat /run/stand-in/notify"));
    match(await told(), /^READY=1$/m);
    await until("the watchdog is fed", async () => (await told()).includes("WATCHDOG=1"));
    match(await good(root.run(["quorate", "qnetd", "status"])), /cluster/i);
    equal(await good(root.shell(analyse)), "");

    const calls = () => good(root.shell("wc -l </run/stand-in/calls; cat /run/stand-in/calls"));
    const [callCount] = (await calls()).split("\n");
    const again = await good(root.shell(`${fromMirror} qnetd 2>/dev/null`));
    match(again, /nothing to do/);
    equal(closing(again), closing(out));
    const later = (await calls()).split("\n").slice(1 + Number(callCount));
    equal(
      later.filter((line) => /start|reload|enable /.test(line)),
      [],
    );
    equal(await pidOf(root, "qnetd"), pid);

    await good(root.shell("echo '# mine' >>/etc/systemd/system/quorate-qnetd.service"));
    match(await good(root.shell(`${fromDirectory} qnetd`)), /running/);
    equal(await pidOf(root, "qnetd"), pid);
    match(await calls(), /daemon-reload/);

    const kept = await good(root.run(["quorate", "uninstall", "--dry-run"]));
    match(kept, /would remove \/usr\/local\/bin\/quorate$/m);
    equal(await pidOf(root, "qnetd"), pid);
    match(await good(root.run(["quorate", "uninstall"])), /kept: \/etc\/corosync\/qnetd/);
    match(await told(), /^STOPPING=1$/m);
    equal(await pidOf(root, "qnetd"), "");
    await good(root.shell("test -e /etc/corosync/qnetd/nssdb; rm -r /etc/corosync"));
    same(await root.listing(), before);
  });

const glibcNode: Scenario = (release) =>
  machine(release, { kind: "glibc", shape: systemd }, async (root) => {
    await serve(root, release);
    await listen(root);
    const before = await root.listing();
    const early = await good(root.shell(`${fromMirror} node 2>/dev/null`));
    match(closing(early)[1] ?? "", /^cluster node is running: service quorate-node of systemd/);
    match(closing(early)[2] ?? "", /^next: quorate create NAME .*; quorate join TOKEN /);
    match(await good(root.shell("quorate status")), /standalone/);
    await good(
      root.shell(
        `mkdir /etc/corosync; cat >/etc/corosync/corosync.conf <<'END'\n${corosyncConf}END\n`,
      ),
    );
    await good(root.shell("hostname alone 2>/dev/null; systemctl restart quorate-node.service"));
    const out = await good(root.shell(`${fromDirectory} node`));
    equal(closing(out).slice(1), [
      "cluster node is running: service quorate-node of systemd, program /usr/local/bin/quorate",
      "next: quorate status",
    ]);
    const pid = await pidOf(root, "node");
    match(await good(root.shell(`${fromDirectory} node`)), /nothing to do/);
    equal(await pidOf(root, "node"), pid);
    const conf = await good(root.shell("cat /etc/corosync/corosync.conf"));
    equal(conf, corosyncConf);
    equal(await good(root.shell(analyse)), "");
    const purge = await root.run(["setsid", "quorate", "uninstall", "--purge"]);
    equal([purge.code, await pidOf(root, "node")], [2, pid], purge.out);
    const onTerminal = (answer: string) =>
      root.run(["script", "-qec", "quorate uninstall --purge", "/dev/null"], {}, answer);
    const kept = await onTerminal("y\n");
    equal([kept.code, await pidOf(root, "node")], [1, pid], kept.out);
    match(kept.out, /for good:\s+\/etc\/corosync\/corosync\.conf\s.*nothing was removed/s);
    const gone = await onTerminal("yes\n");
    equal([gone.code, await pidOf(root, "node")], [0, ""], gone.out);
    same(await root.listing(), before);
  });

const conflicts: Scenario = (release) =>
  machine(release, { kind: "glibc", shape: systemd }, async (root) => {
    const other = async (name: string): Promise<() => Promise<void>> => {
      const run = root.run([
        "sh",
        "-c",
        `cp /usr/bin/sleep /tmp/${name} && exec /tmp/${name} 1000`,
      ]);
      const find = `for p in /proc/[0-9]*; do [ "$(cat $p/comm)" != ${name} ] || basename $p; done 2>/dev/null`;
      await until(`${name} runs`, async () => (await root.shell(find)).out !== "");
      return async () => {
        await root.shell(`kill $(${find})`);
        await run;
      };
    };
    for (const [name, role] of [
      ["corosync-qnetd", "qnetd"],
      ["corosync", "node"],
      ["pmxcfs", "node"],
    ] as const) {
      const stop = await other(name);
      await refused(
        root,
        `${fromDirectory} ${role}`,
        5,
        new RegExp(`${name} runs.*The plan:`, "s"),
      );
      await stop();
    }
    await good(
      root.shell(
        "mkdir -p /etc/systemd/system; touch /etc/systemd/system/corosync.service; systemctl enable corosync",
      ),
    );
    await refused(root, `${fromDirectory} node`, 5, /corosync\.service is enabled/);
  });

const noManager: Scenario = (release) =>
  machine(release, { kind: "glibc" }, async (root) => {
    await refused(root, `${fromDirectory} qnetd`, 5, /no service manager/);
    const before = await root.listing();
    const out = await good(root.shell(`ip link set lo down; ${fromDirectory} --no-service`));
    equal(closing(out).slice(1), [
      "nothing was started; the program is /usr/local/bin/quorate",
      "next: quorate --help",
    ]);
    await good(root.run(["sh", "/release/install.sh", "--uninstall"]));
    same(await root.listing(), before);
  });

const readOnlyUsr: Scenario = (release) =>
  machine(release, { kind: "glibc", shape: systemd, isReadOnly: true }, async (root) => {
    await listen(root);
    const before = await root.listing();
    const out = await good(root.shell(`${fromDirectory} qnetd`));
    equal(
      closing(out)[1],
      "vote server is running: service quorate-qnetd of systemd, program /opt/bin/quorate",
    );
    match(await good(root.shell(`${fromDirectory} qnetd`)), /nothing to do/);
    await good(root.shell("sh /release/install.sh --uninstall --purge --yes"));
    same(await root.listing(), before);
  });

const noexec: Scenario = (release) =>
  machine(
    release,
    { kind: "glibc", shape: `${systemd}\nmount -t tmpfs -o noexec,mode=1777 none "$R/tmp"` },
    async (root) => {
      await listen(root);
      const before = await root.listing();
      match(closing(await good(root.shell(`${fromDirectory} qnetd`)))[1] ?? "", /is running/);
      await good(root.run(["quorate", "uninstall", "--purge", "--yes"]));
      same(await root.listing(), before);
      await good(root.shell("mount -t tmpfs -o noexec none /var/lib"));
      await refused(
        root,
        `${fromDirectory} node`,
        1,
        /must be able to run code from \/var\/lib\/quorate\/tmp/,
      );
    },
  );

const user: Scenario = (release) =>
  machine(
    release,
    {
      kind: "glibc",
      shape: `${systemd}\nmkdir -m 700 "$R/home/ann"; chown 1000:1000 "$R/home/ann"; mkdir -m 777 "$R/tmp/stand-in"
    echo 'ann:x:1000:1000::/home/ann:/bin/sh' >>"$R/etc/passwd"; echo 'ann:x:1000:' >>"$R/etc/group"`,
    },
    async (root) => {
      await listen(root, "tmp/stand-in");
      await good(root.shell("chmod -R 777 /tmp/stand-in"));
      const before = await root.listing();
      const asAnn = (command: string) =>
        root.run(
          ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "sh", "-euc", command],
          { HOME: "/home/ann" },
        );
      const node = await asAnn(`${fromDirectory} node`);
      equal(node.code, 1);
      match(node.err, /needs root/);
      const out = await good(asAnn(`${fromDirectory} qnetd`));
      equal(
        closing(out)[1],
        "vote server is running: service quorate-qnetd of systemd of this user, program /home/ann/.local/bin/quorate",
      );
      match(
        closing(out)[2] ?? "",
        /^next: \/home\/ann\/\.local\/bin\/quorate qnetd status --root \/home\/ann\/\.local\/share\/quorate/,
      );
      match(await good(asAnn(`${fromDirectory} qnetd`)), /nothing to do/);
      match(
        await good(asAnn("~/.local/bin/quorate qnetd status --root ~/.local/share/quorate")),
        /cluster/i,
      );
      await good(asAnn("~/.local/bin/quorate uninstall --purge --yes"));
      same(await root.listing(), before);
    },
  );

const muslScripts: Scenario = (release) =>
  machine(
    release,
    { kind: "musl", shape: 'mkdir -p "$R/usr/local/etc/rc.d" "$R/usr/local/bin"' },
    async (root) => {
      const before = await root.listing();
      const out = await good(root.shell(`${fromDirectory} qnetd`));
      match(closing(out)[0] ?? "", /linux-\w+-musl/);
      equal(
        closing(out)[1],
        "vote server is running: service quorate-qnetd of /usr/local/etc/rc.d, program /usr/local/bin/quorate",
      );
      const pid = await pidOf(root, "qnetd");
      match(await good(root.shell(`${fromDirectory} qnetd`)), /nothing to do/);
      equal(await pidOf(root, "qnetd"), pid);
      await good(root.run(["quorate", "uninstall", "--purge", "--yes"]));
      equal(await pidOf(root, "qnetd"), "");
      same(await root.listing(), before);
    },
  );

const openRc: Scenario = (release) => {
  const write = (name: string, text: string): string =>
    `cat >"$R/usr/local/sbin/${name}" <<'END'\n${text}END\nchmod 755 "$R/usr/local/sbin/${name}"`;
  const shape = [
    openrc,
    'touch "$R/run/stand-in-calls"',
    write("rc-service", rcService),
    write("rc-update", rcUpdate),
  ].join("\n");
  return machine(release, { kind: "glibc", shape }, async (root) => {
    const calls = () => good(root.shell("cat /run/stand-in-calls"));
    const withoutCalls = async (): Promise<string> =>
      (await root.listing()).replaceAll(/^\/run\/stand-in-calls.*\n/gm, "");
    const before = await withoutCalls();
    const out = await good(root.shell(`${fromDirectory} qnetd`));
    equal(
      closing(out)[1],
      "vote server is running: service quorate-qnetd of OpenRC, program /usr/local/bin/quorate",
    );
    match(await calls(), /^add quorate-qnetd default$/m);
    match(await good(root.shell(`${fromDirectory} qnetd`)), /nothing to do/);
    equal((await calls()).match(/start/g)?.length, 1);
    await good(root.run(["quorate", "uninstall", "--purge", "--yes"]));
    match(await calls(), /^del quorate-qnetd default$/m);
    same(await withoutCalls(), before);
  });
};

const realOpenRc: Scenario = (release) =>
  machine(release, { kind: "glibc", shape: realOpenrc }, async (root) => {
    // What a running OpenRC keeps for itself.
    const listing = async (): Promise<string> =>
      (await root.listing()).replaceAll(/^\/run\/openrc\/.*\n/gm, "");
    const before = await listing();
    const out = await good(root.shell(`${fromDirectory} qnetd`));
    equal(
      closing(out)[1],
      "vote server is running: service quorate-qnetd of OpenRC, program /usr/local/bin/quorate",
    );
    match(await good(root.shell("rc-service quorate-qnetd status 2>/dev/null")), /started/);
    const pids = await pidOf(root, "qnetd");
    match(await good(root.shell(`${fromDirectory} qnetd`)), /nothing to do/);
    equal(await pidOf(root, "qnetd"), pids);
    await good(root.run(["quorate", "uninstall", "--purge", "--yes"]));
    equal(await pidOf(root, "qnetd"), "");
    same(await listing(), before);
  });

/** A version that starts, but not as a service: what served before serves again. */
const takenBack: Scenario = (release) =>
  machine(release, { kind: "glibc", shape: systemd }, async (root) => {
    await listen(root);
    await good(root.shell(`${fromDirectory} qnetd`));
    const digest = () => good(root.shell("sha256sum </usr/local/bin/quorate"));
    const before = await digest();
    const broken = join(release, "broken", "release");
    await testRelease(broken, {
      version: "9.0.0",
      program: () =>
        '#!/bin/sh\nif [ "$1" = qnetd ]; then echo out of order >&2; exit 1; fi\nold=/usr/local/bin/quorate\n[ ! -e $old.prev ] || old=$old.prev\nexec $old "$@"\n',
    });
    const result = await root.shell(
      "sh /release/broken/release/install.sh --from /release/broken/release qnetd",
    );
    equal(result.code, 5, result.out);
    match(result.err, /out of order.*the version before is back/s);
    equal(await digest(), before);
    match(await pidOf(root, "qnetd"), /^\d+$/);
    match(await good(root.run(["quorate", "qnetd", "status"])), /cluster/i);
    ok((await root.shell("test -e /usr/local/bin/quorate.prev")).code !== 0);
  });

/**
 * Another processor, by user-mode emulation: the program is a script that has the arm64 executable run by the emulator, since a container
 * cannot teach the kernel to do that.
 */
const arm64: Scenario = (release) => {
  const shape = `${systemd}
touch "$R/usr/lib/ld-linux-aarch64.so.1"
mkdir -p "$R/usr/local/lib/arm"
gzip -dc ${release}/quorate-linux-arm64.gz >"$R/usr/local/lib/arm/quorate"; chmod 755 "$R/usr/local/lib/arm/quorate"
printf '#!/bin/sh\\nif [ "$1" = -m ]; then echo aarch64; else echo Linux; fi\\n' >"$R/usr/local/sbin/uname"; chmod 755 "$R/usr/local/sbin/uname"`;
  return machine(release, { kind: "glibc", shape }, async (root) => {
    await listen(root);
    const emulated = join(release, "emulated", "release");
    const emulator = "qemu-aarch64-static -L /usr/aarch64-linux-gnu";
    await testRelease(emulated, {
      program: (target) =>
        target === "linux-arm64"
          ? `#!/bin/sh\nexec ${emulator} /usr/local/lib/arm/quorate "$@"\n`
          : "#!/bin/sh\nexit 1\n",
    });
    const before = await root.listing();
    const out = await good(
      root.shell("sh /release/emulated/release/install.sh --from /release/emulated/release qnetd"),
    );
    match(closing(out)[0] ?? "", /target linux-arm64,/);
    match(closing(out)[1] ?? "", /^vote server is running: /);
    match(await good(root.run(["quorate", "qnetd", "status"])), /cluster/i);
    await good(root.run(["quorate", "uninstall", "--purge", "--yes"]));
    same(await root.listing(), before);
  });
};

export const scenarios: Readonly<Record<string, Scenario>> = {
  "systemd-vote-server": glibcServer,
  "systemd-node": glibcNode,
  "systemd-user": user,
  "musl-rc.d": muslScripts,
  openrc: openRc,
  "openrc-real": realOpenRc,
  "arm64-emulated": arm64,
  "read-only-usr": readOnlyUsr,
  "no-manager-no-network": noManager,
  noexec,
  conflicts,
  "taken-back": takenBack,
};

/** Programs of this machine without which a scenario cannot be played, and the packages that have them. */
export const requirements: Readonly<
  Record<string, readonly [program: string, packageName: string]>
> = {
  "systemd-vote-server": ["systemd-analyze", "systemd"],
  "systemd-node": ["systemd-analyze", "systemd"],
  "musl-rc.d": ["musl-gcc", "musl-tools"],
  "openrc-real": ["openrc-run", "openrc"],
  "booted-takeover": ["corosync-qnetd-certutil", "corosync-qnetd"],
  "arm64-emulated": ["qemu-aarch64-static", "qemu-user-static"],
};
