// `quorate fs` against a real local API over a tree of one node: names that are no text, whole directories, refusals with their path,
// bodies that nobody may send.
import { afterEach, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { treeSource } from "../../../../test/double/tree-source.ts";
import { ConfigurationTree } from "../../../fs/fs.ts";
import { buildApi } from "../../api/api.ts";
import { listen } from "../../api/api-socket.ts";
import { CommandFailure } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { type FsOptions, fsCommand } from "./fs.ts";

let root = "";
let tree: ConfigurationTree;
/** Content of a corosync.conf that the node is to find wrong, and why. */
let wrong: readonly [string, string] = ["", ""];
const undo: (() => unknown)[] = [];

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), "quorate-fs-command-"));
  undo.push(() => rmSync(root, { recursive: true }));
  const opened = await ConfigurationTree.open({
    ...{ directory: join(root, "db"), nodeid: 1, nodeName: "n1", pid: 1 },
    ...{ groups: undefined, cluster: undefined, durability: "normal" as const },
    corosyncConfPath: join(root, "corosync.conf"),
    wallS: () => 1000,
    log: () => {},
    onFatal: (reason) => expect(reason).toBeUndefined(),
    onCorosyncConf: () => {},
  });
  if (!opened.ok) throw new Error(opened.reason);
  tree = opened.value;
  undo.push(() => tree.stop());
  const source = treeSource(tree, {
    confProblem: async (content) => (Buffer.from(content).toString() === wrong[0] ? wrong[1] : ""),
  });
  const listening = listen(buildApi(source), nodePaths(root).socket);
  undo.push(() => listening.close());
});
afterEach(async () => {
  for (const one of undo.splice(0).toReversed()) await one();
});

/** What a line prints, or the sentence it ends with. */
async function fs(
  [verb, path = "", other]: readonly [FsOptions["verb"], ...string[]],
  over: Partial<FsOptions> = {},
): Promise<string> {
  let out = "";
  const write = (bytes: string | Uint8Array) => void (out += Buffer.from(bytes).toString("latin1"));
  const stdin = async () => new TextEncoder().encode("from stdin\n");
  try {
    await fsCommand({ root, json: false, verb, path, other, write, stdin, ...over });
    return out;
  } catch (error) {
    if (error instanceof CommandFailure) return `! ${error.message}`;
    throw error;
  }
}

const content = (path: string) => {
  const read = tree.read(path);
  return read.ok ? Buffer.from(read.value).toString("latin1") : read.errno;
};

test("names that are no text are shown escaped, and taken so by every verb", async () => {
  const name = "bad\xff\x1b[2J\\";
  await tree.create(name);
  await tree.write(name, 0, new TextEncoder().encode("x"));
  const text = "bad\\xff\\x1b[2J\\\\";
  expect(await fs(["ls"])).toContain(` ${text}\n`);
  expect(await fs(["dump"])).toContain(`${text}\tfile`);
  expect(JSON.parse(await fs(["dump"], { json: true }))).toContainEqual(
    expect.objectContaining({ path: text }),
  );
  expect(await fs(["cat", text])).toBe("x");
  expect(await fs(["mv", text, "dir\\xfe"])).toBe("");
  expect(await fs(["put", "dir\\xfe"])).toBe("");
  expect(content("dir\xfe")).toBe("from stdin\n");
  expect(await fs(["rm", "dir\\xfe"])).toBe("");
  expect(await fs(["mkdir", "d\\xff"])).toBe("");
  expect(await fs(["mkdir", "d\\xff/e\\x80"])).toBe("");
  expect(await fs(["ls", "d\\xff"])).toContain(" e\\x80\n");
  expect(tree.stat("d\xff/e\x80").ok).toBe(true);
});

test("what is refused names its path", async () => {
  for (const [args, expected] of [
    [["cat", "no/such"], "! no/such: no such file or directory (ENOENT)"],
    [["ls", "no\\xff"], "! no\\xff: no such file or directory (ENOENT)"],
    [["rm", "gone"], "! gone: no such file or directory (ENOENT)"],
    [["mv", "a", "b"], "! a to b: no such file or directory (ENOENT)"],
    [["mkdir", "a/b"], "! a/b: no such file or directory (ENOENT)"],
    [["put", "a/b"], "! a/b: no such file or directory (ENOENT)"],
    [["get", "a"], "! a: no such file or directory (ENOENT)"],
    [["put", "x", "/no/such/file"], "! /no/such/file: ENOENT: no such file or directory"],
  ] as const) {
    const said = await fs(args);
    expect(said.slice(0, expected.length)).toBe(expected);
    expect(said).not.toContain("scandir");
  }
});

test("mkdir -p makes what is missing and lets be what is there; ls -r goes to the bottom", async () => {
  const parents = { withParents: true };
  expect(await fs(["mkdir", "a/b/c"], parents)).toBe("");
  expect(await fs(["mkdir", "/a/b/c/"], parents)).toBe("");
  await fs(["put", "a/b/f"]);
  expect(await fs(["mkdir", "a/b/f/g"], parents)).toContain("! a/b/f: it exists already");
  const paths = (await fs(["ls", "a"], { isRecursive: true }))
    .split("\n")
    .map((line) => line.split(" ").at(-1));
  expect(paths).toEqual(["b", "b/c", "b/f", ""]);
  const all = JSON.parse(await fs(["ls"], { isRecursive: true, json: true })) as { name: string }[];
  expect(all.map(({ name }) => name)).toContain("a/b/f");
});

test("directories go in and come out, byte for byte, private files private", async () => {
  const source = join(root, "source");
  mkdirSync(join(source, "priv", "empty"), { recursive: true });
  writeFileSync(Buffer.from(`${source}/n\xff`, "latin1"), "odd");
  writeFileSync(join(source, "priv", "key"), new Uint8Array([0, 255, 10]));
  expect(await fs(["put", "new/place", source])).toBe("");
  expect(content("new/place/n\xff")).toBe("odd");
  expect(content("new/place/priv/key")).toBe("\0\xff\n");
  expect(tree.stat("new/place/priv/empty")).toMatchObject({
    ok: true,
    value: { type: "directory" },
  });
  expect(await fs(["put", "new/place", source])).toBe(""); // Again: files are replaced.
  await fs(["mkdir", "priv"]);
  await fs(["put", "priv/token"]);
  const target = join(root, "out");
  expect(await fs(["get", "/", target])).toBe("");
  // The tree of a node has its links and generated files; a copy has none.
  expect(readdirSync(target).sort()).toEqual(["new", "priv"]);
  expect(readFileSync(Buffer.from(`${target}/new/place/n\xff`, "latin1"), "utf8")).toBe("odd");
  expect(readFileSync(join(target, "new/place/priv/key"))).toEqual(Buffer.from([0, 255, 10]));
  expect(statSync(join(target, "priv")).mode & 0o777).toBe(0o700);
  expect(statSync(join(target, "priv/token")).mode & 0o777).toBe(0o600);
  expect(await fs(["get", "/", target])).toMatch(/^! .*out: EEXIST/);
  const one = join(root, "one");
  expect(await fs(["get", "priv/token", one])).toBe("");
  expect([readFileSync(one, "utf8"), statSync(one).mode & 0o777]).toEqual(["from stdin\n", 0o600]);
  expect(await fs(["get", "priv/token", one])).toMatch(/^! .*one: EEXIST/);
});

test("a directory with something that cannot be copied is not copied at all", async () => {
  const source = join(root, "source");
  mkdirSync(source);
  writeFileSync(join(source, "a"), "a");
  symlinkSync("/etc/passwd", join(source, "link"));
  expect(await fs(["put", "d", source])).toContain(
    "link is no file and no directory: nothing was copied",
  );
  rmSync(join(source, "link"));
  writeFileSync(join(source, "big"), "");
  truncateSync(join(source, "big"), 1024 * 1024 + 1);
  expect(await fs(["put", "d", source])).toContain(
    "at most 1 MiB; this one has 1048577 bytes (EFBIG): nothing was copied",
  );
  expect(tree.stat("d").ok).toBe(false);
});

test("a corosync.conf that the cluster could not use is refused, put or moved, unless forced", async () => {
  const file = join(root, "new.conf");
  writeFileSync(file, "totem {");
  wrong = ["totem {", "corosync.conf:1: Missing closing brace"];
  const refusal =
    "corosync.conf: nothing was changed, for the cluster could not use it: corosync.conf:1: Missing closing brace. Correct it, or insist with --force (EINVAL)";
  expect(await fs(["put", "corosync.conf", file])).toBe(`! ${refusal}`);
  expect(await fs(["put", "/corosync.conf/", file])).toContain("nothing was changed");
  await fs(["put", "candidate", file]);
  expect(await fs(["mv", "candidate", "corosync.conf"])).toBe(`! candidate to ${refusal}`);
  expect(content("corosync.conf")).toBe("ENOENT");
  expect(await fs(["put", "corosync.conf", file], { isForced: true })).toBe("");
  expect(content("corosync.conf")).toBe("totem {");
  wrong = ["", ""];
  expect(await fs(["put", "corosync.conf"])).toBe("");
  expect(content("corosync.conf")).toBe("from stdin\n");
  const loss = "nothing was changed, for all nodes take their configuration from this file";
  expect(await fs(["rm", "/corosync.conf"])).toStartWith(`! /corosync.conf: ${loss}`);
  expect(await fs(["mv", "corosync.conf", "old"])).toStartWith(`! corosync.conf to old: ${loss}`);
  expect(content("corosync.conf")).toBe("from stdin\n");
  expect(await fs(["mv", "corosync.conf", "old"], { isForced: true })).toBe("");
  expect(await fs(["rm", "corosync.conf"])).toContain("ENOENT");
  expect(await fs(["mv", "old", "corosync.conf"])).toBe("");
  expect(await fs(["rm", "corosync.conf"], { isForced: true })).toBe("");
  expect(content("corosync.conf")).toBe("ENOENT");
});

/** Sends a request whose body has no end; resolves with its answer and what was taken of it. */
async function endless(head: string): Promise<{ answer: string; bytes: number }> {
  const socket = connect(nodePaths(root).socket);
  let answer = "";
  let bytes = 0;
  const chunk = Buffer.alloc(65_536, "[");
  const framed = Buffer.concat([Buffer.from("10000\r\n"), chunk, Buffer.from("\r\n")]);
  const body = head.includes("chunked") ? framed : chunk;
  const { promise, resolve } = Promise.withResolvers<void>();
  const feed = (): void => {
    while (!socket.destroyed && bytes < 64 * 1024 * 1024) {
      bytes += chunk.length;
      if (!socket.write(body)) return;
    }
    socket.end();
  };
  socket.on("data", (data) => {
    answer += data.toString();
    if (answer.includes("\r\n\r\n")) resolve();
  });
  socket.on("connect", () => socket.write(`${head}\r\nHost: x\r\n\r\n`, feed));
  socket.on("drain", feed);
  socket.on("error", () => resolve());
  socket.on("close", () => resolve());
  await promise;
  socket.destroy();
  return { answer, bytes };
}

test("a body that is longer than any request is refused before it is held, on every route", async () => {
  const routes = [
    "POST /v1/log",
    "POST /v1/tree/move",
    "POST /v1/tree/mtime",
    "POST /v1/quorum/expected",
    "POST /v1/reload",
    "POST /v1/none",
    "PUT /v1/tree/file?path=x",
  ];
  for (const route of routes) {
    for (const framing of ["Content-Length: 120000000", "Transfer-Encoding: chunked"]) {
      const { answer, bytes } = await endless(`${route} HTTP/1.1\r\n${framing}`);
      expect(`${route} ${framing} ${answer.slice(0, 12)}`).toMatch(/(HTTP\/1.1 413| )$/);
      expect(bytes).toBeLessThan(16 * 1024 * 1024);
    }
  }
  expect(existsSync(nodePaths(root).socket)).toBe(true);
  expect(await fs(["ls"])).toContain(".members");
});

test("lost: what a tree had that lost to the cluster's is listed, compared and put back", async () => {
  const lost = (action: "list" | "diff" | "restore", name?: string, path?: string) =>
    fs(["lost"], { lost: { action, name, path } });
  expect(await lost("list")).toBe("no tree of this node has lost anything\n");
  const entry = (inode: number, parent: number, name: string, data: string, type: 4 | 8 = 8) => ({
    ...{ inode, parent, name, type, version: 9, writer: 1, mtime: 1 },
    data: new TextEncoder().encode(data),
  });
  const kept = tree.lostTrees.keep({
    version: 9,
    leaderVersion: 20,
    paths: ["qemu", "qemu/100.conf", "same.cfg", "user.cfg"],
    entries: [
      entry(0, 0, "", "", 4),
      entry(2, 0, "qemu", "", 4),
      entry(3, 2, "100.conf", "memory: 512"),
      entry(4, 0, "same.cfg", "same"),
      entry(5, 0, "user.cfg", "mine"),
    ],
  });
  const name = kept.ok ? kept.value.name : "";
  expect(name).toBe("19700101T001640Z-v9");
  expect(await lost("list")).toMatch(/^19700101T001640Z-v9 {2}\d+ bytes\n$/);
  for (const [path, data] of [
    ["same.cfg", "same"],
    ["user.cfg", "theirs"],
  ] as const) {
    expect((await tree.create(path)).ok).toBe(true);
    expect((await tree.write(path, 0, new TextEncoder().encode(data))).ok).toBe(true);
  }
  expect(await lost("diff", name)).toBe(
    [
      "qemu/ is not in the tree",
      "qemu/100.conf (11 bytes) is not in the tree",
      "same.cfg (4 bytes) is in the tree as it was",
      "user.cfg (4 bytes) is different in the tree",
      "",
    ].join("\n"),
  );
  expect(await lost("restore", name, "qemu/100.conf")).toBe("restored qemu/100.conf\n");
  expect(content("qemu/100.conf")).toBe("memory: 512");
  expect(content("user.cfg")).toBe("theirs");
  expect(await lost("restore", name)).toBe("restored user.cfg\n");
  expect(content("user.cfg")).toBe("mine");
  expect(await lost("diff")).toStartWith("! name the kept tree: quorate fs lost diff NAME");
  expect(await lost("diff", "../config.db")).toContain("is no name of a kept tree");
  expect(await lost("restore", name, "none")).toContain(`${name} has no none`);
});
