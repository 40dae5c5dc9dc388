// What the routes about a node's machine answer (pvecm.md §4.2), each reply held against what its route says, over throw-away directories in place of
// /proc, /sys and /etc, and a program runner that remembers.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { callerWith, repliesOf } from "../../../../test/double/api-replies.ts";
import { success } from "../../../result.ts";
import { MachineFacts } from "../../machine/machine-facts.ts";
import type { RunProgram } from "../../machine/programs.ts";
import { systemLog } from "../../machine/system-log.ts";
import type { TaskSpec, TaskWork } from "../../task/tasks.ts";
import { machineRoutes } from "./machine-routes.ts";
import type { NodeSource } from "./node-source.ts";

const root = mkdtempSync(join(tmpdir(), "quorate-machine-"));
afterAll(() => rmSync(root, { recursive: true }));
const places = { root, proc: join(root, "proc"), sys: join(root, "sys") };

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
}

beforeAll(() => {
  put("proc/stat", "cpu  100 0 100 600 200 0 0 0 0 0\n");
  put(
    "proc/meminfo",
    "MemTotal: 1000 kB\nMemFree: 300 kB\nMemAvailable: 500 kB\nSwapTotal: 10 kB\nSwapFree: 4 kB\n",
  );
  put("proc/loadavg", "0.50 0.40 0.30 1/200 4242\n");
  put("proc/uptime", "3600.50 1000.00\n");
  put("proc/net/dev", "  tst0: 10 0 0 0 0 0 0 0 20 0 0 0 0 0 0 0\n");
  put(
    "proc/cpuinfo",
    "processor\t: 0\nmodel name\t: Test CPU\nphysical id\t: 0\ncore id\t: 0\nflags\t: svm\n",
  );
  put("sys/class/net/tst0/device/uevent", "");
  put("sys/class/net/tst0/flags", "0x1003\n");
  put("sys/class/net/vmbr0/bridge/id", "");
  put(
    "etc/network/interfaces",
    "auto vmbr0\niface vmbr0 inet static\n address 192.0.2.1/24\n bridge_ports tst0\n",
  );
  put("etc/hosts", "127.0.0.1 localhost\n");
  put("etc/resolv.conf", "search a.example\nnameserver 192.0.2.53\noptions rotate\n");
  put("usr/share/zoneinfo/Europe/Berlin", "TZif2");
  put(
    "var/log/syslog",
    "2026-11-30T12:00:00Z pve1 sshd[7]: one\n2026-11-30T12:00:01Z pve1 cron[8]: two\n",
  );
});

const tasks: (TaskSpec & { readonly work: TaskWork })[] = [];
const restarts: string[] = [];
const units =
  "Description=a service\nLoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\n";
const run: RunProgram = async (command, { onOutput }) => {
  const [program, ...words] = command;
  const text =
    program === "systemctl"
      ? words
          .filter((word) => word.endsWith(".service"))
          .map(() => units)
          .join("\n")
      : `output of ${program}, password=hunter2\n`;
  onOutput(new TextEncoder().encode(text));
  return { kind: "exited", code: 0, words: "" };
};
const files = new TestingFiles();
const source: NodeSource = {
  ...{ files, nodeName: "pve1", version: "0.2.0", commit: "0123456789", places, run },
  machine: new MachineFacts(places),
  log: () => systemLog(root, run),
  start: (spec, work) => {
    tasks.push({ ...spec, work });
    return success(`UPID:pve1:00000001:00000001:00000001:${spec.type}:${spec.id}:${spec.user}:`);
  },
  restart: (reason) => void restarts.push(reason),
  statusText: async () => "{}",
};
const routes = machineRoutes(source);
const ask = repliesOf(routes);
const get = async (path: string, parameters = {}) =>
  (await ask("GET", `/nodes/pve1${path}`, parameters)).data;
const errorsOf = async (
  method: "GET" | "POST" | "PUT",
  path: string,
  parameters: Record<string, string>,
) => {
  const { status, errors } = await ask(method, `/nodes/pve1${path}`, parameters);
  expect(status).toBe(400);
  return errors;
};

test("status: the machine's numbers, as the original names them", async () => {
  expect(await get("/status")).toMatchObject({
    ...{ uptime: 3600, cpu: 0.2, wait: 0.2, loadavg: ["0.50", "0.40", "0.30"] },
    memory: { total: 1_024_000, free: 307_200, available: 512_000, used: 512_000 },
    swap: { total: 10_240, free: 4096, used: 6144 },
    cpuinfo: { model: "Test CPU", sockets: 1, cores: 1, hvm: 1, user_hz: 100 },
    "boot-info": { mode: "legacy-bios" },
    "current-kernel": { sysname: "Linux" },
    pveversion: "quorate/0.2.0",
  });
  expect(await get("/version")).toEqual({
    ...{ version: "9.1.0", release: "9.1", repoid: "0123456789", quorate: "0.2.0" },
  });
});

test("time: the zone is read, set, and one that is not there refused", async () => {
  expect(await get("/time")).toMatchObject({ timezone: "UTC" });
  expect(await errorsOf("PUT", "/time", { timezone: "Europe/Atlantis" })).toEqual({
    timezone: "No such timezone",
  });
  expect((await ask("PUT", "/nodes/pve1/time", { timezone: "Europe/Berlin" })).status).toBe(200);
  const { timezone, time, localtime } = Object(await get("/time")) as Record<string, number>;
  expect(timezone).toBe("Europe/Berlin" as never);
  expect([3600, 7200]).toContain((localtime ?? 0) - (time ?? 0));
});

test("dns: what else is in the file stays", async () => {
  expect(await get("/dns")).toEqual({ search: "a.example", dns1: "192.0.2.53" });
  expect(await errorsOf("PUT", "/dns", { search: "b.example", dns1: "nonsense" })).toEqual({
    dns1: "invalid format - value does not look like a valid IP address",
  });
  expect(await errorsOf("PUT", "/dns", { dns1: "192.0.2.1" })).toEqual({
    search: "property is missing and it is not optional",
  });
  const changed = { search: "b.example", dns1: "192.0.2.1", dns2: "2001:db8::53" };
  expect((await ask("PUT", "/nodes/pve1/dns", changed)).data).toBeNull();
  expect(await get("/dns")).toEqual(changed);
  expect(readFileSync(join(root, "etc/resolv.conf"), "utf8")).toContain("options rotate\n");
});

test("hosts: written only over what the caller has read", async () => {
  const text = "127.0.0.1 localhost\n";
  const digest = createHash("sha1").update(text).digest("hex");
  expect(await get("/hosts")).toEqual({ digest, data: text });
  const send = (data: string, of = digest) =>
    ask("POST", "/nodes/pve1/hosts", { data, digest: of });
  // Two at once from the same reading: one of them comes too late.
  const [first, second] = await Promise.all([send("127.0.0.1 a\n"), send("127.0.0.1 b\n")]);
  expect([first.status, second.status]).toEqual([200, 500]);
  expect(second).toMatchObject({
    message: "detected modified configuration - file changed by other user? Try again.\n",
    code: "changed",
  });
  expect(await get("/hosts")).toMatchObject({ data: "127.0.0.1 a\n" });
});

test("syslog and journal: pages of lines, entries between cursors", async () => {
  const one = "2026-11-30T12:00:00Z pve1 sshd[7]: one";
  expect(await ask("GET", "/nodes/pve1/syslog", { limit: "1" })).toMatchObject({
    ...{ data: [{ n: 1, t: one }], total: 2 },
  });
  expect(await ask("GET", "/nodes/pve1/syslog", { service: "nobody" })).toMatchObject({
    ...{ data: [{ n: 1, t: "no content" }], total: 1 },
  });
  expect(await errorsOf("GET", "/syslog", { since: "yesterday" })).toHaveProperty("since");
  const entries = (await get("/journal", { lastentries: "1" })) as readonly string[];
  expect(entries).toHaveLength(3);
  const [first = "", line, last = ""] = entries;
  expect(line).toBe("2026-11-30T12:00:01Z pve1 cron[8]: two");
  expect(await get("/journal", { startcursor: last })).toEqual([last]);
  expect(await get("/journal", { endcursor: first })).toMatchObject({ 1: one });
  expect(await errorsOf("GET", "/journal", { startcursor: "--help" })).toHaveProperty(
    "startcursor",
  );
  expect(await errorsOf("GET", "/journal", { startcursor: last, since: "5" })).toEqual({
    startcursor: "conflicts with 'since'",
  });
});

test("a file that cannot be written is said to be so, and is no fault of ours", async () => {
  const nowhere = machineRoutes({ ...source, places: { ...places, root: join(root, "nowhere") } });
  const reply = await repliesOf(nowhere)("PUT", "/nodes/pve1/dns", { search: "a.example" });
  expect(reply).toMatchObject({ status: 500, code: "notWritable" });
  expect(reply.message).toContain("/nowhere/etc/resolv.conf cannot be written: ENOENT");
});

describe("services", () => {
  test("are listed, and one is shown", async () => {
    const shown = {
      ...{ service: "sshd", name: "sshd", desc: "a service", state: "running" },
      ...{ "active-state": "active", "unit-state": "enabled" },
    };
    expect(await get("/services")).toContainEqual(shown);
    expect(await get("/services/sshd/state")).toEqual(shown);
    const errors = await errorsOf("GET", "/services/nonsense/state", {});
    expect(errors?.["service"]).toContain("does not have a value in the enumeration 'chrony, ");
  });

  test("without systemd the node itself is there, for it answers", async () => {
    const bare = machineRoutes({
      ...source,
      run: async () => ({ kind: "absent", code: -1, words: "" }),
    });
    expect((await repliesOf(bare)("GET", "/nodes/pve1/services")).data).toEqual([
      {
        ...{ service: "quorate-node", name: "quorate-node", desc: "quorate cluster node" },
        ...{ state: "running", "active-state": "active", "unit-state": "not-found" },
      },
    ]);
  });

  test("only our own is commanded, and never stopped", async () => {
    const command = (service: string, verb: string) =>
      ask("POST", `/nodes/pve1/services/${service}/${verb}`);
    expect(await command("cron", "restart")).toMatchObject({
      ...{ status: 500, code: "foreignService", hint: "on that machine: systemctl restart cron" },
      message: "invalid service cmd 'cron restart': quorate commands its own services only\n",
    });
    expect(await command("quorate-node", "stop")).toMatchObject({
      message: "invalid service cmd 'quorate-node stop': refusing to stop essential service!\n",
    });
    expect(tasks).toEqual([]);
    expect((await command("quorate-node", "restart")).data).toBe(
      "UPID:pve1:00000001:00000001:00000001:srvrestart:quorate-node:root@pam:",
    );
    const context = { upid: "", signal: new AbortController().signal, warn: () => undefined };
    const lines: string[] = [];
    await tasks[0]?.work({ ...context, log: (line) => void lines.push(line) });
    expect(restarts).toEqual(["asked for by root@pam"]);
    expect(lines).toHaveLength(1);
  });
});

test("network: interfaces with the addresses that links are made of, bridges for who may use them", async () => {
  const bridge = {
    ...{ iface: "vmbr0", type: "bridge", autostart: 1, method: "static", method6: "manual" },
    ...{ address: "192.0.2.1", netmask: "24", cidr: "192.0.2.1/24", families: ["inet"] },
    ...{ bridge_ports: "tst0", bridge_stp: "off", bridge_fd: "0", priority: 2 },
  };
  const card = {
    ...{ iface: "tst0", type: "eth", exists: 1, active: 1, families: ["inet"] },
    ...{ method: "manual", method6: "manual" },
  };
  expect(await get("/network")).toEqual([card, bridge]);
  expect(await get("/network", { type: "any_bridge" })).toEqual([bridge]);
  expect(await get("/network/tst0")).toMatchObject({ type: "eth" });
  expect(await errorsOf("GET", "/network/tst9", {})).toEqual({ iface: "interface does not exist" });
  const network = (rights: Record<string, string[]>) =>
    repliesOf(routes, callerWith("u@pve", rights))("GET", "/nodes/pve1/network");
  expect((await network({})).data).toEqual([card]);
  expect((await network({ "/sdn/zones/localnetwork": ["SDN.Use"] })).data).toEqual([card, bridge]);
});

test("report: one text, with what is missing said and without passwords", async () => {
  const text = String(await get("/report"));
  expect(text).toContain(
    "\n==== general system info ====\n\n# hostname\noutput of hostname, password=(masked)\n",
  );
  expect(text).toContain("# cat /etc/hosts\n127.0.0.1 a\n");
  expect(text).toContain("# cat /etc/pve/corosync.conf\n(not there)\n");
  expect(text).not.toContain("hunter2");
});

test("rights: on the node, for each route its own", async () => {
  const needs = {
    "Sys.Audit": ["GET /status", "GET /time", "GET /dns", "GET /services", "GET /report"],
    "Sys.Syslog": ["GET /syslog", "GET /journal"],
    "Sys.Modify": ["PUT /time", "PUT /dns", "POST /hosts", "DELETE /certificates/custom"],
  };
  for (const [privilege, calls] of Object.entries(needs)) {
    for (const call of calls) {
      const [method = "", path = ""] = call.split(" ");
      const status = async (rights: Record<string, string[]>) =>
        (
          await repliesOf(routes, callerWith("u@pve", rights))(
            method as "GET",
            `/nodes/pve1${path}`,
          )
        ).status;
      const others = Object.keys(needs).filter((each) => each !== privilege);
      expect([call, await status({ "/nodes/pve1": others })]).toEqual([call, 403]);
      expect([call, await status({ "/nodes/pve2": [privilege] })]).toEqual([call, 403]);
      expect(await status({ "/nodes/pve1": [privilege] })).not.toBe(403);
    }
  }
  // The original looks at / for this one.
  const hosts = (rights: Record<string, string[]>) =>
    repliesOf(routes, callerWith("u@pve", rights))("GET", "/nodes/pve1/hosts");
  expect((await hosts({ "/nodes/pve1": ["Sys.Audit"] })).status).toBe(403);
  expect((await hosts({ "/": ["Sys.Audit"] })).status).toBe(200);
});
