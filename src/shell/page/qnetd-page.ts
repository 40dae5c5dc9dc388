// The vote server's status over HTTP, for eyes and monitors: `/`, `/v1/status`, `/metrics`. It only reads, asks nobody who they are,
// and answers names of hosts that it knows alone, so that no web site can read it through somebody's browser.
import { Hono } from "hono";
import type { Result } from "../../result.ts";
import type { QnetdStatus } from "../daemon/qnetd.ts";
import type { PageAddress } from "./page-address.ts";
import { HostNames } from "./host-names.ts";
import { withoutPiles } from "./piled-marks.ts";
import { statusHtml } from "./qnetd-page-html.ts";
import { script } from "./qnetd-page-script.ts";
import { styleSource } from "./qnetd-page-style.ts";
import { metricsText, type ProcessFacts } from "./qnetd-page-metrics.ts";
import { statusJson } from "./qnetd-status-json.ts";
import { PageServer } from "./qnetd-page-server.ts";

const statusMs = 500;

export interface PageSource {
  readonly status: () => QnetdStatus;
  readonly process: () => ProcessFacts;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  readonly names?: Pick<HostNames, "of">;
}

/** True when only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Serves the page at `address`; a reason when it cannot. */
export async function startQnetdPage(options: {
  readonly address: PageAddress;
  readonly status: () => QnetdStatus;
  readonly log: (level: "notice" | "warning" | "error", text: string) => void;
}): Promise<Result<PageServer>> {
  const { status, log } = options;
  const { host, port } = options.address;
  const app = buildQnetdPage(
    { status, process: processFacts, now: () => performance.now() },
    host.includes(":") ? `[${host}]` : host,
  );
  const page = await PageServer.listen({
    host,
    port,
    handler: (request) => app.fetch(request),
    onFailed: (reason) => log("error", `the status page is gone: ${reason}`),
  });
  if (!page.ok) return page;
  const where = `http://${host.includes(":") ? `[${host}]` : host}:${page.value.port}/`;
  log("notice", `status page at ${where}`);
  if (!isLoopback(host)) {
    log(
      "warning",
      `the status page at ${where} asks for no password: whoever reaches that address sees clusters, nodes and votes`,
    );
  }
  return page;
}

function processFacts(): ProcessFacts {
  const { user, system } = process.cpuUsage();
  return {
    uptimeSeconds: process.uptime(),
    residentBytes: process.memoryUsage.rss(),
    cpuSeconds: (user + system) / 1e6,
  };
}

/** Builds the page; `ownName`: the name that it listens on. */
export function buildQnetdPage(source: PageSource, ownName: string): Hono {
  const app = new Hono();
  const names = source.names ?? new HostNames(source.now);
  let status: { readonly value: QnetdStatus; readonly at: number } | undefined;
  // Whoever asks a thousand times a second gets the same.
  const current = (): QnetdStatus => {
    const now = source.now();
    if (status === undefined || now - status.at >= statusMs)
      status = { value: source.status(), at: now };
    return status.value;
  };
  app.use(async (c, next) => {
    c.header("Cache-Control", "no-store");
    c.header("Content-Security-Policy", policy);
    c.header("X-Content-Type-Options", "nosniff");
    c.header("Referrer-Policy", "no-referrer");
    c.header("Cross-Origin-Resource-Policy", "same-origin");
    if (c.req.method !== "GET" && c.req.method !== "HEAD") {
      return c.text("only GET and HEAD\n", 405, { Allow: "GET, HEAD" });
    }
    if (!isKnownHost(c.req.header("host") ?? "", ownName)) {
      return c.text("this page is not served under that name\n", 421);
    }
    return next();
  });
  app.get("/", async (c) => {
    const text = await statusHtml(current(), (address) => names.of(address));
    // Names stand in many sentences: here none is forgotten.
    return c.html(withoutPiles(text.toString()));
  });
  app.get("/page.js", (c) =>
    c.body(script, 200, { "Content-Type": "text/javascript; charset=utf-8" }),
  );
  app.get("/v1/status", (c) =>
    c.body(statusJson(current()), 200, { "Content-Type": "application/json" }),
  );
  app.get("/metrics", (c) =>
    c.body(metricsText(current(), source.process()), 200, {
      "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    }),
  );
  app.onError((error, c) => c.text(`${error.message}\n`, 500));
  app.notFound((c) => c.text("there are /, /v1/status and /metrics here\n", 404));
  return app;
}

const policy = `default-src 'none'; script-src 'self'; connect-src 'self'; style-src ${styleSource}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** An address was typed; a name may have been made to lead here by a stranger. */
function isKnownHost(header: string, ownName: string): boolean {
  const host = header.replace(/:\d{1,5}$/, "").toLowerCase();
  if (host === "localhost" || host === ownName.toLowerCase()) return true;
  return /^(?:\d{1,3}\.){3}\d{1,3}$/.test(host) || /^\[[0-9a-f:.]+\]$/.test(host);
}
