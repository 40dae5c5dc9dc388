// The routes of logins (pvecm.md §4.2): tickets for who knows a password, and what the API is told of who sends a request.
import * as v from "valibot";
import type { Files } from "../../fs/tree/files.ts";
import { membersOf } from "../api/cluster-facts.ts";
import * as parameter from "../api/parameters.ts";
import {
  anybody,
  ApiError,
  type Authenticate,
  type Caller,
  type RequestFacts,
  rootCaller,
  type Route,
  route,
} from "../api/route.ts";
import type { Access, LoginAnswer, LoginRequest } from "./access.ts";
import { credentialsOf } from "./credentials.ts";
import { ticketCharactersMax } from "./ticket.ts";
import type { UserFiles } from "./user-files.ts";
import { splitList } from "../users/text-code.ts";
import { normalPath } from "../users/user-config.ts";
import { rootUser, userIdCharactersMax } from "../users/user-id.ts";

export interface AccessSource {
  readonly access: Access;
  readonly users: UserFiles;
  readonly files: Files;
}

/** For the API of the network: who sends a request, and what it may by user.cfg of this moment. */
export function authenticateWith(access: Access, users: UserFiles): Authenticate {
  return async (request) => {
    const known = await access.authenticate(request);
    if (!known.ok) return known;
    const { who, isToken } = known;
    const caller: Caller = {
      user: who,
      isToken,
      may: (path, privilege) => users.rights.may(who, path, privilege),
    };
    return { ok: true, caller: who === rootUser ? rootCaller : caller };
  };
}

const loginAnswer = v.object({
  username: v.string(),
  ticket: v.optional(v.pipe(v.string(), v.description("For the cookie PVEAuthCookie; two hours."))),
  CSRFPreventionToken: v.optional(
    v.pipe(v.string(), v.description("For a header of that name with everything but GET.")),
  ),
  cap: v.optional(
    v.pipe(
      v.record(v.string(), v.record(v.string(), v.number())),
      v.description("By kind of object the privileges that the user has on any of it, each 1."),
    ),
  ),
  clustername: v.optional(v.string()),
  NeedTFA: v.optional(
    v.pipe(
      v.number(),
      v.description(
        "1: the ticket is half of a login; it is the `tfa-challenge` of a second call, whose password is totp:CODE or recovery:CODE.",
      ),
    ),
  ),
});

export function accessRoutes(source: AccessSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access/ticket",
      description: "Nothing; for clients that begin here.",
      permission: anybody,
      parameters: {},
      returns: v.null(),
      handle: () => null,
    }),
    route({
      method: "POST",
      path: "/access/ticket",
      description: "Logs in by password, second factor or a ticket that is still good.",
      permission: anybody,
      parameters: {
        username: parameter.text({ max: userIdCharactersMax }),
        realm: parameter.optional(parameter.text({ max: 32 })),
        password: parameter.text({ max: ticketCharactersMax }),
        otp: parameter.optional(parameter.text({ max: 128 })),
        "tfa-challenge": parameter.optional(parameter.text({ max: ticketCharactersMax })),
        path: parameter.optional(parameter.text({ max: 64 })),
        privs: parameter.optional(parameter.text({ max: 64 })),
        "new-format": parameter.optional(parameter.boolean()),
      },
      returns: loginAnswer,
      handle: async ({ parameters, request }) => {
        refuseTokens(request);
        const { username, realm, password, otp, path, privs } = parameters;
        const wanted = wantedOf(path, privs);
        const challenge = parameters["tfa-challenge"];
        const answer = await source.access.login({
          user: realm === undefined || realm === "" ? username : `${username}@${realm}`,
          password,
          address: request.address,
          ...(challenge === undefined ? {} : { challenge }),
          ...(otp === undefined ? {} : { otp }),
          ...(wanted === undefined ? {} : { wanted }),
        });
        return loginData(source, answer, wanted !== undefined);
      },
    }),
  ];
}

function loginData(
  source: AccessSource,
  answer: LoginAnswer,
  isCheckOnly: boolean,
): v.InferInput<typeof loginAnswer> {
  switch (answer.kind) {
    case "granted": {
      const { user, ticket, csrfToken, capabilities } = answer;
      const clusterName = shownClusterName(source, user);
      return {
        username: user,
        ...(isCheckOnly ? {} : { ticket, CSRFPreventionToken: csrfToken }),
        cap: capabilities,
        ...(clusterName === undefined ? {} : { clustername: clusterName }),
      };
    }
    case "half": {
      const { user, ticket, csrfToken } = answer;
      return { username: user, ticket, CSRFPreventionToken: csrfToken, NeedTFA: 1 };
    }
    default:
      throw loginRefusal(answer);
  }
}

function refuseTokens({ headers, path }: RequestFacts): void {
  if (credentialsOf(headers).kind !== "token") return;
  throw new ApiError(403, `URI '${path}' not available with API token, need proper ticket.`);
}

/** Both or neither; what a login is to be checked for. */
function wantedOf(
  path: string | undefined,
  privs: string | undefined,
): LoginRequest["wanted"] | undefined {
  if (path === undefined && privs === undefined) return undefined;
  if (path === undefined || privs === undefined) {
    const [given, missing] = path === undefined ? ["privs", "path"] : ["path", "privs"];
    throw refusedParameter(missing, `missing property - '${given}' requires this property`);
  }
  const privileges = splitList(privs);
  const normal = normalPath(path);
  if (normal === undefined) throw refusedParameter("path", "that is no path of permissions");
  if (privileges.length === 0) throw refusedParameter("privs", "it names no privilege");
  return { path: normal, privileges };
}

function refusedParameter(name: string, words: string): ApiError {
  return new ApiError(400, "Parameter verification failed.", { errors: { [name]: words } });
}

/** The cluster's name as somebody who logs in is told it: undefined without the right to see it, or where there is no cluster. */
export function shownClusterName(
  { files, users }: Pick<AccessSource, "files" | "users">,
  user: string,
): string | undefined {
  if (!users.rights.may(user, "/", "Sys.Audit")) return undefined;
  return membersOf(files).cluster?.name;
}

/** Why nobody is logged in, as all doors say it. */
export function loginRefusal(
  answer: Extract<LoginAnswer, { readonly kind: "refused" | "tooMany" | "fault" }>,
): ApiError {
  switch (answer.kind) {
    case "refused":
      return new ApiError(401, "authentication failure", { code: "authenticationFailure" });
    case "tooMany": {
      const seconds = Math.ceil(answer.waitMs / 1000);
      return new ApiError(429, `too many failed logins: try again in ${seconds} s`, {
        code: "tooManyLogins",
      });
    }
    case "fault":
      return new ApiError(503, "this node cannot check logins at the moment", {
        code: "loginFault",
        hint: "the log of quorate on that node says why",
      });
  }
  return answer satisfies never;
}
