// The metrics of this node for Prometheus: below the API with its logins, and at /metrics, where a scraper comes from an allowed address or with an API token.
import { metricSamples } from "../../answers/monitor.ts";
import { expositionText, expositionType, type MetricFamily } from "../../monitor/exposition.ts";
import { mayAudit } from "./v1-rules.ts";
import { type Authenticate, type RequestFacts, type Route, route } from "../route.ts";

export interface MetricsRouteSource {
  readonly families: () => Promise<readonly MetricFamily[]>;
  /** The cluster's settings allow this address. */
  readonly isAllowed: (address: string) => boolean;
}

/** Both forms of them below the API. */
export function metricsRoutes(source: Pick<MetricsRouteSource, "families">): readonly Route[] {
  return [textRoute(source), samplesRoute(source)];
}

function samplesRoute({ families }: Pick<MetricsRouteSource, "families">): Route {
  return route({
    method: "GET",
    path: "/metrics/samples",
    isOurs: true,
    description: "The metrics of this node as data.",
    permission: mayAudit,
    returns: metricSamples,
    parameters: {},
    handle: async () =>
      (await families()).map(({ samples, ...family }) => ({
        ...family,
        samples: samples.map(([labels, value]) => ({ labels, value })),
      })),
  });
}

function textRoute({ families }: Pick<MetricsRouteSource, "families">): Route {
  return route({
    method: "GET",
    path: "/metrics",
    isOurs: true,
    description: "The metrics of this node in the text format of Prometheus.",
    permission: mayAudit,
    contentType: "text/plain",
    parameters: {},
    handle: async () => metricsResponse(await families()),
  });
}

/** GET /metrics. Never rejects: a scraper sees why there is nothing. */
export async function metricsPage(
  source: MetricsRouteSource,
  request: RequestFacts,
  authenticate: Authenticate,
): Promise<Response> {
  const refusal = await refusalOf(source, request, authenticate);
  if (refusal !== undefined) return refusal;
  try {
    return metricsResponse(await source.families());
  } catch {
    return plain(503, "the ring thread gives no answer; the log of quorate on this node says why");
  }
}

async function refusalOf(
  { isAllowed }: MetricsRouteSource,
  request: RequestFacts,
  authenticate: Authenticate,
): Promise<Response | undefined> {
  if (isAllowed(request.address)) return undefined;
  const known = await authenticate({ ...request, headers: withApiToken(request.headers) });
  if (!known.ok) {
    return plain(
      401,
      `${known.reason}: scrape with an API token (Authorization: Bearer USER@REALM!TOKENID=SECRET), ` +
        "or from an address that metrics-from in /etc/pve/quorate.cfg names",
    );
  }
  if (known.caller.may("/", "Sys.Audit")) return undefined;
  return plain(403, "Permission check failed (/, Sys.Audit)");
}

/** Scrapers know how to send "Bearer X" only; the API's own form has no space. */
function withApiToken(given: Headers): Headers {
  const [, token] = /^Bearer ([^\s!]+![^\s=]+=\S+)$/i.exec(given.get("authorization") ?? "") ?? [];
  if (token === undefined) return given;
  const headers = new Headers(given);
  headers.set("authorization", `PVEAPIToken=${token}`);
  return headers;
}

function metricsResponse(families: readonly MetricFamily[]): Response {
  return new Response(expositionText(families), {
    headers: { "content-type": expositionType, "cache-control": "no-store" },
  });
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, {
    status,
    headers: { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store" },
  });
}
