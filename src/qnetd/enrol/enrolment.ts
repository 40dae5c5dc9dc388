// Who may have a cluster's certificate without an operator on this machine: the invitations, what is asked for, and the decision. One
// invitation serves one request, once; the same request again gets the same answer, because an answer may be lost on its way.
// Pure; secrets are compared as hashes, in constant time. Signing and storing are the host's (`enrolment-server.ts`).
import { type Result, success, failure } from "../../result.ts";

/** Live invitations at one time; older ones must end first. */
export const invitesMax = 64;
export const lifetimeMsDefault = 3_600_000;
/** Of one invitation on disk. */
export const inviteBytesMax = 32_768;

/** As it lies on disk; times are wall clock, milliseconds. */
export interface Invite {
  readonly cluster: string;
  /** SHA-256 of the secret, hex. The secret itself is only in the token. */
  readonly secretHash: string;
  readonly createdAt: number;
  readonly expiresAt: number;
  readonly used: InviteUse | undefined;
}

export interface InviteUse {
  /** SHA-256 of the request (DER), hex. */
  readonly requestHash: string;
  /** What was answered: DER, base64. */
  readonly certificate: string;
  readonly at: number;
}

export type RefusalCode =
  "secret" | "expired" | "used" | "cluster" | "request" | "malformed" | "server";

export interface EnrolmentRefusal {
  readonly kind: "refuse";
  readonly code: RefusalCode;
  /** For the operator of the node; says nothing to somebody without the secret. */
  readonly reason: string;
}

export type EnrolmentDecision =
  | { readonly kind: "issue" }
  | { readonly kind: "repeat"; readonly certificate: string }
  | EnrolmentRefusal;

const again = `make a new invitation on the vote server with "quorate qnetd invite"`;

export function refusal(code: RefusalCode, reason: string): EnrolmentRefusal {
  return { kind: "refuse", code, reason };
}

/** The invitation whose secret this is. Every invitation is looked at, whichever fits. */
export function findInvite(
  invites: readonly Invite[],
  secretHash: string,
  now: number,
): Invite | EnrolmentRefusal {
  let found: Invite | undefined;
  for (const invite of invites) {
    if (isSameHash(invite.secretHash, secretHash)) found = invite;
  }
  if (found === undefined) {
    return refusal(
      "secret",
      `this vote server has no invitation with this secret; if it was for this server, ${again}`,
    );
  }
  if (now < found.expiresAt) return found;
  return refusal("expired", `the invitation has expired: ${again}`);
}

/** May this request, whose own signature is good, be signed for this invitation? */
export function checkRequest(
  invite: Invite,
  asked: {
    readonly cluster: string;
    readonly commonName: string;
    readonly requestHash: string;
  },
): EnrolmentDecision {
  if (asked.cluster !== invite.cluster) {
    return refusal(
      "cluster",
      `the invitation is for the cluster "${invite.cluster}", not for "${asked.cluster}"`,
    );
  }
  if (asked.commonName !== invite.cluster) {
    return refusal(
      "request",
      `the certificate request is for the name "${asked.commonName}", not for "${invite.cluster}"`,
    );
  }
  const { used } = invite;
  if (used === undefined) return { kind: "issue" };
  if (isSameHash(used.requestHash, asked.requestHash)) {
    return { kind: "repeat", certificate: used.certificate };
  }
  return refusal("used", `the invitation has been used already: ${again}`);
}

/** Reads what lies on disk; the reason is a clause. */
export function decodeInvite(text: string): Result<Invite> {
  if (text.length > inviteBytesMax) return failure("it is too long for an invitation");
  const value = parsed(text);
  const { cluster, secretHash, createdAt, expiresAt, used } = value ?? {};
  if (
    typeof cluster !== "string" ||
    !isHash(secretHash) ||
    !isTime(createdAt) ||
    !isTime(expiresAt)
  ) {
    return failure("it is no invitation of this version");
  }
  const usage = used === undefined ? undefined : useOf(used);
  if (used !== undefined && usage === undefined) return failure("its use is not readable");
  return success({ cluster, secretHash, createdAt, expiresAt, used: usage });
}

export function encodeInvite(invite: Invite): string {
  return `${JSON.stringify(invite, undefined, 2)}\n`;
}

/** An object of JSON with its own properties only; undefined when it is none. */
export function parsed(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    return { ...value };
  } catch {
    return undefined; // Not JSON: the caller says so.
  }
}

function useOf(value: unknown): InviteUse | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { requestHash, certificate, at }: Readonly<Record<string, unknown>> = { ...value };
  if (!isHash(requestHash) || typeof certificate !== "string" || !isTime(at)) return undefined;
  return { requestHash, certificate, at };
}

function isHash(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** Takes the same time wherever they differ. Both are hashes: their length is no secret. */
function isSameHash(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let at = 0; at < a.length; at += 1) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}
