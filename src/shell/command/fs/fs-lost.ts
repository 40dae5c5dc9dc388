// `quorate fs lost …`: what trees of this node had that lost to the cluster's, and putting it back.
import * as v from "valibot";
import type { NodeClient } from "../../api/client.ts";
import { lostDiffSchema, lostListSchema } from "../../api/v1/lost-routes.ts";
import { CommandFailure, exitOk } from "../../exit.ts";

export interface FsLostOptions {
  readonly client: NodeClient;
  readonly json: boolean;
  readonly action: "list" | "diff" | "restore";
  /** Of a kept tree; needed for diff and restore. */
  readonly name: string | undefined;
  /** restore: this alone; undefined: all that differs now. */
  readonly path: string | undefined;
  readonly write: (text: string) => void;
}

export async function fsLost(options: FsLostOptions): Promise<number> {
  const { client, json, action, write } = options;
  if (action === "list") {
    const { trees } = v.parse(lostListSchema, await client.ask("GET", "/v1/lost"));
    if (json) write(`${JSON.stringify(trees)}\n`);
    else if (trees.length === 0) write("no tree of this node has lost anything\n");
    else for (const { name, bytes } of trees) write(`${name}  ${bytes} bytes\n`);
    return exitOk;
  }
  const { name } = options;
  if (name === undefined) {
    throw new CommandFailure(
      `name the kept tree: quorate fs lost ${action} NAME; see quorate fs lost list`,
    );
  }
  const query = new URLSearchParams({ name }).toString();
  const diff = v.parse(lostDiffSchema, await client.ask("GET", `/v1/lost/diff?${query}`));
  if (action === "diff") {
    if (json) write(`${JSON.stringify(diff)}\n`);
    else for (const change of diff.changes) write(line(change));
    return exitOk;
  }
  const paths =
    options.path === undefined
      ? diff.changes.filter(({ now }) => now !== "same").map(({ path }) => path)
      : [options.path];
  for (const path of paths) {
    await client.ask("POST", "/v1/lost/restore", JSON.stringify({ name, path }));
    if (!json) write(`restored ${path}\n`);
  }
  if (json) write(`${JSON.stringify({ name, restored: paths })}\n`);
  return exitOk;
}

const words = {
  missing: "is not in the tree",
  different: "is different in the tree",
  same: "is in the tree as it was",
};

function line({
  path,
  type,
  bytes,
  now,
}: v.InferOutput<typeof lostDiffSchema>["changes"][number]): string {
  const what = type === "directory" ? `${path}/` : `${path} (${bytes} bytes)`;
  return `${what} ${words[now]}\n`;
}
