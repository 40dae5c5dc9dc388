// The routes of tasks (pvecm.md §4.2, §4.6) over real files: the original's lists, filters, log and stop, each reply held against what its route says.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { callerWith, repliesOf } from "../../../test/double/api-replies.ts";
import { buildApi2 } from "../api/api2.ts";
import { type Caller, rootCaller } from "../api/route.ts";
import { failure, success } from "../../result.ts";
import { writeBroadcast } from "./task-broadcast.ts";
import { TaskFiles } from "./task-files.ts";
import { taskRoutes } from "./task-routes.ts";
import { startOfProcess, Tasks } from "./tasks.ts";
import { formatUpid, logPathOf, parseUpid } from "./upid.ts";

const directory = mkdtempSync(join(tmpdir(), "task-routes-"));
afterAll(() => rmSync(directory, { recursive: true }));

const begun = 0x67_e0_a1_b2;
/** A task of before, on a node, with its end in the index of ours. */
function upidOf(more: Partial<Parameters<typeof formatUpid>[0]>): string {
  const parts = {
    node: "pve1",
    pid: 1,
    pstart: 1,
    startTime: begun,
    type: "clusterjoin",
    id: "",
    user: "root@pam",
  };
  return formatUpid({ ...parts, ...more }) ?? "";
}
const ended = [
  [upidOf({ startTime: begun, type: "clustercreate", id: "prod" }), "OK"],
  [upidOf({ startTime: begun + 10, user: "joe@pve" }), "WARNINGS: 2"],
  [upidOf({ startTime: begun + 20, user: "joe@pve!ci", id: "100" }), "it did not work"],
  [upidOf({ startTime: begun + 30, user: "ann@pve" }), "unexpected status"],
] as const;
const [created, joes, tokens, anns] = ended.map(([upid]) => upid) as [
  string,
  string,
  string,
  string,
];
const told = upidOf({ node: "pve2", startTime: begun + 40, user: "joe@pve", type: "srvrestart" });
const toldRunning = upidOf({ node: "pve2", startTime: begun + 50 });

let tasks: Tasks;
let running = "";
const work = Promise.withResolvers<void>();
let wasAsked: unknown;

beforeAll(() => {
  const hex = (value: number) => value.toString(16).toUpperCase().padStart(8, "0");
  writeFileSync(
    join(directory, "index"),
    ended.map(([upid, status], at) => `${upid} ${hex(begun + 60 + at)} ${status}\n`).join(""),
  );
  for (const [upid, status] of ended) {
    const path = join(directory, logPathOf(upid, parseUpid(upid) ?? ({ startTime: 0 } as never)));
    mkdirSync(dirname(path), { recursive: true });
    const last = status === "OK" || status.startsWith("WARNINGS") ? status : `ERROR: ${status}`;
    writeFileSync(path, `one\ntwo\nthree\nTASK ${last}\n`);
  }
  tasks = new Tasks({
    files: new TaskFiles(directory),
    node: () => "pve1",
    logging: {
      cluster: () => undefined,
      warn: (text) => {
        throw new Error(text);
      },
    },
  });
  const started = tasks.start(
    { type: "clusterlink", id: "1", user: "joe@pve" },
    async ({ log, signal }) => {
      log("begun");
      signal.addEventListener("abort", () => {
        wasAsked = signal.reason;
        work.resolve();
      });
      await work.promise;
      return failure("received interrupt");
    },
  );
  running = started.ok ? started.value : "";
});

const others = () => [
  writeBroadcast([
    {
      upid: told,
      parts: parseUpid(told) ?? (undefined as never),
      endTime: begun + 45,
      status: "OK",
    },
    { upid: toldRunning, parts: parseUpid(toldRunning) ?? (undefined as never) },
  ]),
];
const routes = () => taskRoutes({ tasks, nodeName: "pve1", told: others });
const joe = callerWith("joe@pve", {});
const joesToken = callerWith("joe@pve!ci", {});
const list = async (
  parameters: Record<string, string>,
  caller: Caller = rootCaller,
  path = "/nodes/pve1/tasks",
) => {
  const { data, total } = await repliesOf(routes(), caller)("GET", path, parameters);
  const rows = data as readonly { readonly upid: string }[];
  return { upids: rows.map(({ upid }) => upid), rows, total };
};

describe("the list of a node", () => {
  test("is what has ended, newest first, as the original's sample", async () => {
    const { upids, rows, total } = await list({});
    expect(upids).toEqual([anns, tokens, joes, created]);
    expect(total).toBe(4);
    expect(rows[3]).toEqual({
      ...{
        upid: created,
        node: "pve1",
        pid: 1,
        pstart: 1,
        starttime: begun,
        type: "clustercreate",
      },
      ...{ id: "prod", user: "root@pam", endtime: begun + 60, status: "OK" },
    } as never);
    // What a token has started shows its user, and its name beside.
    expect(rows[1]).toMatchObject({ user: "joe@pve", tokenid: "ci", status: "it did not work" });
  });

  test("or what runs, or both", async () => {
    expect((await list({ source: "active" })).rows).toMatchObject([
      { upid: running, status: "RUNNING" },
    ]);
    expect((await list({ source: "all" })).total).toBe(5);
  });

  test.each([
    [{ start: "1", limit: "2" }, () => [tokens, joes]],
    [{ limit: "0" }, () => []],
    [{ userfilter: "JOE" }, () => [tokens, joes]],
    [{ typefilter: "clustercreate" }, () => [created]],
    [{ vmid: "100" }, () => [tokens]],
    [{ errors: "1" }, () => [anns, tokens, joes]],
    [{ errors: "1", statusfilter: "ok" }, () => [anns, tokens, joes]],
    [{ statusfilter: "ok" }, () => [created]],
    [{ statusfilter: "WARNING,unknown" }, () => [anns, joes]],
    [{ statusfilter: "error" }, () => [tokens]],
    [{ since: String(begun + 10), until: String(begun + 20) }, () => [tokens, joes]],
    [{ source: "all", statusfilter: "unknown" }, () => [running, anns]],
  ])("%j", async (parameters: Record<string, string>, expected) => {
    expect((await list(parameters)).upids).toEqual(expected());
  });

  test("a user's own and its tokens', a token's its own alone, all with Sys.Audit on the node", async () => {
    expect((await list({}, joe)).upids).toEqual([tokens, joes]);
    expect((await list({}, joesToken)).upids).toEqual([tokens]);
    const auditor = callerWith("eve@pve", { "/nodes/pve1": ["Sys.Audit"] });
    expect((await list({}, auditor)).total).toBe(4);
    expect((await list({}, callerWith("eve@pve", { "/nodes/pve2": ["Sys.Audit"] }))).total).toBe(0);
  });

  test("wrong filters are refused by name", async () => {
    const ask = repliesOf(routes());
    for (const [name, value] of Object.entries({
      statusfilter: "good",
      source: "old",
      vmid: "1",
      limit: "-1",
      since: "now",
    })) {
      const { status, errors } = await ask("GET", "/nodes/pve1/tasks", { [name]: value });
      expect([status, Object.keys(errors ?? {})]).toEqual([400, [name]]);
    }
  });
});

describe("lists of all nodes", () => {
  test("the original's: what runs and what ended lately", async () => {
    const all = await list({}, rootCaller, "/cluster/tasks");
    expect(all.upids).toEqual([running, toldRunning, told]);
    expect(all.rows[2]).toMatchObject({
      node: "pve2",
      endtime: begun + 45,
      status: "OK",
      saved: "1",
    });
    expect(all.rows[1]).not.toHaveProperty("endtime");
    expect((await list({}, joe, "/cluster/tasks")).upids).toEqual([running, told]);
  });

  test("ours: with every filter, by the rights on the node of each", async () => {
    const ours = async (parameters: Record<string, string>, caller: Caller = rootCaller) => {
      const app = buildApi2({ routes: routes(), authenticate: async () => ({ ok: true, caller }) });
      const query = new URLSearchParams(parameters).toString();
      const response = await app.fetch(new Request(`https://node/api/v1/tasks?${query}`), {});
      const { data, total } = (await response.json()) as {
        data: { upid: string }[];
        total: number;
      };
      return { upids: data.map(({ upid }) => upid), total };
    };
    expect((await ours({})).upids).toEqual([told, anns, tokens, joes, created]);
    expect((await ours({ source: "active" })).upids).toEqual([running, toldRunning]);
    expect(await ours({ source: "all", start: "1", limit: "1" })).toEqual({
      upids: [toldRunning],
      total: 7,
    });
    expect((await ours({ node: "pve2", source: "all" })).upids).toEqual([toldRunning, told]);
    expect((await ours({ userfilter: "joe", statusfilter: "ok" })).upids).toEqual([told]);
    const auditor = callerWith("eve@pve", { "/nodes/pve2": ["Sys.Audit"] });
    expect((await ours({ source: "all" }, auditor)).upids).toEqual([toldRunning, told]);
  });
});

describe("one task", () => {
  const of = (upid: string, what: string, parameters = {}, caller: Caller = rootCaller) =>
    repliesOf(routes(), caller)("GET", `/nodes/pve1/tasks/${upid}/${what}`, parameters);

  test("its status, as the original's sample", async () => {
    const facts = { upid: created, node: "pve1", pid: 1, pstart: 1, starttime: begun };
    expect((await of(created, "status")).data).toEqual({
      ...{ ...facts, type: "clustercreate", id: "prod", user: "root@pam" },
      ...{ status: "stopped", exitstatus: "OK" },
    });
    expect((await of(running, "status")).data).toMatchObject({
      status: "running",
      pid: process.pid,
    });
    expect((await of(running, "status")).data).not.toHaveProperty("exitstatus");
  });

  test("its log in pages, to the end, and as a file", async () => {
    expect(await of(created, "log", { start: "1", limit: "2" })).toMatchObject({
      ...{
        data: [
          { n: 2, t: "two" },
          { n: 3, t: "three" },
        ],
        total: 4,
      },
    });
    expect((await of(created, "log", { limit: "0" })).data).toHaveLength(4);
    expect(await of(created, "log", { download: "1", limit: "2" })).toMatchObject({
      message: "'download' cannot be used together with 'start' or 'limit' parameters\n",
    });
    const app = buildApi2({
      routes: routes(),
      authenticate: async () => ({ ok: true, caller: rootCaller }),
    });
    const file = await app.fetch(
      new Request(`https://n/api2/json/nodes/pve1/tasks/${created}/log?download=1`),
      {},
    );
    expect(file.headers.get("content-disposition")).toBe(
      'attachment; filename="task-pve1-clustercreate-2025-03-24T00:05:06Z.log"',
    );
    expect(await file.text()).toBe("one\ntwo\nthree\nTASK OK\n");
  });

  test("what is none, and whose it is not", async () => {
    expect(await of("nonsense", "status")).toMatchObject({
      ...{ status: 400, errors: { upid: "unable to parse worker upid" } },
    });
    expect(await of(upidOf({ pid: 99 }), "log")).toMatchObject({
      ...{ status: 400, errors: { upid: "no such task" } },
    });
    for (const what of ["status", "log"]) {
      expect((await of(joes, what, {}, joe)).status).toBe(200);
      expect((await of(tokens, what, {}, joe)).status).toBe(200);
      expect(await of(joes, what, {}, joesToken)).toMatchObject({
        ...{ status: 403, message: "Permission check failed (/nodes/pve1, Sys.Audit)\n" },
      });
    }
  });

  test("it is stopped by its owner or with Sys.Modify; one that has ended stays as it is", async () => {
    const stop = (upid: string, caller: Caller = rootCaller) =>
      repliesOf(routes(), caller)("DELETE", `/nodes/pve1/tasks/${upid}`);
    expect(
      (await stop(running, callerWith("eve@pve", { "/nodes/pve1": ["Sys.Audit"] }))).status,
    ).toBe(403);
    expect(wasAsked).toBeUndefined();
    expect(await stop(created)).toMatchObject({ status: 200, data: null });
    const end = tasks.ended(running);
    expect(await stop(running, joe)).toMatchObject({ status: 200, data: null });
    expect(await end).toBe("received interrupt");
    expect((await list({ limit: "1" })).rows).toMatchObject([
      { upid: running, status: "received interrupt" },
    ]);
  });

  test("one of another program on this machine is not stopped in silence", async () => {
    const foreign = upidOf({
      pid: process.ppid,
      pstart: startOfProcess(process.ppid) ?? 0,
      type: "vzdump",
    });
    const path = join(directory, logPathOf(foreign, parseUpid(foreign) ?? (undefined as never)));
    writeFileSync(path, "INFO: starting\n");
    expect(await repliesOf(routes())("DELETE", `/nodes/pve1/tasks/${foreign}`)).toMatchObject({
      ...{ status: 500, code: "foreignTask", hint: `on that machine: kill ${process.ppid}` },
    });
  });
});

test("a task that has ended is found again in its last state by the next daemon", async () => {
  const before = tasks.start({ type: "clusterjoin", id: "", user: "root@pam" }, async () =>
    success(undefined),
  );
  if (!before.ok) throw new Error(before.reason);
  await tasks.ended(before.value);
  const after = new Tasks({
    files: new TaskFiles(directory),
    node: () => "pve1",
    logging: { cluster: () => undefined, warn: () => undefined },
  });
  const ask = repliesOf(taskRoutes({ tasks: after, nodeName: "pve1", told: () => [] }));
  expect((await ask("GET", `/nodes/pve1/tasks/${before.value}/status`)).data).toMatchObject({
    ...{ status: "stopped", exitstatus: "OK" },
  });
  expect((await ask("GET", "/nodes/pve1/tasks", { limit: "1" })).data).toMatchObject([
    { status: "OK" },
  ]);
});
