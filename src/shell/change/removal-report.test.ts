// What a person is told before a node goes: votes as they are and will be, and what of it is where.
import { expect, test } from "bun:test";
import { PaperCluster, paperConf } from "../../../test/double/paper-cluster.ts";
import { withDevice } from "../conf/device.ts";
import { reportRemoval } from "./removal-report.ts";

const reason = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "no reason",
    (error: unknown) => (error instanceof Error ? error.message : "no error"),
  );

test("votes before and after, guests apart from the rest, who else names it", async () => {
  const cluster = new PaperCluster(paperConf(3));
  cluster.addFile("nodes/pve2/pve-ssl.pem");
  cluster.addFile("nodes/pve2/qemu-server/100.conf");
  cluster.addFile("nodes/pve2/lxc/101.conf");
  cluster.addFile("priv/authorized_keys", "ssh-rsa B root@pve2\n");
  cluster.addFile("ha/groups.cfg", "group: a\n  nodes pve2,pve3\n");
  expect(await reportRemoval(cluster.ports(), "pve2")).toEqual({
    ...{ name: "pve2", nodeid: 2, isMember: true, isEnded: true, refusal: "" },
    before: { all: 3, needed: 2, present: 3 },
    after: { all: 2, needed: 2, present: 2 },
    notes: [],
    guests: ["nodes/pve2/lxc/101.conf", "nodes/pve2/qemu-server/100.conf"],
    files: ["nodes/pve2/pve-ssl.pem"],
    lines: ["priv/authorized_keys"],
    naming: ["ha/groups.cfg"],
  });
  expect(cluster.written).toEqual([]);
  cluster.on.delete(2);
  expect(await reportRemoval(cluster.ports(), "10.0.0.2")).toMatchObject({
    ...{ name: "pve2", isMember: false, isEnded: false },
    before: { all: 3, needed: 2, present: 2 },
    after: { all: 2, needed: 2, present: 2 },
  });
});

test("the votes of a device follow the number of nodes", async () => {
  const device = { host: "10.0.0.9", port: 5403, tls: "off" } as const;
  const with3 = withDevice(paperConf(3), { ...device, algorithm: "lms", votes: undefined });
  if (!with3.ok) throw new Error(with3.reason);
  const cluster = new PaperCluster(with3.value.text);
  const seen = await reportRemoval(cluster.ports(), "pve3");
  expect(seen.before.all).toBe(5);
  // Of two nodes it has one vote; on paper it is not there.
  expect(seen.after).toEqual({ all: 3, needed: 2, present: 2 });
  expect(seen.notes.join()).toContain("ffsplit");
});

test("what cannot be is said with its reason; who is nowhere is unknown", async () => {
  const cluster = new PaperCluster(paperConf(3));
  expect(await reportRemoval(cluster.ports(), "pve1")).toMatchObject({
    refusal: "Cannot delete myself from cluster!",
    isEnded: false,
  });
  cluster.on.delete(2);
  cluster.on.delete(3);
  cluster.isOverridden = true;
  expect((await reportRemoval(cluster.ports(), "pve2")).refusal).toContain(
    "the override of the expected votes ends with any change",
  );
  for (const word of ["pve9", "../x", "a b"]) {
    expect(await reason(reportRemoval(cluster.ports(), word))).toBe(
      `Node/IP: ${word} is not a known host of the cluster.`,
    );
  }
});

test("one that is out already, and has left files", async () => {
  const cluster = new PaperCluster(paperConf(2));
  cluster.addFile("nodes/gone/qemu-server/7.conf");
  expect(await reportRemoval(cluster.ports(), "gone")).toMatchObject({
    ...{ name: "gone", nodeid: 0, isMember: false, refusal: "" },
    before: { all: 2, needed: 2, present: 2 },
    after: { all: 2, needed: 2, present: 2 },
    guests: ["nodes/gone/qemu-server/7.conf"],
  });
});
