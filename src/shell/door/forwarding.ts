// A call below /nodes/{node} of another member is answered by that member (pvecm.md §4.1): sent on over HTTPS with the caller's own credentials, only to
// the certificate that the tree holds for it, and not further than once.
import type { Files } from "../../fs/tree/files.ts";
import { callHttps, type HttpsFailure } from "../remote/https-call.ts";
import { fingerprintBytes, trustFingerprint } from "../remote/trust.ts";
import { clusterConfOf, membersOf, nodeFingerprint } from "../api/cluster-facts.ts";
import { ApiError, type Caller, type Forward } from "../api/route.ts";

const waitMs = 30_000;
const answerBytesMax = 16 * 1024 * 1024;
/** Of the original: whoever gets it answers itself. */
export const forwardedHeader = "pvedisableproxy";
const passedOn = ["cookie", "authorization", "csrfpreventiontoken", "content-type"] as const;
const passedBack = ["content-type", "content-encoding", "content-disposition"] as const;

export interface ForwardingOptions {
  readonly files: Files;
  /** Of this node in the tree. */
  readonly nodeName: string;
  /** Where every node's API listens. */
  readonly port: number;
  /** The headers that prove to another node who calls, for a user who came without a ticket (over the local socket). Throws when nobody can. */
  readonly credentials: (user: string) => Promise<Record<string, string>>;
}

/** Answers undefined for a call that this node is to answer. Throws ApiError 595 to 599 when the other node gives none. */
export function forwarding(options: ForwardingOptions): Forward {
  return async ({ node, caller, request }) => {
    if (node === options.nodeName || node === "localhost") return undefined;
    const { host, fingerprint } = whereOf(options.files, node);
    if (request.headers.has(forwardedHeader)) {
      throw new ApiError(500, `'${node}' is not this node, and the call was sent on once already`);
    }
    const { method, headers, url } = request;
    if (method !== "GET" && method !== "POST" && method !== "PUT" && method !== "DELETE") {
      throw new ApiError(501, `method '${method}' not available`);
    }
    const { pathname, search } = new URL(url);
    const hasBody = method === "POST" || method === "PUT";
    const outcome = await callHttps({
      host,
      port: options.port,
      trust: trustFingerprint(fingerprint),
      method,
      path: `${pathname}${search}`,
      headers: { ...(await credentialsOf(options, caller, request)), ...given(headers) },
      ...(hasBody ? { body: await request.text() } : {}),
      waitMs,
      answerBytesMax,
    });
    if (!outcome.ok) throw new ApiError(statusOf(outcome), `the node ${node} ${outcome.reason}`);
    const { status, reasonPhrase, headers: answered, body } = outcome.answer;
    const back = new Headers({ "content-length": `${body.length}` });
    for (const name of passedBack) {
      const value = answered[name];
      if (typeof value === "string") back.set(name, value);
    }
    return new Response(new Uint8Array(body), { status, statusText: reasonPhrase, headers: back });
  };
}

function given(headers: Headers): Record<string, string> {
  const on: Record<string, string> = { [forwardedHeader]: "true" };
  for (const name of passedOn) {
    const value = headers.get(name);
    if (value !== null) on[name] = value;
  }
  return on;
}

async function credentialsOf(
  { credentials }: ForwardingOptions,
  caller: Caller,
  { headers }: Request,
): Promise<Record<string, string>> {
  return headers.has("cookie") || headers.has("authorization") ? {} : credentials(caller.user);
}

function whereOf(files: Files, node: string): { host: string; fingerprint: Uint8Array } {
  const host =
    membersOf(files).nodelist?.[node]?.ip ??
    clusterConfOf(files)?.nodes.find(({ name }) => name === node)?.["ring0_addr"];
  if (host === undefined) throw new ApiError(500, `unknown node '${node}'`);
  const fingerprint = fingerprintBytes(nodeFingerprint(files, node) ?? "");
  if (fingerprint === undefined) {
    throw new ApiError(596, `node '${node}' has no certificate in the tree`, {
      hint: "it makes one once it runs in the quorate cluster: `pvecm updatecerts` there",
    });
  }
  return { host, fingerprint };
}

/** §4.4: no connection, TLS or a broken answer, anything else. */
function statusOf({ kind }: HttpsFailure): number {
  if (kind === "unreachable") return 595;
  return kind === "timeout" ? 599 : 596;
}
