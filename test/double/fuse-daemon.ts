// For tests only: a process that mounts a tree in memory on the directory it is given, says so, and waits to be killed.
import { FuseMount } from "../../src/fs/fuse/mount.ts";
import { TestingFiles } from "./fuse-files.ts";

const files = new TestingFiles();
await files.create("from-the-daemon");
const mounted = await FuseMount.mount({
  target: process.argv[2] ?? "",
  files,
  gid: 33,
  log: (level, text) => process.stderr.write(`${level}: ${text}\n`),
});
process.stdout.write(mounted.ok ? "mounted\n" : `${mounted.errno}: ${mounted.reason}\n`);
