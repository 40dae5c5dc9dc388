// Machines of a laboratory as `pvecm qdevice setup` meets them: a real sshd with keys and passwords of its own, a home of root of its
// own. Everything is mounted inside the machine's namespace only; the ssh files of the computer under it are never touched.
import { chmod, cp, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { LabNode } from "../lab.ts";
import { pending, ready, until } from "../wait.ts";

const startMsMax = 20_000;
const keyMsMax = 30_000;
/** Where a vote server's whole root is seen by its sshd; every directory above belongs to root, as ChrootDirectory wants it. */
export const jail = "/srv";

/** Runs words inside a machine; throws with everything they printed unless they end with 0. */
export async function must(machine: LabNode, ...words: readonly string[]): Promise<string> {
  const done = await machine.exec(words, { deadlineMs: 60_000 });
  if (done.code === 0) return done.stdout;
  throw new Error(`${machine.name}: ${words.join(" ")}: ${done.code} ${done.stdout}${done.stderr}`);
}

/** An /etc of the machine's own, with this password for root and /bin/sh as its shell. */
async function makeEtc(machine: LabNode, password: string): Promise<void> {
  const hash = (await must(machine, "openssl", "passwd", "-6", password)).trim();
  await must(
    machine,
    "sh",
    "-euc",
    'cp -a /etc "$1/private-etc"; mount --bind "$1/private-etc" /etc; mount --bind "$1/etc/corosync" /etc/corosync',
    "sh",
    machine.root,
  );
  const etc = join(machine.root, "private-etc");
  await writeFile(
    join(etc, "passwd"),
    "root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n",
  );
  await writeFile(join(etc, "shadow"), `root:${hash}:20000:0:99999:7:::\nsshd:!:20000::::::\n`, {
    mode: 0o600,
  });
}

/** Starts sshd with these further lines of its configuration, once `/run/sshd` and a host key are there. */
async function startSshd(machine: LabNode, lines: readonly string[]): Promise<string> {
  const run = join(machine.root, "run");
  await mkdir(join(run, "sshd"), { mode: 0o755 });
  await must(machine, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/host_key");
  const text = [
    "Port 22",
    `ListenAddress ${machine.address}`,
    "HostKey /run/host_key",
    "PidFile none",
    "UsePAM no",
    "PermitRootLogin yes",
    "KbdInteractiveAuthentication no",
    "StrictModes no",
    "UseDNS no",
    ...lines,
    "",
  ].join("\n");
  await writeFile(join(run, "sshd_config"), text);
  machine.spawn(
    ["/usr/sbin/sshd", "-D", "-e", "-f", "/run/sshd_config"],
    join(machine.root, "sshd.log"),
  );
  await until(
    async () => {
      const { stdout } = await machine.exec(["ss", "-Hltn", "sport = :22"]);
      return stdout.includes(":22") ? ready(undefined) : pending("nobody listens on port 22");
    },
    startMsMax,
    `sshd of ${machine.name} listens`,
  );
  return (await must(machine, "cat", "/run/host_key.pub")).trim();
}

/** A Proxmox node's ssh: root's home and key, known hosts and authorised keys shared by all nodes of its cluster, /etc/pve shared. */
export async function makeNode(machine: LabNode, shared: string): Promise<void> {
  const home = join(machine.root, "home");
  await mkdir(join(home, ".ssh"), { recursive: true, mode: 0o700 });
  await must(machine, "mount", "--bind", home, "/root");
  await makeEtc(machine, crypto.randomUUID());
  // 3072 bits as on a Proxmox node would take seconds on a small machine.
  await must(
    machine,
    "ssh-keygen",
    "-q",
    "-t",
    "rsa",
    "-b",
    "2048",
    "-N",
    "",
    "-f",
    "/root/.ssh/id_rsa",
  );
  await must(machine, "mkdir", "-p", "/etc/pve");
  await must(machine, "mount", "--bind", shared, "/etc/pve");
  const hostKey = await startSshd(machine, [
    "PasswordAuthentication no",
    "AuthorizedKeysFile /etc/pve/authorized_keys",
  ]);
  await must(
    machine,
    "sh",
    "-euc",
    'cat /root/.ssh/id_rsa.pub >>/etc/pve/authorized_keys; printf "%s %s\\n" "$1" "$2" >>/etc/pve/known_hosts; ln -sf /etc/pve/known_hosts /root/.ssh/known_hosts',
    "sh",
    `${machine.name},${machine.address}`,
    hostKey,
  );
  await makeSystemctl(machine);
}

/** What systemctl is asked is written down: the runner does it, so that no daemon outlives the laboratory. */
async function makeSystemctl(machine: LabNode): Promise<void> {
  const directory = join(machine.root, "sbin");
  await mkdir(directory);
  await writeFile(join(directory, "systemctl"), '#!/bin/sh\necho "$*" >>/run/systemctl.log\n');
  await chmod(join(directory, "systemctl"), 0o755);
  await must(machine, "mount", "--bind", directory, "/usr/local/sbin");
}

/** The vote server's host: a root that holds our file under its links, busybox and what both load, and nothing else. */
export async function makeVoteHost(
  machine: LabNode,
  binary: string,
  password: string,
): Promise<void> {
  const root = join(machine.root, "jail");
  for (const part of [
    "bin",
    "dev",
    "etc/corosync/qnetd",
    "proc",
    "root",
    "run",
    "tmp",
    "usr/bin",
    "var",
  ]) {
    await mkdir(join(root, part), { recursive: true });
  }
  await chmod(root, 0o755);
  await chmod(join(root, "tmp"), 0o1777);
  await writeFile(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  await writeFile(join(root, "dev/null"), "");
  await cp(binary, join(root, "usr/bin/quorate"));
  const busybox = Bun.which("busybox") ?? "/usr/bin/busybox";
  await cp(busybox, join(root, "bin/busybox"));
  for (const library of await librariesOf(machine, [binary, busybox])) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await cp(library, join(root, library), { dereference: true });
  }
  await must(
    machine,
    "sh",
    "-euc",
    `mount --bind "$1" ${jail}
mount -t proc proc ${jail}/proc
mount --bind /dev/null ${jail}/dev/null
ln -s /run ${jail}/var/run
for link in corosync-qnetd corosync-qnetd-tool corosync-qnetd-certutil; do ln -s quorate ${jail}/usr/bin/$link; done
chroot ${jail} /bin/busybox --install -s /bin`,
    "sh",
    root,
  );
  await makeEtc(machine, password);
  await startSshd(machine, [
    "PasswordAuthentication yes",
    `AuthorizedKeysFile ${jail}/root/.ssh/authorized_keys`,
    "Subsystem sftp internal-sftp",
    `ChrootDirectory ${jail}`,
  ]);
}

async function librariesOf(machine: LabNode, files: readonly string[]): Promise<Set<string>> {
  const found = new Set<string>();
  for (const file of files) {
    const text = await must(machine, "ldd", file);
    for (const [, path] of text.matchAll(/(\/\S+) \(0x/g)) if (path !== undefined) found.add(path);
  }
  return found;
}

/** `ssh-copy-id` with a person's answers: yes to the unknown host, then the password (step 1 of pvecm). */
export async function copyKey(
  machine: LabNode,
  address: string,
  password: string,
): Promise<string> {
  const answers = join(machine.root, "run/answers");
  await writeFile(
    answers,
    `#!/bin/sh\ncase "$1" in *yes/no*) echo yes ;; *) echo '${password}' ;; esac\n`,
  );
  await chmod(answers, 0o700);
  const person = ["SSH_ASKPASS=/run/answers", "SSH_ASKPASS_REQUIRE=force"];
  const words = ["ssh-copy-id", "-i", "/root/.ssh/id_rsa", `root@${address}`];
  const done = await machine.exec(["env", ...person, ...words], { deadlineMs: keyMsMax });
  if (done.code !== 0) throw new Error(`${words.join(" ")}: ${done.stdout}${done.stderr}`);
  return done.stdout;
}
