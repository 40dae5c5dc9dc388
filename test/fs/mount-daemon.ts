// A process that mounts the tree of one database, alone, until SIGTERM: `bun mount-daemon.ts DIRECTORY TARGET NAME`.
import { ConfigurationTree } from "../../src/fs/fs.ts";
import { FuseMount } from "../../src/fs/fuse/mount.ts";
import { groupId } from "../../src/libc.ts";

const [directory = "", target = "", nodeName = ""] = process.argv.slice(2);
const gid = groupId("www-data") ?? 0;
const opened = await ConfigurationTree.open({
  directory,
  nodeid: 1,
  nodeName,
  pid: process.pid,
  gid,
  groups: undefined,
  cluster: undefined,
  corosyncConfPath: `${directory}/corosync.conf`,
  durability: "full",
  wallS: () => Math.floor(Date.now() / 1000),
  log: ({ text }) => console.error(text),
  onFatal: (reason) => {
    throw new Error(reason);
  },
  onCorosyncConf: () => undefined,
});
if (!opened.ok) throw new Error(opened.reason);
const mounted = await FuseMount.mount({
  target,
  files: opened.value,
  gid,
  log: (_level, text) => console.error(text),
});
if (!mounted.ok) throw new Error(mounted.reason);
process.on("SIGTERM", () => {
  void (async () => {
    await mounted.value.unmount();
    await opened.value.stop();
    process.exit(0);
  })();
});
console.log("ready");
