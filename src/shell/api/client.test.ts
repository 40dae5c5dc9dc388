// What the client says when nobody answers: a node that runs without its socket is not called absent.
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, lockFile } from "../../libc.ts";
import { exitNotRunning } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { NodeClient } from "./client.ts";

test("without a socket: a process that holds the tree is told of, an absent node can be started", async () => {
  const root = mkdtempSync(join(tmpdir(), "quorate-client-"));
  try {
    const { socket, treeDir } = nodePaths(root);
    const refusal = async () => {
      const failure: unknown = await new NodeClient(socket)
        .status()
        .catch((error: unknown) => error);
      expect(failure).toMatchObject({ code: exitNotRunning });
      return String(failure);
    };
    const absent = /no node answers at .*quorate\.sock: start one with "quorate node"/;
    expect(await refusal()).toMatch(absent);
    mkdirSync(treeDir, { recursive: true });
    expect(await refusal()).toMatch(absent);
    expect(readdirSync(treeDir)).toEqual([]);

    const lock = lockFile(join(treeDir, ".pmxcfs.lockfile"));
    if (!lock.ok) throw new Error(lock.call);
    expect(await refusal()).toMatch(
      /no node answers at .*quorate\.sock, but a process holds .*\.pmxcfs\.lockfile: a node that is .*short of file descriptors/,
    );
    closeFd(lock.fd);
    expect(await refusal()).toMatch(absent);
  } finally {
    rmSync(root, { recursive: true });
  }
});
