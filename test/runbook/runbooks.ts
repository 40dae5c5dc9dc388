// The tasks of docs/, one function each, as they are typed at empty machines. What a page promises is asked for with the tools that
// people use: pvecm, corosync-quorumtool, corosync-cfgtool, files below /etc/pve.
import { deepStrictEqual as equal, match, ok } from "node:assert/strict";
import { type Machine, password, Site } from "./site.ts";

/** The first machines of a site, all of them members of the cluster "prod". */
/** All run with another key, the ring goes on, and a node that starts again finds it. */
async function keyChanged(member: Machine, all: readonly Machine[]): Promise<void> {
  const keys = async (): Promise<ReadonlySet<string>> =>
    new Set(await Promise.all(all.map((each) => each.types("sha256sum </etc/corosync/authkey"))));
  const [before] = [...(await keys())];
  match(await member.types("quorate rotate-key --yes"), /All nodes use the new key/);
  const after = [...(await keys())];
  equal(after.length, 1);
  ok(after[0] !== before);
  await member.refuses("ls /etc/pve/priv/quorate/next-key", 2, /No such file/);
  const last = all.at(-1) ?? member;
  await last.stop();
  await last.start();
  await quorate(all, all.length);
}

/** A join that waits for another node's place is given up; the machine is standalone, as before. */
async function givenUp(member: Machine, joiner: Machine): Promise<void> {
  const place = "--link0 10.78.0.99 --new_node_ip 10.78.0.99 --apiversion 1";
  await member.types(`pvecm addnode ghost ${place}`);
  await joiner.types(`${await joinLine(member)} >/tmp/join.log 2>&1 &`);
  await joiner.comesTo("cat /tmp/join.log", /^waiting: /m);
  match(await joiner.types("quorate status"), /^Change +join since /m);
  match(
    await joiner.types("quorate join --abort"),
    /The join is given up: this node is standalone/,
  );
  match(await joiner.types("quorate join --abort"), /No join is under way/);
  // Whoever followed the join is told what became of it.
  await joiner.comesTo(
    "cat /tmp/join.log",
    /this join was given up meanwhile .*standalone, as before/,
  );
  ok(!(await member.types("cat /etc/pve/corosync.conf")).includes(joiner.name));
  await member.types("pvecm delnode ghost");
}

async function members(site: Site, count: number): Promise<Machine[]> {
  const [first, ...others] = site.machines.slice(0, count);
  if (first === undefined) throw new Error("a site has machines");
  await first.start();
  await first.types("quorate create prod");
  for (const machine of others) {
    await machine.start();
    await machine.types(await joinLine(first));
  }
  await quorate([first, ...others], count);
  return [first, ...others];
}

/** The command line that a member prints for the next machine. */
async function joinLine(member: Machine): Promise<string> {
  const out = await member.types("quorate join-token");
  const line = /quorate join quoratejoin1\.\S+/.exec(out)?.[0];
  if (line === undefined) throw new Error(`no command line in: ${out}`);
  return line;
}

/** Until each of them says that so many votes are there. */
async function quorate(machines: readonly Machine[], votes: number): Promise<void> {
  for (const machine of machines)
    await machine.comesTo("pvecm status", new RegExp(`^Total votes: +${votes}\n`, "m"));
}

const isQuorate = /^Quorate: +Yes$/m;

export const runbooks: Readonly<Record<string, (site: Site) => Promise<void>>> = {
  async "create, join, verify"(site) {
    const [one, two, three] = site.machines as [Machine, Machine, Machine];
    await one.start();
    match(await one.types("quorate create prod"), /The cluster prod is there/);
    match(await one.types("quorate create prod"), /so already/);
    match(await one.types("pvecm status"), /^Name: +prod\nConfig Version: +1\n/m);

    const line = await joinLine(one);
    await two.start();
    await two.types(line);
    await three.start();
    // A token is for one machine.
    await three.refuses(line, 1, /used/);
    match(await three.types("quorate status"), /standalone/);
    const { fingerprint } = JSON.parse(await one.types("quorate join-info --json")) as {
      fingerprint: string;
    };
    await three.refuses(
      `quorate join pve1 --fingerprint ${fingerprint} --password-file -`,
      1,
      /password/,
      "wrong\n",
    );
    await three.types(
      `quorate join pve1 --fingerprint ${fingerprint} --password-file -`,
      `${password}\n`,
    );

    await quorate(site.machines, 3);
    for (const machine of site.machines) {
      match(await machine.types("pvecm status"), isQuorate);
      const nodes = await machine.types("pvecm nodes");
      equal(
        nodes.match(/pve\d( \(local\))?$/gm),
        site.machines.map(({ name }) => (name === machine.name ? `${name} (local)` : name)),
      );
    }
    await two.types("echo hello >/etc/pve/greeting");
    await three.comesTo("cat /etc/pve/greeting", /^hello$/m);
    await one.types("ls -d /etc/pve/nodes/pve3/qemu-server /etc/pve/nodes/pve3/lxc");
    await three.types(
      `quorate join pve1 --fingerprint ${fingerprint} --password-file -`,
      `${password}\n`,
    );
  },

  async "a redundant link"(site) {
    const machines = await members(site, 3);
    const [one, , three] = machines as [Machine, Machine, Machine];
    const words = machines.map(({ name, addresses }) => `${name}=${addresses[1]}`).join(" ");
    match(
      await one.types(`quorate link add 1 ${words} --dry-run`),
      /^\+ +ring1_addr: 10\.79\.0\.2$/m,
    );
    await one.types(`quorate link add 1 ${words}`);
    await three.comesTo("corosync-cfgtool -s", /LINK ID 1 udp\n(?:.*\n)*.*nodeid: +1:\tconnected/);
    // One network fails; the ring stays.
    for (const [peer] of [one.addresses, (machines[1] as Machine).addresses]) await three.cut(peer);
    await three.comesTo(
      "corosync-cfgtool -s",
      /LINK ID 0 udp\n.*\n.*\n\t\tnodeid: +1:\tdisconnected/,
    );
    match(await three.types("pvecm status"), /^Total votes: +3\n/m);
    await three.types("echo there >/etc/pve/over-link-1");
    await one.comesTo("cat /etc/pve/over-link-1", /there/);
    await three.heal();
    await three.comesTo("corosync-cfgtool -s", /LINK ID 0 udp\n.*\n.*\n\t\tnodeid: +1:\tconnected/);
    // Each side finds out by itself.
    await one.comesTo(
      "corosync-cfgtool -s",
      /LINK ID 0 udp\n(?:(?!LINK).*\n)*\t\tnodeid: +3:\tconnected/,
    );
    await one.types("quorate link remove 1");
    ok(!(await one.types("cat /etc/pve/corosync.conf")).includes("ring1_addr"));
  },

  async "remove a node, and let it join again"(site) {
    const [one, two, three] = (await members(site, 3)) as [Machine, Machine, Machine];
    await one.refuses("pvecm delnode pve1", 255, /Cannot delete myself from cluster!/);
    await one.refuses("pvecm delnode pve9", 255, /is not a known host of the cluster/);
    await three.powerOff();
    await quorate([one, two], 2);
    match(await one.types("pvecm delnode pve3"), /Killing node 3/);
    await two.comesTo("pvecm status", /^Expected votes: +2\n/m);
    ok(!(await two.types("cat /etc/corosync/corosync.conf")).includes("pve3"));
    // It comes back with what it had: nobody is disturbed, and it has no quorum.
    await three.start();
    await three.comesTo("pvecm status; true", /Activity blocked/);
    match(await one.types("pvecm status"), /^Total votes: +2\n/m);
    const told =
      /no member of its cluster any more, says pve\d: it was removed on .* by root@pam\./;
    await three.comesTo("quorate status; true", told, 150_000);
    match(await three.log(), told);
    // The same again is no failure; a name that nobody knows is.
    match(
      await one.types("quorate remove pve3"),
      /^pve3 is out of the cluster already: it was rem/,
    );
    await two.refuses("pvecm delnode pve3", 255, /is not a known host of the cluster/);
    await one.refuses("quorate remove pve9", 1, /nothing shows that it ever was one/);
    await three.refuses("quorate leave --yes", 1, told);
    await three.refuses("quorate leave --local --yes", 1, /stop it first/);
    await three.stop();
    await three.types("quorate leave --local --yes");
    await three.start();
    match(await three.types("quorate status"), /standalone/);
    match(await three.types("quorate leave --yes"), /standalone already/);
    await givenUp(one, three);
    await three.types(await joinLine(one));
    await quorate([one, two, three], 3);
    await keyChanged(one, [one, two, three]);
    // Removed while it runs, it ends and is not started again: nobody does that without being asked.
    await one.refuses("setsid -w quorate remove pve3", 2, /needs --yes here/);
    await one.types("quorate remove pve3 --purge --yes");
    await three.ended();
    match(await three.log(), /Killed by node \d : pve3 was removed from the cluster/);
    equal(await one.types("ls /etc/pve/nodes"), "pve1\npve2\n");
    await three.refuses(
      "quorate node",
      8,
      /it was removed on .* by root@pam.*quorate leave --local/s,
    );
    await three.types("quorate leave --local --yes");
    await three.start();
    await three.types(await joinLine(one));
    await quorate([one, two, three], 3);
  },

  async leave(site) {
    const [one, two, three] = (await members(site, 3)) as [Machine, Machine, Machine];
    match(await three.types("quorate leave --yes"), /standalone/);
    match(await three.types("quorate status"), /standalone/);
    await quorate([one, two], 2);
    await one.comesTo("pvecm status", /^Expected votes: +2\n/m);
    await three.types(await joinLine(two));
    await quorate([one, two, three], 3);
    // What it left in the tree may go later; the last node may leave, and begin anew.
    await three.types("quorate leave --yes");
    await one.types("quorate remove pve3 --purge --yes");
    equal(await one.types("ls /etc/pve/nodes"), "pve1\npve2\n");
    await two.types("quorate leave --yes");
    await one.comesTo("pvecm status", /^Expected votes: +1\n/m);
    match(await one.types("quorate leave --yes"), /standalone/);
    match(await one.types("pvecm create anew"), /corosync/);
    await quorate([one], 1);
  },

  async "emergency override"(site) {
    const [one, two, three] = (await members(site, 3)) as [Machine, Machine, Machine];
    await two.powerOff();
    await three.powerOff();
    await one.comesTo("pvecm status; true", /Activity blocked/);
    await one.refuses("echo x >/etc/pve/x", 2, /Permission denied/);
    await one.types("pvecm expected 1");
    match(await one.types("pvecm status"), isQuorate);
    await one.types("echo x >/etc/pve/x");
    match(await one.types("quorate status"), /expected votes.*overridden|override/i);
    await one.refuses("quorate remove pve2 --yes", 1, /2 of them needed, and 1 is here/);
    match(await one.types("pvecm status"), isQuorate);
    await two.start();
    await three.start();
    await quorate([one, two, three], 3);
    await one.comesTo("pvecm status", /^Expected votes: +3\n/m);
    ok(!/override/i.test(await one.types("quorate status")));
    await three.comesTo("cat /etc/pve/x", /x/);
  },

  async "firewall ports"(site) {
    const [one, two] = site.machines as [Machine, Machine];
    await one.start();
    await one.types("quorate create prod");
    const line = await joinLine(one);
    await two.start();
    await two.types(
      "nft add table inet wall && nft add chain inet wall in '{ type filter hook input priority 0; }' && nft add rule inet wall in udp dport 5405 drop",
    );
    await two.refuses(line, 1, /5405/);
    match(await two.types("quorate status"), /standalone/);
    match(await one.types("pvecm status"), /^Expected votes: +1\n/m);
    await two.types("nft delete table inet wall");
    // What was refused before it began has not used up the token.
    await two.types(line);
    await quorate([one, two], 2);
  },

  async "config_version mistakes"(site) {
    const [one, two] = (await members(site, 2)) as [Machine, Machine];
    const conf = await one.types("cat /etc/pve/corosync.conf");
    const version = Number(/config_version: (\d+)/.exec(conf)?.[1]);
    // Forgotten to raise it.
    const edit = (from: number, to: number, name = "corosync.conf.new"): string =>
      `sed 's/config_version: ${from}/config_version: ${to}/; s/debug: off/debug: on/' /etc/pve/corosync.conf >/etc/pve/${name}`;
    await one.types(edit(version, version - 1));
    await one.types("mv /etc/pve/corosync.conf.new /etc/pve/corosync.conf");
    await one.comesTo("quorate status", /has config_version \d+, older than/);
    // Raised above what the nodes have, it is in force on all of them.
    await one.types(edit(version - 1, version + 1));
    await one.types("mv /etc/pve/corosync.conf.new /etc/pve/corosync.conf");
    await two.comesTo(
      "corosync-cmapctl -g totem.config_version",
      new RegExp(`= ${version + 1}$`, "m"),
    );
    await quorate([one, two], 2);
  },

  async "a node that was off while corosync.conf changed"(site) {
    const [one, two, three] = (await members(site, 3)) as [Machine, Machine, Machine];
    await three.powerOff();
    await quorate([one, two], 2);
    const conf = await one.types("cat /etc/pve/corosync.conf");
    const version = Number(/config_version: (\d+)/.exec(conf)?.[1]);
    await one.refuses(
      "sed 's/debug: off/debug: on/' /etc/pve/corosync.conf >/root/new.conf; quorate fs put corosync.conf /root/new.conf",
      1,
      new RegExp(`it must have ${version + 1}`),
    );
    await one.types(
      `sed -i 's/config_version: .*/config_version: ${version + 1}/' /root/new.conf; quorate fs put corosync.conf /root/new.conf`,
    );
    await two.comesTo(
      "corosync-cmapctl -g totem.config_version",
      new RegExp(`= ${version + 1}$`, "m"),
    );
    await three.start();
    await quorate([one, two, three], 3);
    await three.comesTo(
      "corosync-cmapctl -g totem.config_version",
      new RegExp(`= ${version + 1}$`, "m"),
    );
    await three.comesTo(
      "grep -h different /var/log/node.log",
      /the tree is expected to bring the cluster's corosync.conf within 30 s/,
    );
    await quorate([one, two, three], 3);
  },

  async "readdress and rename"(site) {
    const [one, two, three] = (await members(site, 3)) as [Machine, Machine, Machine];
    await three.types("ip address add 10.78.0.33/24 dev eth0");
    await one.types("quorate readdress pve3 --link0 10.78.0.33");
    await two.comesTo("corosync-quorumtool -siH || true", /10\.78\.0\.33/);
    await quorate([one, two, three], 3);
    match(await one.types("quorate rename pve3 alpha"), /alpha/);
    await three.stop();
    await three.types(
      "hostname alpha; echo alpha >/etc/hostname; sed -i 's/pve3/alpha/' /etc/hosts",
    );
    await three.start();
    await quorate([one, two, three], 3);
    match(await two.types("pvecm nodes"), /^ +3 +1 alpha$/m);
    await two.types("ls -d /etc/pve/nodes/alpha/qemu-server");
  },

  async "a quorum device"(site) {
    const [one, two] = (await members(site, 2)) as [Machine, Machine];
    const server = site.machines[2] as Machine;
    await server.types("setsid quorate qnetd >/var/log/qnetd.log 2>&1 </dev/null &");
    const invitation = await server.comesTo(
      "quorate qnetd invite prod --address 10.78.0.3",
      /quorate1\.\S+/,
    );
    await one.types(`quorate qdevice setup ${/quorate1\.\S+/.exec(invitation)?.[0]}`);
    await quorate([one, two], 3);
    await two.powerOff();
    await one.comesTo(
      "pvecm status",
      /^Nodes: +1\n(?:.*\n)*Quorate: +Yes\n(?:.*\n)*Total votes: +2\n/m,
    );
    await two.start();
    await quorate([one, two], 3);
    await one.types("quorate qdevice remove");
    await quorate([one, two], 2);
  },
};
