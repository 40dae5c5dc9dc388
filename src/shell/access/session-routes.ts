// A browser's session: the ticket lies in a cookie that no script reads, and the token against cross-site requests is given to whoever shows that cookie
// from our own page (pvecm.md §4.3). Everything else knows the same ticket; Proxmox's clients log in at /access/ticket.
import * as v from "valibot";
import type { Files } from "../../fs/tree/files.ts";
import { halfAnswer, type Session, sessionAnswer } from "../answers/session.ts";
import * as parameter from "../api/parameters.ts";
import {
  anybody,
  anyUser,
  ApiError,
  type Authenticate,
  Headed,
  type RequestFacts,
  type Route,
  route,
} from "../api/route.ts";
import type { Access } from "./access.ts";
import { loginRefusal, shownClusterName } from "./access-routes.ts";
import { challengeKinds, ticketCharactersMax } from "./ticket.ts";
import type { UserFiles } from "./user-files.ts";
import { userIdCharactersMax } from "../users/user-id.ts";

export interface SessionSource {
  readonly access: Pick<Access, "login" | "proofOf">;
  readonly users: UserFiles;
  readonly files: Files;
  readonly authenticate: Authenticate;
  /** Of this node in the tree. */
  readonly nodeName: string;
}

/** Sent to no other site, not even by a link there; gone when the browser ends. */
const cookieRules = "Path=/; Secure; HttpOnly; SameSite=Strict";

/** All of this file. */
export function sessionRoutes(source: SessionSource): readonly Route[] {
  const ours = { path: "/session", isOurs: true } as const;
  return [
    loginRoute(source),
    route({
      ...ours,
      method: "GET",
      description: "Who is logged in by the cookie, with a token for changes; null: nobody.",
      // A browser reports every refusal as an error of the page, and that nobody is logged in is none.
      permission: anybody,
      parameters: {},
      returns: v.nullable(sessionAnswer),
      handle: async ({ request }) => {
        const known = await source.authenticate(request);
        if (!known.ok || known.caller.isToken) return null;
        const { user } = known.caller;
        const { csrfpreventiontoken } = await source.access.proofOf(user);
        return sessionOf(source, user, csrfpreventiontoken ?? "");
      },
    }),
    route({
      ...ours,
      method: "PUT",
      description: "Renews the session: a cookie of this moment.",
      permission: anyUser,
      isTicketOnly: true,
      parameters: {},
      returns: sessionAnswer,
      handle: async ({ caller }) => {
        const { cookie, csrfpreventiontoken } = await source.access.proofOf(caller.user);
        const answer = sessionOf(source, caller.user, csrfpreventiontoken ?? "");
        return new Headed(answer, { "set-cookie": `${cookie}; ${cookieRules}` });
      },
    }),
    route({
      ...ours,
      method: "DELETE",
      description: "Logs out: the browser forgets the cookie.",
      // Whoever has none is logged out already.
      permission: anybody,
      parameters: {},
      returns: v.null(),
      handle: ({ request }) => {
        refuseOtherSites(request);
        return new Headed(null, { "set-cookie": `PVEAuthCookie=; Max-Age=0; ${cookieRules}` });
      },
    }),
  ];
}

function loginRoute(source: SessionSource): Route {
  return route({
    method: "POST",
    path: "/session",
    isOurs: true,
    description:
      "Logs a browser in by password; with a second factor again, by its code and the challenge of the first answer.",
    permission: anybody,
    parameters: {
      username: parameter.text({ min: 1, max: userIdCharactersMax }),
      password: parameter.optional(parameter.text({ min: 1, max: 1024 })),
      code: parameter.optional(
        parameter.formatted(
          128,
          /^[a-z0-9]{1,16}:[\x21-\x7e]+$/,
          "invalid format - must be KIND:CODE, totp:123456 say",
        ),
      ),
      challenge: parameter.optional(parameter.text({ max: ticketCharactersMax })),
    },
    returns: v.union([sessionAnswer, halfAnswer]),
    handle: async ({ parameters: { username, password, code, challenge }, request }) => {
      refuseOtherSites(request);
      const isSecond = challenge !== undefined;
      const proof = isSecond ? code : password;
      if (proof === undefined) {
        const errors = { [isSecond ? "code" : "password"]: "property is missing" };
        throw new ApiError(400, "Parameter verification failed.", { errors });
      }
      const answer = await source.access.login({
        ...{ user: username, password: proof, address: request.address },
        ...(isSecond ? { challenge } : {}),
      });
      switch (answer.kind) {
        case "granted": {
          const cookie = `PVEAuthCookie=${encodeURIComponent(answer.ticket)}; ${cookieRules}`;
          const session = sessionOf(source, answer.user, answer.csrfToken);
          return new Headed(session, { "set-cookie": cookie });
        }
        case "half":
          return { kinds: challengeKinds(answer.ticket), challenge: answer.ticket };
        default:
          throw loginRefusal(answer);
      }
    },
  });
}

function sessionOf(source: SessionSource, user: string, csrfToken: string): Session {
  const capabilities = source.users.capabilities(user);
  const cluster = shownClusterName(source, user) ?? "";
  return { user, csrfToken, capabilities, node: source.nodeName, cluster };
}

/** A form of another site could log its visitors in as somebody else, or out. Programs send neither header. */
function refuseOtherSites({ headers }: RequestFacts): void {
  const site = headers.get("sec-fetch-site");
  const origin = headers.get("origin");
  const isOurs = site === null ? isOrigin(origin, headers.get("host")) : site === "same-origin";
  if (isOurs) return;
  throw new ApiError(403, "this is for the page of this node alone", { code: "otherSite" });
}

function isOrigin(origin: string | null, host: string | null): boolean {
  return origin === null || (host !== null && origin === `https://${host}`);
}
