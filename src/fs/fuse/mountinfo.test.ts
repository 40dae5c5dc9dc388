import { expect, test } from "bun:test";
import { mountedOn } from "./mountinfo.ts";

const table = `22 27 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
61 27 0:43 / /etc/pve rw,nosuid,nodev,relatime shared:50 - fuse /dev/fuse rw,user_id=0,group_id=0
62 27 0:44 / /mnt/with\\040space rw - tmpfs none rw
63 61 0:45 / /etc/pve rw - fuse.sshfs me@there:/x rw
64 27 0:46 / /a rw broken line
`;

test("the uppermost mount on a directory is found", () => {
  expect(mountedOn(table, "/etc/pve")).toEqual({ type: "fuse.sshfs", source: "me@there:/x" });
  expect(mountedOn(table, "/mnt/with space")).toEqual({ type: "tmpfs", source: "none" });
  expect(mountedOn(table, "/")).toEqual({ type: "ext4", source: "/dev/root" });
  for (const absent of ["/etc", "/etc/pve/", "/a", ""])
    expect(mountedOn(table, absent)).toBeUndefined();
  expect(mountedOn("", "/")).toBeUndefined();
});
