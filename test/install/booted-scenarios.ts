// Install, upgrade and uninstall of both roles under a systemd that has booted the machine (see root-boot.ts), and what it does with a
// service that ends: the units as they are, read by systemd itself. What the stand-in can do as well is played with it, too.
import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { thisMachine } from "../../build/executable.ts";
import { makeReleases, newVersion, oldVersion } from "../interop/upgrade-lab.ts";
import { execute, sourceScript } from "./release-lab.ts";
import type { Root } from "./root-lab.ts";
import {
  closing,
  good,
  listen,
  machine,
  pidOf,
  same,
  type Scenario,
  until,
} from "./root-scenarios.ts";
import { systemd } from "./root-stand-ins.ts";

const rolledBackCode = 6;
const install = "sh /release/versions/install.sh --from /release/versions/old";

/** Two versions that trust one key, and one that crashes: built once for all scenarios. */
async function versions(release: string): Promise<void> {
  const directory = join(release, "versions");
  if (existsSync(directory)) return;
  mkdirSync(directory);
  await makeReleases(directory, thisMachine());
  cpSync(sourceScript, join(directory, "install.sh"));
}

function booted(story: (root: Root) => Promise<void>): Scenario {
  return async (release) => {
    await versions(release);
    await machine(release, { kind: "glibc", isBooted: true }, story);
  };
}

/** A property of the unit, as systemd has it now. */
async function property(root: Root, role: string, name: string): Promise<string> {
  const show = `systemctl show --property=${name} --value quorate-${role}.service`;
  return (await good(root.shell(show))).trim();
}

const isActive = (root: Root, role: string) => async (): Promise<boolean> =>
  (await property(root, role, "ActiveState")) === "active";

/** Two restarts by hand and a crash within a minute, and more crashes: it is back each time, and nothing has failed for good. */
async function crashes(root: Root, role: string): Promise<void> {
  await good(root.shell(`systemctl restart quorate-${role}; systemctl restart quorate-${role}`));
  for (const restarts of [1, 2]) {
    await good(root.shell(`kill -9 ${await property(root, role, "MainPID")}`));
    const isBack = async (): Promise<boolean> =>
      (await property(root, role, "NRestarts")) === String(restarts) &&
      (await isActive(root, role)());
    await until(`start ${restarts} after a crash`, isBack);
  }
  // A start by hand is not made to wait for what happened before.
  await good(root.shell(`systemctl restart quorate-${role}`));
  equal(await property(root, role, "NRestarts"), "0");
}

/** What a status command says of a service that has failed, and that its advice works once the cause is gone. */
async function startAsAdvised(root: Root, role: string, mend: string): Promise<void> {
  const status = role === "node" ? "quorate status" : "quorate qnetd status";
  const result = await root.shell(status);
  equal(result.code, 3, result.out);
  const said = new RegExp(
    `its service quorate-${role} of systemd has failed\\. why: .*; when .*, start it: (.*)`,
  );
  const [, advice = "false"] = said.exec(result.err) ?? [];
  await good(root.shell(`${mend}; ${advice}`));
  await good(root.shell(status));
}

/** There, and to a version that crashes, which is taken back by the file before. */
async function upgrades(root: Root, role: string): Promise<void> {
  match(await good(root.shell("quorate --version")), new RegExp(`^quorate ${oldVersion} `));
  const there = await root.shell("quorate upgrade --from /release/versions/new --healthy 2");
  equal(there.code, 0, `${there.out}${there.err}`);
  match(await good(root.shell("quorate --version")), new RegExp(`^quorate ${newVersion} `));
  ok(await isActive(root, role)());
  const back = await root.shell("quorate upgrade --from /release/versions/crashing");
  equal(back.code, rolledBackCode, `${back.out}${back.err}`);
  match(await good(root.shell("quorate --version")), new RegExp(`^quorate ${newVersion} `));
  await until("the version before serves", isActive(root, role));
}

const server = booted(async (root) => {
  const before = await root.listing();
  const out = await good(root.shell(`${install} qnetd`));
  equal(
    closing(out)[1],
    "vote server is running: service quorate-qnetd of systemd, program /usr/local/bin/quorate",
  );
  match(await good(root.shell("quorate qnetd status")), /^qnetd-server\.pem /m);
  const invite = "quorate qnetd invite home --address 192.0.2.7 2>/dev/null";
  match(await good(root.shell(invite)), /^quorate qdevice setup quorate1\./m);
  equal(
    await good(root.shell("stat -c '%n %a %U' /etc/corosync /etc/corosync/qnetd")),
    "/etc/corosync 755 root\n/etc/corosync/qnetd 770 coroqnetd\n",
  );
  const pid = await property(root, "qnetd", "MainPID");
  match(await good(root.shell(`stat -c %U /proc/${pid}`)), /^coroqnetd$/m);
  match(await good(root.shell(`grep ^Umask /proc/${pid}/status`)), /0027$/m);
  match(await good(root.shell(`${install} qnetd`)), /nothing to do/);
  equal(await property(root, "qnetd", "MainPID"), pid);

  await crashes(root, "qnetd");
  await upgrades(root, "qnetd");
  await good(root.shell("quorate qnetd status"));
  await good(root.shell("quorate uninstall --purge --yes"));
  equal(await pidOf(root, "qnetd"), "");
  equal(
    await good(
      root.shell(
        "systemctl list-units --failed --no-legend 'quorate*'; ls -d /run/coro* /run/quo* 2>/dev/null || true",
      ),
    ),
    "",
  );
  same(await root.listing(), before);
});

/** What an installation before this one left: the installer does not say that all is well. */
async function closedDirectory(root: Root): Promise<void> {
  await good(root.shell("mkdir -m 0750 /etc/corosync"));
  const result = await root.shell(`${install} qnetd`);
  equal(result.code, 5, result.out);
  match(result.err, /may not enter \/etc\/corosync .*"chmod o\+x \/etc\/corosync"/);
  await good(root.shell("chmod o+x /etc/corosync; systemctl restart quorate-qnetd"));
  match(await good(root.shell(`${install} qnetd`)), /vote server is running/);
}

/** Made by Debian's own tool, which the machine does not have. */
const withDebianStore: Scenario = async (release) => {
  const place = join(release, "debian");
  mkdirSync(place, { recursive: true });
  const make = 'mount --bind "$1" /etc/corosync/qnetd && exec corosync-qnetd-certutil -i -G';
  const made = await execute(["unshare", "--mount", "sh", "-c", make, "sh", place]);
  equal(made.code, 0, made.err);
  await booted(takeover)(release);
};

/** The certificates of Debian's server as its package leaves them: root's, and the service's user may only read. */
async function takeover(root: Root): Promise<void> {
  const store = "/etc/corosync/qnetd/nssdb";
  const fingerprint = `openssl x509 -noout -fingerprint -in ${store}/qnetd-cacert.crt`;
  await good(
    root.shell(
      `useradd --system --user-group --no-create-home coroqnetd
mkdir -p /etc/corosync; cp -r /release/debian /etc/corosync/qnetd
chmod 0750 ${store}; chmod 0640 ${store}/*.db; chgrp coroqnetd ${store} ${store}/cert9.db ${store}/key4.db`,
    ),
  );
  const authority = await good(root.shell(fingerprint));
  const out = await good(root.shell(`${install} qnetd`));
  match(closing(out)[1] ?? "", /^vote server is running: service quorate-qnetd of systemd/);
  match(await good(root.shell("quorate qnetd status")), /^qnetd-server\.pem /m);
  equal(await good(root.shell(fingerprint)), authority);
  await good(root.shell("systemctl restart quorate-qnetd; quorate qnetd certificates renew"));
  match(await good(root.shell("quorate qnetd status")), /^qnetd-server\.pem /m);
  const invite = "quorate qnetd invite home --address 192.0.2.7";
  match((await root.shell(invite)).err, /Repeat with --let-server-sign/);
  match(
    await good(root.shell(`${invite} --let-server-sign 2>/dev/null`)),
    /^quorate qdevice setup /m,
  );
}

const standIn: Scenario = async (release) => {
  await versions(release);
  await machine(release, { kind: "glibc", shape: systemd }, async (root) => {
    await listen(root);
    await closedDirectory(root);
    await crashes(root, "qnetd");
    // An end that no other start mends.
    await good(
      root.shell(
        "sed -i 's|^ExecStart=.*|ExecStart=/bin/false|; s|^RestartPrevent.*|RestartPreventExitStatus=1|' /etc/systemd/system/quorate-qnetd.service",
      ),
    );
    ok((await root.shell("systemctl restart quorate-qnetd")).code !== 0);
    equal(await property(root, "qnetd", "ActiveState"), "failed");
    match(await good(root.shell("tail -n 1 /run/stand-in/calls")), /^failed: quorate-rescue@qnetd/);
    // A program that ends again and again, with a pause that does not work, meets the limit.
    await good(
      root.shell(
        "sed -i 's|^RestartPrevent.*||; s|^RestartSec=.*|RestartSec=0|; s|^ExecStartPre=-.*||; s|^StartLimitBurst=.*|StartLimitBurst=5|' /etc/systemd/system/quorate-qnetd.service; systemctl reset-failed quorate-qnetd",
      ),
    );
    ok((await root.shell("systemctl start quorate-qnetd")).code !== 0);
    const hasFailed = async (): Promise<boolean> =>
      (await property(root, "qnetd", "ActiveState")) === "failed";
    await until("the limit is met", hasFailed);
    equal(await property(root, "qnetd", "NRestarts"), "5");
    const mend =
      "sed -i 's|^ExecStart=.*|ExecStart=/usr/local/bin/quorate qnetd|' /etc/systemd/system/quorate-qnetd.service";
    await startAsAdvised(root, "qnetd", mend);
  });
};

const node = booted(async (root) => {
  const before = await root.listing();
  const early = await good(root.shell(`${install} node`));
  match(closing(early)[1] ?? "", /^cluster node is running: service quorate-node of systemd/);
  // The node restarts in place: its manager sees one process all the time.
  const pid = await property(root, "node", "MainPID");
  await good(root.shell("quorate create home --link0 127.0.0.1"));
  match(await good(root.shell("quorate status")), /in cluster home, configuration 1, encrypted/);
  await until("it runs again", isActive(root, "node"));
  equal(await property(root, "node", "MainPID"), pid);
  equal(await property(root, "node", "NRestarts"), "0");
  const out = await good(root.shell(`${install} node`));
  match(closing(out)[1] ?? "", /^cluster node is running: service quorate-node of systemd/);
  await good(root.shell("quorate status; echo 1 >/etc/pve/one; grep 1 /etc/pve/one"));

  await crashes(root, "node");
  await good(root.shell("quorate status; grep 1 /etc/pve/one"));
  await upgrades(root, "node");
  await good(root.shell("quorate status; grep 1 /etc/pve/one"));

  // A configuration that is wrong does not become right by another start.
  await good(root.shell("sed -i 's/^totem/tote/' /etc/corosync/corosync.conf"));
  await root.shell("systemctl restart quorate-node");
  await until(
    "it has failed",
    async () => (await property(root, "node", "ActiveState")) === "failed",
  );
  equal(await property(root, "node", "NRestarts"), "0");
  await startAsAdvised(root, "node", "sed -i 's/^tote/totem/' /etc/corosync/corosync.conf");
  await good(root.shell("quorate uninstall --purge --yes"));
  equal(await pidOf(root, "node"), "");
  equal(await good(root.shell("grep /etc/pve /proc/mounts || true")), "");
  same(await root.listing(), before);
});

/** What a machine without a systemd of its own can play. */
export const restartScenarios: Readonly<Record<string, Scenario>> = { "systemd-restarts": standIn };

export const bootedScenarios: Readonly<Record<string, Scenario>> = {
  "booted-vote-server": server,
  "booted-closed-directory": booted(closedDirectory),
  "booted-takeover": withDebianStore,
  "booted-node": node,
};
