// The vote server as a process, from source, below a root of its own: start, lock, local socket, status as JSON, stop.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { askTool } from "../../src/qnetd/tool/tool-socket.ts";
import type { QnetdStatus } from "../../src/shell/daemon/qnetd.ts";
import { qnetdCertificatesCommand } from "../../src/shell/command/qnetd-certificates.ts";
import { qnetdStatusCommand } from "../../src/shell/command/qnetd-status.ts";

const program = join(import.meta.dir, "../interop/qnetd/program.ts");
const deadlineMs = 20_000;
let root = "";
let port = 0;

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-daemon-"));
  mkdirSync(join(root, "etc/corosync/qnetd"), { recursive: true });
  const probe = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => undefined } });
  ({ port } = probe);
  probe.stop(true);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

const socket = (): string => join(root, "var/run/corosync-qnetd/corosync-qnetd.sock");
const pidFile = (): string => join(root, "var/run/corosync-qnetd/corosync-qnetd.pid");

function spawn(link: string, ...args: string[]) {
  return Bun.spawn([process.execPath, program, "--root", root, link, ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: deadlineMs,
  });
}

async function run(link: string, ...args: string[]) {
  const child = spawn(link, ...args);
  const [out, error] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  return { code: await child.exited, out, error };
}

describe("corosync-qnetd", () => {
  test("in the background: answers when its caller gets its prompt back, is alone, tells all, stops", async () => {
    const started = await run("corosync-qnetd", "-p", String(port));
    expect(started.code).toBe(0);
    const pid = Number(readFileSync(pidFile(), "utf8"));
    expect(pid).toBeGreaterThan(1);
    const status = await run("corosync-qnetd-tool", "-s");
    expect(status).toEqual({
      code: 0,
      out: `QNetd address:\t\t\t*:${port}\nTLS:\t\t\t\tSupported (client certificate required)\nConnected clients:\t\t0\nConnected clusters:\t\t0\n`,
      error: "",
    });
    const second = await run("corosync-qnetd", "-f", "-p", String(port));
    expect(second.code).toBe(1);
    expect(second.error).toContain("corosync-qnetd: Another instance is running");
    const third = await run("corosync-qnetd", "-p", String(port));
    expect(third).toEqual({ ...second, error: expect.stringContaining("Another instance") });
    const answer = await askTool(socket(), {
      command: "snapshot",
      isVerbose: false,
      cluster: undefined,
    });
    if (answer.kind !== "ok") throw new Error(answer.kind);
    const all = JSON.parse(new TextDecoder().decode(answer.text)) as QnetdStatus;
    expect(all).toMatchObject({
      version: "0-test",
      server: { port, tls: "on" },
      connections: 0,
      clusters: [],
      warnings: [],
      certificates: [{ subject: "QNet CA" }, { subject: "Qnetd Server" }],
    });
    let text = "";
    const write = (piece: string): void => void (text += piece);
    const asked = { socket: socket(), watch: false, isTerminal: false, write };
    expect(await qnetdStatusCommand({ ...asked, json: false })).toBe(0);
    expect(text).toStartWith(
      `Good: no cluster has connected since the start\nVote server on *:${port}, TLS on, version 0-test\n0 clusters, 0 nodes, 0 connections\n\nCERTIFICATE `,
    );
    text = "";
    await qnetdStatusCommand({ ...asked, json: true });
    expect(JSON.parse(text)).toEqual({ ...all, at: expect.any(String) });
    expect(await run("corosync-qnetd-tool", "-H")).toEqual({ code: 0, out: "", error: "" });
    // The tool has its answer before the server has taken everything down.
    while (existsSync(socket())) await Bun.sleep(10);
    const gone = await run("corosync-qnetd-tool", "-l");
    expect(gone.code).toBe(3);
    const failure = await qnetdStatusCommand({ ...asked, json: true }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      code: 3,
      message: expect.stringContaining("no vote server answers"),
    });
  }, 30_000);

  test("its certificates, listed and renewed", async () => {
    let text = "";
    const certificates = (verb: "list" | "renew" | "import") => {
      text = "";
      return qnetdCertificatesCommand({
        directory: join(root, "etc/corosync/qnetd/nssdb"),
        nickname: "QNetd Cert",
        verb,
        files: [],
        password: "",
        json: true,
        write: (piece) => void (text += piece),
        now: () => Date.now(),
      });
    };
    expect(await certificates("renew")).toBe(0);
    expect(await certificates("list")).toBe(0);
    expect(JSON.parse(text)).toMatchObject({
      certificates: [{ serial: 101 }, { serial: 103, warning: "" }],
      warnings: [],
    });
    const failure = await certificates("import").catch((error: unknown) => error);
    expect(failure).toMatchObject({ message: expect.stringContaining("holds no NSS database") });
  });

  test("in the foreground: SIGTERM ends it well; a taken port ends it with a reason", async () => {
    const taken = Bun.listen({ hostname: "::", port: 0, socket: { data: () => undefined } });
    const failed = await run("corosync-qnetd", "-f", "-s", "off", "-p", String(taken.port));
    taken.stop(true);
    expect(failed.code).toBe(1);
    expect(failed.error).toContain(`cannot listen on all addresses port ${taken.port}`);
    const child = spawn("corosync-qnetd", "-f", "-s", "off", "-p", String(port));
    let log = "";
    for await (const piece of child.stderr) {
      log += new TextDecoder().decode(piece);
      const isRunning = log.includes("vote server is running");
      if (isRunning && !log.includes("stopping")) child.kill("SIGTERM");
    }
    expect(await child.exited).toBe(0);
    expect(log).toContain("SIGTERM: stopping");
    expect(readFileSync(pidFile(), "utf8")).toBe(`${child.pid}\n`);
  }, 30_000);
});
