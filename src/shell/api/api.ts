// The node's local API: HTTP on a Unix socket that only its owner may open. Routes and error mapping; no state of its own.
import { Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import * as v from "valibot";
import type { Files, Outcome } from "../../fs/tree/files.ts";
import { type MapRoutesSource, mapRoutes } from "./cmap-routes.ts";
import { type ClusterLogLine, clusterLogTextMax } from "./cluster-log-line.ts";
import { lostRoutes, type LostSource } from "./v1/lost-routes.ts";
import { pathOfText, textOfPath } from "./path-text.ts";
import { answerFaults, checked, Refusal } from "./refusal.ts";
import { type RingSource, ringRoutes } from "./ring-routes.ts";
import type { NodeStatus } from "./status.ts";
import { dumpTree } from "./tree-dump.ts";
import { treeStatus } from "./v1/v1-rules.ts";
import { insisting, lossReason, unusableReason } from "./v1/conf-guard.ts";

/** A file of the tree. */
export const bodyBytesMax = 1024 * 1024;
/** Of every other body; the longest has two paths, or a line for the cluster log. */
const jsonBytesMax = 64 * 1024;
const pathBytesMax = 4096;

export interface ApiSource extends RingSource {
  readonly files: Files;
  readonly lostTrees: LostSource;
  readonly status: () => Promise<NodeStatus>;
  readonly ringMap: MapRoutesSource;
  /** A line for the cluster log of all nodes. */
  readonly logToCluster: (line: ClusterLogLine) => void;
  /** Why the cluster could not use this corosync.conf, a sentence; "" when it could. */
  readonly confProblem: (content: Uint8Array) => Promise<string>;
  /** The node begins anew as the same process; returns before it does. */
  readonly restart: () => void;
}

/** A path as people write it ("/nodes/pve1/…", path-text.ts): leading and trailing slashes do not count. */
const pathSchema = v.pipe(
  v.string(),
  v.maxLength(pathBytesMax),
  v.transform((text) => pathOfText(text).replace(/^\/+|\/+$/g, "")),
  v.check((path) => !path.includes("\0"), "a path has no NUL"),
);
const pathQuery = v.object({ path: pathSchema });
const forceQuery = v.object({ path: pathSchema, force: v.optional(v.literal("1")) });
const moveBody = v.object({
  from: pathSchema,
  to: pathSchema,
  force: v.optional(v.boolean()),
});
const mtimeBody = v.object({
  path: pathSchema,
  seconds: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(0xffff_ffff)),
});
const noNul = v.check((text: string) => !text.includes("\0"), "text has no NUL");
const logBody = v.object({
  tag: v.pipe(
    v.string(),
    v.regex(/^[a-z0-9-]{1,32}$/, "a tag has 1 to 32 letters, digits or dashes"),
  ),
  priority: v.picklist([0, 1, 2, 3, 4, 5, 6, 7]),
  message: v.pipe(v.string(), v.minLength(1), v.maxLength(clusterLogTextMax), noNul),
});

function valueOf<T>(outcome: Outcome<T>): T {
  if (outcome.ok) return outcome.value;
  const { errno, reason } = outcome;
  throw new Refusal({ errno, reason }, treeStatus[errno]);
}

/** Builds the API; `app.fetch` serves it on any listener. */
export function buildApi(source: ApiSource): Hono {
  const app = new Hono();
  answerFaults(app);
  const short = bodyLimit({ maxSize: jsonBytesMax, onError: tooLong });
  app.use(async (c, next) => (isFile(c.req) ? next() : short(c, next)));
  app.get("/v1/status", async (c) => c.json(await source.status()));
  app.post("/v1/log", async (c) => {
    source.logToCluster(checked(logBody, await c.req.json().catch(() => undefined)));
    return c.body(null, 204);
  });
  app.post("/v1/restart", (c) => {
    source.restart();
    return c.body(null, 202);
  });
  ringRoutes(app, source);
  mapRoutes(app, source.ringMap);
  readRoutes(app, source.files);
  changeRoutes(app, source);
  lostRoutes(app, source.lostTrees, source.files);
  return app;
}

function readRoutes(app: Hono, files: Files): void {
  app.get("/v1/tree/stat", (c) => {
    const { path } = checked(pathQuery, c.req.query());
    return c.json(valueOf(files.stat(path)));
  });
  app.get("/v1/tree/list", (c) => {
    const { path } = checked(pathQuery, c.req.query());
    const entries = valueOf(files.list(path)).map(({ name, stat }) => ({
      name: textOfPath(name),
      ...stat,
      target:
        stat.type === "symlink"
          ? textOfPath(valueOf(files.readlink(path === "" ? name : `${path}/${name}`)))
          : undefined,
    }));
    return c.json({ entries });
  });
  app.get("/v1/tree/file", (c) => {
    const { path } = checked(pathQuery, c.req.query());
    return c.body(new Uint8Array(valueOf(files.read(path))), 200, {
      "content-type": "application/octet-stream",
    });
  });
  app.get("/v1/tree/dump", (c) => c.json({ entries: valueOf(dumpTree(files)) }));
}

function changeRoutes(app: Hono, source: ApiSource): void {
  const { files } = source;
  const guard = { files, confProblem: source.confProblem, force: "--force" };
  /** A corosync.conf that no node could use never gets its name, unless somebody insists. */
  const refuseUnusable = async (
    path: string,
    isForced: boolean,
    content: () => Outcome<Uint8Array>,
  ) => {
    if (isForced) return;
    const read = content();
    if (!read.ok) return; // The change itself says why.
    const reason = await unusableReason(guard, path, read.value);
    if (reason === "") return;
    throw new Refusal({ errno: "EINVAL", reason: `${reason}. ${insisting(guard)}` }, 400);
  };
  /** Nor does it lose its name unless somebody insists. */
  const refuseLoss = (path: string, isForced: boolean) => {
    const reason = isForced ? "" : lossReason(guard, path);
    if (reason !== "") throw new Refusal({ errno: "EPERM", reason }, 403);
  };
  app.put("/v1/tree/file", bodyLimit({ maxSize: bodyBytesMax, onError: tooLarge }), async (c) => {
    const { path, force } = checked(forceQuery, c.req.query());
    const data = new Uint8Array(await c.req.arrayBuffer());
    await refuseUnusable(path, force === "1", () => ({ ok: true, value: data }));
    valueOf(await files.replace(path, data));
    return c.body(null, 204);
  });
  app.delete("/v1/tree/file", async (c) => {
    const { path, force } = checked(forceQuery, c.req.query());
    refuseLoss(path, force === "1");
    valueOf(await files.remove(path));
    return c.body(null, 204);
  });
  app.post("/v1/tree/directory", async (c) => {
    const { path } = checked(pathQuery, c.req.query());
    valueOf(await files.mkdir(path));
    return c.body(null, 204);
  });
  app.post("/v1/tree/mtime", async (c) => {
    const { path, seconds } = checked(mtimeBody, await c.req.json().catch(() => undefined));
    valueOf(await files.setMtime(path, seconds));
    return c.body(null, 204);
  });
  app.post("/v1/tree/move", async (c) => {
    const { from, to, force } = checked(moveBody, await c.req.json().catch(() => undefined));
    refuseLoss(from, force === true);
    await refuseUnusable(to, force === true, () => files.read(from));
    valueOf(await files.rename(from, to));
    return c.body(null, 204);
  });
}

/** The one request with a large body. */
function isFile({ method, path }: { readonly method: string; readonly path: string }): boolean {
  return method === "PUT" && path === "/v1/tree/file";
}

function tooLong(): never {
  throw new Refusal(
    { errno: "EREQUEST", reason: `a request has at most ${jsonBytesMax} bytes` },
    413,
  );
}

function tooLarge(): never {
  throw new Refusal(
    { errno: "EFBIG", reason: "a file of the tree holds at most 1 MiB (1048576 bytes)" },
    413,
  );
}
