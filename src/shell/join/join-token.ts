// The one-time token with which a machine joins a cluster: everything it needs to find a member, to know the cluster's authority, and to be
// let in once. Same text form as the vote server's invitations. Pure; it must never throw on what a person pasted.
import type { Decoded } from "../../bytes.ts";
import {
  cutTokenText,
  decodeToken,
  encodeToken,
  type InviteToken,
  looksLikeToken,
  type TokenForm,
} from "../../qnetd/enrol/enrolment-token.ts";

const form: TokenForm = { prefix: "quoratejoin1.", printer: '"quorate join-token"' };

/** `fingerprint`: SHA-256 of the cluster's own authority (pve-root-ca.pem, DER). `expiresAt`: Unix seconds. */
export type JoinToken = InviteToken;

export const looksLikeJoinToken = (text: string): boolean => looksLikeToken(text, form);

/** Names and addresses must be within their limits: whoever makes a token has checked them. */
export const encodeJoinToken = (token: JoinToken): string => encodeToken(token, form);

/** The reason is a sentence for whoever pasted it. Blanks and line breaks that a terminal put in do not count. */
export const decodeJoinToken = (text: string): Decoded<JoinToken> => decodeToken(text, form);

/** Why a word is neither a whole token nor the name or address of a member, a sentence; "": it may be one of these. */
export const cutJoinTokenText = (text: string): string => cutTokenText(text, form);
