// The vote server's status page: what it shows and to whom, its metrics, and the small HTTP listener below it.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { limitedSnapshot } from "../../src/qnetd/session/snapshot.ts";
import { newCounters } from "../../src/qnetd/session/counters.ts";
import { bringUp, Lab, TestClient } from "../double/qnetd-host.ts";
import type { QnetdStatus } from "../../src/shell/daemon/qnetd.ts";
import { pageAddress } from "../../src/shell/page/page-address.ts";
import { isLoopback, buildQnetdPage } from "../../src/shell/page/qnetd-page.ts";
import { clusterSeriesMax, nodeSeriesMax } from "../../src/shell/page/qnetd-page-metrics.ts";
import {
  headBytesMax,
  pageClientsMax,
  PageServer,
} from "../../src/shell/page/qnetd-page-server.ts";
import { statusJson } from "../../src/shell/page/qnetd-status-json.ts";
import { Daemon } from "../double/qnetd-daemon.ts";

function statusOf(lab: Lab, more: Partial<QnetdStatus> = {}): QnetdStatus {
  return {
    version: "1.2.3",
    startedAt: "2026-11-21T06:00:00.000Z",
    at: "2026-11-21T08:00:00.000Z",
    counters: { ...newCounters(), accepted: 7, refused: 3, evicted: 2, messages: 40 },
    server: {
      address: "*",
      port: 5403,
      tls: "on",
      isClientCertificateRequired: true,
      clientsMax: 0,
      receiveBytesMax: 32768,
      sendBytesMax: 32768,
    },
    ...limitedSnapshot(lab.server.snapshot(lab.now)),
    certificates: [],
    certificateDirectory: "/etc/corosync/qnetd/nssdb",
    warnings: [],
    lately: [],
    ...more,
  };
}

function pageOf(status: QnetdStatus, now = () => 0) {
  const facts = { uptimeSeconds: 60.5, residentBytes: 40_000_000, cpuSeconds: 1.25 };
  return buildQnetdPage({ status: () => status, process: () => facts, now }, "votes.example");
}

/** Two nodes of "lab", split: the first has the vote. */
function split(): Lab {
  const lab = new Lab();
  const clients = [1, 2].map((id) => new TestClient(lab, id, { cluster: "lab" }));
  bringUp(clients);
  clients[0]!.membership({ rep: 1, seq: 11 }, [1]);
  clients[1]!.membership({ rep: 2, seq: 12 }, [2]);
  lab.settle();
  return lab;
}

const at = (path: string, init: RequestInit & { readonly host?: string } = {}): Request => {
  const { host = "127.0.0.1:5480", ...rest } = init;
  return new Request(`http://page.invalid${path}`, { ...rest, headers: { host } });
};

describe("the page", () => {
  test("says who has the vote and why, and needs nothing from elsewhere", async () => {
    const warnings = [
      "The server's certificate expires in 3 days: renew it; nodes notice nothing.",
    ];
    const upgrade = { at: "2026-11-21T00:00:00.000Z", event: "kept", text: "<2>" };
    const response = await pageOf(statusOf(split(), { warnings, upgrade })).fetch(at("/"));
    expect(response.status).toBe(200);
    const text = await response.text();
    expect(text).toContain("<br />Upgrade kept at 2026-11-21T00:00:00.000Z: &lt;2&gt;");
    expect(text).toContain("The vote is with node 1.");
    const seen = text
      .replace(/\s+/g, " ")
      .replace(/<(?:\/?span|br)[^>]*>/g, "|")
      .replace(/[|\s]*\|[|\s]*/g, "|");
    expect(seen).toContain(
      "|✓|has it|Node 1 has the vote: of the halves of 2 configured nodes partition {1} is chosen by the tie-breaker, the lowest node id.|node 1 at 127.0.0.1 port",
    );
    expect(seen).toContain("|–|no vote|Node 2 does not have the vote: ");
    expect(text).toContain("renew it; nodes notice nothing.");
    const own = '<script defer src="/page.js"></script>';
    expect(text).toContain(own);
    expect(text.replace(own, "")).not.toMatch(/<script|src=|href=|url\(|@import|\son\w+=/);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toStartWith(
      "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'sha256-",
    );
    const [, style = ""] = /<style>(.*?)<\/style>/s.exec(text) ?? [];
    const hash = new Bun.CryptoHasher("sha256").update(style).digest("base64");
    expect(policy).toContain(`'sha256-${hash}'`);
    expect(response.headers.get("cache-control")).toBe("no-store");
  });

  test("shows the name of an address, what happened lately, and what to type while nobody is there", async () => {
    const names = { of: (address: string) => (address === "127.0.0.1" ? "pve7" : undefined) };
    const facts = { uptimeSeconds: 0, residentBytes: 0, cpuSeconds: 0 };
    const pageText = async (status: QnetdStatus): Promise<string> => {
      const source = { status: () => status, process: () => facts, now: () => 0, names };
      const answer = await buildQnetdPage(source, "localhost").fetch(at("/"));
      return (await answer.text()).replace(/\s+/g, " ");
    };
    const lately = [
      {
        at: "2026-11-21T07:59:58.123Z",
        level: "warning",
        text: "node 2 <b>left</b>\u202e",
      } as const,
    ];
    const shown = await pageText(statusOf(split(), { lately }));
    expect(shown).toContain("node 1 (pve7) at 127.0.0.1 port ");
    expect(shown).toContain(
      '<time datetime="2026-11-21T07:59:58.123Z">2026-11-21 07:59:58 UTC</time>',
    );
    expect(shown).toContain("node 2 &lt;b&gt;left&lt;/b&gt;\u{fffd}");
    expect(shown).not.toContain("quorate qnetd invite");
    const empty = statusOf(new Lab());
    expect(await pageText(empty)).toContain(
      "<code>quorate qnetd invite CLUSTER --address ADDRESS-OF-THIS-MACHINE</code>",
    );
    const server = { ...empty.server, tls: "off", address: "192.0.2.7" } as const;
    expect(await pageText({ ...empty, server })).toContain(
      "<code>quorate qdevice setup 192.0.2.7 --tls off</code>",
    );
  });

  test("names of strangers stay text", async () => {
    const lab = new Lab();
    const cluster = `<img src=x onerror="alert(1)">&\u202e\u0007'`;
    bringUp([1, 2].map((id) => new TestClient(lab, id, { cluster })));
    const app = pageOf(statusOf(lab));
    const text = await (await app.fetch(at("/"))).text();
    expect(text).toContain(
      "<bdi>&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;\u{fffd}\u{fffd}&#39;</bdi>",
    );
    expect(text).not.toContain("<img");
    const metrics = await (await app.fetch(at("/metrics"))).text();
    expect(metrics).toContain(
      `quorate_qnetd_cluster_nodes{cluster="<img src=x onerror=\\"alert(1)\\">&\u202e\u{fffd}'"} 2\n`,
    );
  });

  test("marks that are piled on a letter do not cover what stands above", async () => {
    const lab = new Lab();
    const cluster = `piled${"\u0301".repeat(60)}`;
    bringUp([1, 2].map((id) => new TestClient(lab, id, { cluster })));
    const lately = [
      { at: "2026-11-21T07:59:58.123Z", level: "notice", text: `${cluster} came` } as const,
    ];
    const text = await (await pageOf(statusOf(lab, { lately })).fetch(at("/"))).text();
    expect(text).toContain(`<bdi>piled${"\u0301".repeat(4)}\u{fffd}</bdi>`);
    expect(text).not.toMatch(/\p{M}{5}/u);
  });

  test("answers names that it knows, and reading only", async () => {
    const app = pageOf(statusOf(new Lab()));
    const code = async (host: string, method = "GET", path = "/") =>
      (await app.fetch(at(path, { host, method }))).status;
    for (const host of [
      "127.0.0.1",
      "[::1]:80",
      "localhost:5480",
      "Votes.example:5480",
      "10.1.2.3",
    ]) {
      expect([host, await code(host)]).toEqual([host, 200]);
    }
    for (const host of [
      "evil.example",
      "127.0.0.1.evil.example",
      "",
      "1.2.3.4.5",
      "[::1].x",
      "a, b",
    ]) {
      expect([host, await code(host)]).toEqual([host, 421]);
    }
    for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
      expect([method, await code("localhost", method)]).toEqual([method, 405]);
    }
    expect(await code("localhost", "HEAD", "/metrics")).toBe(200);
    expect(await code("localhost", "GET", "/v1/tree")).toBe(404);
  });

  test("the same JSON as the command; asked often, made once", async () => {
    let now = 0;
    let made = 0;
    const status = statusOf(split());
    const source = {
      status: () => {
        made += 1;
        return status;
      },
      process: () => ({ uptimeSeconds: 0, residentBytes: 0, cpuSeconds: 0 }),
      now: () => now,
    };
    const app = buildQnetdPage(source, "localhost");
    for (let i = 0; i < 50; i += 1) {
      expect(await (await app.fetch(at("/v1/status"))).text()).toBe(statusJson(status));
    }
    expect(made).toBe(1);
    now = 1000;
    await app.fetch(at("/v1/status"));
    expect(made).toBe(2);
  });

  test.each([
    ["5480", "127.0.0.1", 5480],
    ["127.0.0.1:0", "127.0.0.1", 0],
    ["[::1]:80", "::1", 80],
    ["votes.example:65535", "votes.example", 65535],
  ])("--http %s", (word, host, port) => {
    expect(pageAddress(word)).toEqual({ host, port });
  });
  test.each(["", "127.0.0.1", "::1:80", "127.0.0.1:65536", "x:-1", "http://x:1"])(
    "--http %s is refused",
    (word) => {
      expect(pageAddress(word)).toBeUndefined();
    },
  );
  test("what only this machine reaches", () => {
    const hosts = ["localhost", "127.8.9.1", "::1", "0.0.0.0", "::", "127.example", "10.0.0.1"];
    expect(hosts.map(isLoopback)).toEqual([true, true, true, false, false, false, false]);
  });
});

describe("metrics", () => {
  /** Name, labels and value of each sample; throws on a line that is none. */
  function samples(text: string): Map<string, number> {
    const found = new Map<string, number>();
    const types = new Set<string>();
    for (const line of text.trimEnd().split("\n")) {
      const type = /^# TYPE (\w+) (?:gauge|counter)$/.exec(line)?.[1];
      if (type !== undefined) types.add(type);
      if (/^# (?:HELP|TYPE) quorate_qnetd_\w+ \S/.test(line)) continue;
      const [, name, value] =
        /^((quorate_qnetd_\w+)(?:\{\w+="(?:[^"\\\n]|\\["\\n])*"(?:,\w+="(?:[^"\\\n]|\\["\\n])*")*\})?) ([\d.e+-]+)$/
          .exec(line)
          ?.toSpliced(2, 1) ?? [];
      if (name === undefined) throw new Error(`no sample: ${line}`);
      expect(types.has(name.replace(/\{.*/, ""))).toBe(true);
      expect(found.has(name)).toBe(false);
      found.set(name, Number(value));
    }
    return found;
  }

  test("counts, votes, certificates, the process", async () => {
    const certificates = [
      {
        file: "a.crt",
        subject: "QNet CA",
        serial: 101,
        notAfterMs: 0,
        daysLeft: 36_500,
        isServer: false,
        warning: "",
      },
    ];
    const response = await pageOf(statusOf(split(), { certificates })).fetch(at("/metrics"));
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    const found = samples(await response.text());
    const wanted: Readonly<Record<string, number>> = {
      'info{version="1.2.3",tls="on"}': 1,
      uptime_seconds: 60.5,
      connections: 2,
      clients: 2,
      clusters: 1,
      connections_accepted_total: 7,
      connections_refused_total: 3,
      connections_evicted_total: 2,
      messages_received_total: 40,
      'votes{vote="yes"}': 1,
      'votes{vote="no"}': 1,
      'votes{vote="waiting"}': 0,
      'node_vote{cluster="lab",node="1"}': 1,
      'node_vote{cluster="lab",node="2"}': 0,
      'certificate_days_left{file="a.crt",subject="QNet CA"}': 36_500,
      process_resident_memory_bytes: 40_000_000,
    };
    for (const [name, value] of Object.entries(wanted)) {
      expect([name, found.get(`quorate_qnetd_${name}`)]).toEqual([name, value]);
    }
  });

  test("no flood of names becomes a flood of series", async () => {
    const lab = new Lab();
    for (let i = 0; i < 700; i += 1) {
      const cluster = `${"n".repeat(i % 2 === 0 ? 1 : 4000)}${i}`;
      for (const id of [1, 2]) new TestClient(lab, id, { cluster }).join();
    }
    const status = statusOf(lab);
    expect(Math.max(...status.clusters.map(({ name }) => name.length))).toBeLessThan(300);
    const text = await (await pageOf(status).fetch(at("/metrics"))).text();
    const found = [...samples(text).keys()];
    const count = (name: string): number => found.filter((one) => one.includes(`_${name}{`)).length;
    expect(count("cluster_nodes")).toBe(clusterSeriesMax);
    expect(count("node_vote")).toBeLessThanOrEqual(nodeSeriesMax);
    expect(text.length).toBeLessThan(1_000_000);
  });
});

describe("the listener", () => {
  let page: PageServer | undefined;
  afterEach(async () => {
    await page?.close();
    page = undefined;
  });
  async function listen(): Promise<PageServer> {
    const listening = await PageServer.listen({
      host: "127.0.0.1",
      port: 0,
      handler: (request) =>
        new Response(
          `${request.method} ${new URL(request.url).pathname} ${request.headers.get("host")}`,
        ),
      onFailed: (reason) => {
        throw new Error(reason);
      },
    });
    if (!listening.ok) throw new Error(listening.reason);
    page = listening.value;
    return page;
  }
  /** Sends bytes and answers all that comes until the end. */
  function exchange(port: number, ...pieces: readonly string[]): Promise<string> {
    const { promise, resolve } = Promise.withResolvers<string>();
    const socket = connect({ host: "127.0.0.1", port });
    let text = "";
    socket.on("data", (bytes: Uint8Array) => (text += new TextDecoder().decode(bytes)));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(text));
    for (const piece of pieces) socket.write(piece);
    return promise;
  }

  test("ordinary clients", async () => {
    const { port } = await listen();
    const response = await fetch(`http://127.0.0.1:${port}/a/b`);
    expect(await response.text()).toBe(`GET /a/b 127.0.0.1:${port}`);
    expect((await fetch(`http://127.0.0.1:${port}/`, { method: "HEAD" })).status).toBe(200);
    const posted = await fetch(`http://127.0.0.1:${port}/`, {
      method: "POST",
      body: "x".repeat(9),
    });
    expect(await posted.text()).toStartWith("POST /");
  });

  test("requests in pieces, and what is none", async () => {
    const { port } = await listen();
    const head = "GET /x HTTP/1.1\r\nHost: h\r\n\r\n";
    expect(await exchange(port, ...head.split(""))).toEndWith("\r\n\r\nGET /x h");
    const bad = [
      "\r\n\r\n",
      "GET http://x/ HTTP/1.1\r\n\r\n",
      "GET / HTTP/2\r\n\r\n",
      "GET / HTTP/1.1\r\nno colon\r\n\r\n",
      "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
      `GET / HTTP/1.1\r\nx: ${"y".repeat(headBytesMax)}`,
      "\u0016\u0003\u0001\u0000\u0000\r\n\r\n",
    ];
    for (const text of bad) {
      expect(await exchange(port, text)).toStartWith("HTTP/1.1 400 ");
    }
  });

  test("the oldest of too many silent readers makes room", async () => {
    const { port } = await listen();
    const gone: Promise<string>[] = [];
    for (let i = 0; i < pageClientsMax; i += 1) gone.push(exchange(port, "GET / HT"));
    for (let i = 0; i < 3; i += 1) {
      expect(await exchange(port, "GET / HTTP/1.0\r\n\r\n")).toContain("GET / null");
    }
    expect(await Promise.race(gone)).toBe("");
  });
});

describe("the daemon's page", () => {
  let root = "";
  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), "quorate-page-"));
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test("is served where it was asked for; a taken port ends the start with a reason", async () => {
    const daemon = await Daemon.start({ root, http: "127.0.0.1:0" });
    const [, port = ""] = await daemon.logged(/status page at http:\/\/127\.0\.0\.1:(\d+)\//);
    const status = (await (
      await fetch(`http://127.0.0.1:${port}/v1/status`)
    ).json()) as QnetdStatus;
    expect(status).toMatchObject({ version: "0-test", clusters: [], clustersLeftOut: 0 });
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toMatch(/^quorate_qnetd_process_resident_memory_bytes \d{8,}$/m);
    const foreign = await fetch(`http://127.0.0.1:${port}/`, { headers: { host: "evil.example" } });
    expect(foreign.status).toBe(421);
    const second = await Daemon.start({ root: join(root, "second"), http: `127.0.0.1:${port}` });
    expect(await second.exited()).toBe(1);
    expect(second.log).toContain(`the status page cannot be served on 127.0.0.1 port ${port}`);
    expect(await daemon.stop()).toBe(0);
  }, 30_000);

  test("an address that others reach is warned about", async () => {
    const daemon = await Daemon.start({ root: join(root, "open"), http: "0.0.0.0:0" });
    await daemon.logged(/warning.*asks for no password/);
    expect(await daemon.stop()).toBe(0);
  }, 30_000);
});
