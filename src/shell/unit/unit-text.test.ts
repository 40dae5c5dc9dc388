// The units as their own tools read them: systemd-analyze verify, sh -n and shellcheck; and what must be in them.
import { afterAll, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type UnitForm, unitText } from "./unit-text.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-units-"));
const bin = join(directory, "quorate");
for (const file of [bin, `${bin}.prev`]) {
  writeFileSync(file, "#!/bin/sh\n");
  chmodSync(file, 0o755);
}
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function textOf(service: "node" | "qnetd" | "rescue", form: UnitForm, more = {}): string {
  const made = unitText({ service, form, bin, root: "/", isUser: false, ...more });
  if ("reason" in made) throw new Error(made.reason);
  return made.text;
}

const mayNotSkip = process.env["QUORATE_CI"] === "1";
const has = (tool: string) => mayNotSkip || Bun.which(tool) !== null;

function run(...command: string[]): string {
  const done = Bun.spawnSync(command, { stdout: "pipe", stderr: "pipe" });
  return `${done.exitCode}\n${done.stdout.toString()}${done.stderr.toString()}`;
}

describe("systemd", () => {
  test.skipIf(!has("systemd-analyze")).each([
    ["of the machine", {}, "--man=no"],
    ["below another root", { root: "/mnt/data/quorate" }, "--man=no"],
    ["of a user", { isUser: true, root: "/home/me/.local/share/quorate" }, "--user"],
  ] as const)("units %s pass systemd-analyze verify", (_name, more, flag) => {
    const units = mkdtempSync(join(directory, "units-"));
    const isUser = "isUser" in more;
    const services = isUser ? (["qnetd"] as const) : (["node", "qnetd"] as const);
    const files = services.map((service) => {
      const file = join(units, `quorate-${service}.service`);
      writeFileSync(file, textOf(service, "systemd", more));
      return file;
    });
    writeFileSync(join(units, "quorate-rescue@.service"), textOf("rescue", "systemd", more));
    const runtime = join(units, "run");
    mkdirSync(runtime, { mode: 0o700 });
    const done = Bun.spawnSync(
      ["systemd-analyze", "verify", "--man=no", ...(isUser ? [flag] : []), ...files],
      {
        stdout: "pipe",
        stderr: "pipe",
        env: { ...process.env, SYSTEMD_UNIT_PATH: `${units}:`, XDG_RUNTIME_DIR: runtime },
      },
    );
    // It warns of other packages' units too: only lines about ours count.
    const lines = done.stderr.toString().split("\n");
    expect(lines.filter((line) => line.includes("quorate"))).toEqual([]);
    expect(done.exitCode).toBe(0);
  });

  test("both roles: notify, watchdog, restart, rescuer, no hooks of the runtime", () => {
    for (const service of ["node", "qnetd"] as const) {
      const text = textOf(service, "systemd");
      for (const line of [
        "Type=notify",
        "WatchdogSec=30",
        "Restart=on-failure",
        "RestartSec=1",
        "UnsetEnvironment=BUN_OPTIONS BUN_BE_BUN BUN_INSPECT BUN_INSPECT_CONNECT_TO",
        `OnFailure=quorate-rescue@${service}.service`,
        `Wants=quorate-rescue@${service}.service`,
        `ExecStart=${bin} ${service}`,
      ]) {
        expect(text.split("\n")).toContain(line);
      }
    }
  });

  test("both: the pause before another start grows, and no few restarts by hand use up the limit", () => {
    for (const service of ["node", "qnetd"] as const) {
      const lines = textOf(service, "systemd").split("\n");
      expect(lines).toContain("StartLimitIntervalSec=600");
      expect(lines).toContain("StartLimitBurst=30");
      const pause = lines.find((line) => line.includes("NRestarts")) ?? "";
      expect(pause).toStartWith("ExecStartPre=-+/bin/sh -c 'n=$$(systemctl show ");
      // The words of the shell, with programs that answer for systemd and for the clock.
      const script = /'(.*)'$/.exec(pause)?.[1]?.replaceAll("$$", "$").replaceAll("%n", "x") ?? "";
      const paused = [0, 1, 2, 3, 5, 6, 100].map((restarts) => {
        const tools = `systemctl() { echo ${restarts}; }; sleep() { echo "$1"; }; ${script}; true`;
        return run("sh", "-c", tools).split("\n")[1];
      });
      expect(paused).toEqual(["", "", "4", "9", "25", "30", "30"]);
    }
  });

  test("directories above the certificates are open to the server's user, whatever the umask", () => {
    for (const root of ["/", "/mnt/data"]) {
      const base = root === "/" ? "" : root;
      const lines = textOf("qnetd", "systemd", { root }).split("\n");
      const made = lines.filter((line) => line.includes("/bin/mkdir"));
      const [above = "", own] = made;
      expect(above).toStartWith("ExecStartPre=+/bin/mkdir -p -m 0755 /");
      expect(above.split(" ").slice(4)).toContain(`${base}/etc/corosync`);
      expect(own).toBe(`ExecStartPre=+/bin/mkdir -p -m 0770 ${base}/etc/corosync/qnetd`);
      for (const line of made) expect(line).toMatch(/-p -m 0755 |-m 0770 \S+$/);
    }
  });

  test("starting one never stops an original program that runs", () => {
    for (const service of ["node", "qnetd"] as const) {
      expect(textOf(service, "systemd")).not.toContain("Conflicts=");
    }
  });

  test("the vote server is locked in; W^X stays off for the runtime", () => {
    const lines = textOf("qnetd", "systemd").split("\n");
    for (const line of [
      "User=coroqnetd",
      "ProtectSystem=strict",
      "NoNewPrivileges=yes",
      "PrivateTmp=yes",
      "CapabilityBoundingSet=",
      "MemoryMax=256M",
    ]) {
      expect(lines).toContain(line);
    }
    expect(lines.some((line) => line.startsWith("MemoryDenyWriteExecute"))).toBe(false);
    // What decides which program root runs must not belong to it.
    expect(lines.some((line) => /^StateDirectory=.*\bquorate(?: |$)/.test(line))).toBe(false);
  });

  test("the node has no mount namespace and its database's directory for temporary files", () => {
    const lines = textOf("node", "systemd").split("\n");
    // It locks none: what the runtime gives back to the kernel would stay (ARCHITECTURE.md, Decisions).
    expect(textOf("node", "systemd")).not.toContain("MEMLOCK");
    expect(lines).toContain("LimitRTPRIO=99");
    expect(lines).toContain("OOMScoreAdjust=-900");
    expect(lines).toContain("TimeoutStopSec=60");
    expect(lines).toContain("Environment=TMPDIR=/var/lib/quorate/tmp");
    expect(lines).toContain("ExecStopPost=-/bin/umount -l /etc/pve");
    const spaces =
      /^(?:Private|Protect|ReadWritePaths|ReadOnlyPaths|TemporaryFileSystem|RootDirectory|User)/;
    expect(lines.filter((line) => spaces.test(line))).toEqual([]);
  });

  test("the rescuer is the old file and runs only while an upgrade is under way", () => {
    const lines = textOf("rescue", "systemd").split("\n");
    expect(lines).toContain("ConditionPathExists=/var/lib/quorate/upgrade.json");
    expect(lines).toContain(`ExecStart=${bin}.prev rescue --bin ${bin}`);
  });
});

test("a wrong command line or configuration does not become right by another start", () => {
  for (const service of ["node", "qnetd"] as const) {
    const line = /^RestartPreventExitStatus=(.*)$/m.exec(textOf(service, "systemd"))?.[1];
    expect(line?.split(" ")).toEqual(expect.arrayContaining(["2", "8"]));
  }
});

function plainService(code: number): { readonly root: string; readonly script: string } {
  const root = mkdtempSync(join(directory, "rc-"));
  mkdirSync(join(root, "var/run"), { recursive: true });
  const failing = join(root, "quorate");
  writeFileSync(failing, `#!/bin/sh\necho start >>${root}/starts\nexit ${code}\n`);
  chmodSync(failing, 0o755);
  const script = join(root, "script");
  // Pauses of no length; the fourth is the end of the test.
  const pauses = `sleep() { echo "$1" >>${root}/pauses; [ "$1" != 16 ] || kill $$; }\n`;
  writeFileSync(script, `${pauses}${textOf("qnetd", "rc", { bin: failing, root })}`);
  return { root, script };
}

test("the plain script starts again after a failure, with pauses that grow, and then says so", () => {
  const { root, script } = plainService(1);
  expect(run("sh", script, "supervise")).toContain("fails again and again, exit code 1");
  expect(readFileSync(join(root, "pauses"), "utf8")).toBe("1\n4\n9\n16\n");
  expect(readFileSync(join(root, "starts"), "utf8")).toBe("start\n".repeat(4));
});

test.each([2, 8])("the plain script does not start again after code %d", (code) => {
  const { root, script } = plainService(code);
  expect(run("sh", script, "supervise")).toContain(`was given up, exit code ${code}`);
  expect(readFileSync(join(root, "starts"), "utf8")).toBe("start\n");
  expect(readFileSync(join(root, "var/run/quorate-qnetd.failed"), "utf8")).toBe(`${code}\n`);
});

describe("scripts", () => {
  const shells = ["dash", "bash", "busybox"].filter(has);
  test.each([
    ["node", "openrc"],
    ["qnetd", "openrc"],
    ["node", "rc"],
    ["qnetd", "rc"],
  ] as const)("%s for %s are right in every shell", (service, form) => {
    for (const root of ["/", "/mnt/data"]) {
      const file = join(directory, `${service}-${form}`);
      writeFileSync(file, textOf(service, form, { root }));
      for (const shell of shells) {
        const words = shell === "busybox" ? ["busybox", "sh"] : [shell];
        expect(run(...words, "-n", file)).toBe("0\n");
      }
      if (!has("shellcheck")) continue;
      // OpenRC reads the variables of its scripts itself, and its scripts have a shebang of their own.
      const excluded = form === "openrc" ? ["-e", "SC2034,SC1008,SC2154"] : [];
      expect(run("shellcheck", "-s", "sh", ...excluded, file)).toBe("0\n");
    }
  });
});

test("what no unit can say is refused", () => {
  const base = { service: "qnetd", form: "systemd", bin, root: "/", isUser: false } as const;
  for (const options of [
    { ...base, bin: "/usr/local/bin/my quorate" },
    { ...base, bin: "quorate" },
    { ...base, root: "/mnt/a%b" },
    { ...base, root: '/x"; rm' },
    { ...base, isUser: true, service: "node" },
    { ...base, isUser: true, form: "openrc" },
    { ...base, service: "rescue", form: "rc" },
  ] as const) {
    expect(unitText(options)).toHaveProperty("reason");
  }
});
