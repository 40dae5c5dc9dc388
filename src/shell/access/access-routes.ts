// The routes of logins (pvecm.md §4.2): tickets for who knows a password, and what the API is told of who sends a request.
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
import type { Access, LoginAnswer } from "./access.ts";
import { credentialsOf } from "./credentials.ts";
import { ticketCharactersMax } from "./ticket.ts";
import { rootUser, userIdCharactersMax } from "./user-id.ts";

export interface AccessSource {
  readonly access: Access;
  readonly files: Files;
}

/** For the API of the network: who sends a request. Users other than root may nothing yet. */
export function authenticateWith(access: Access): Authenticate {
  return async (request) => {
    const known = await access.authenticate(request);
    return known.ok ? { ok: true, caller: callerOf(known.user) } : known;
  };
}

function callerOf(user: string): Caller {
  return user === rootUser ? rootCaller : { user, isToken: false, may: () => false };
}

export function accessRoutes(source: AccessSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access/ticket",
      description: "Nothing; for clients that begin here.",
      permission: anybody,
      parameters: {},
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
      handle: async ({ parameters, request }) => {
        refuseTokens(request);
        const { username, realm, password, path, privs } = parameters;
        checkPair(path, privs);
        const challenge = parameters["tfa-challenge"];
        const answer = await source.access.login({
          user: realm === undefined || realm === "" ? username : `${username}@${realm}`,
          password,
          address: request.address,
          ...(challenge === undefined ? {} : { challenge }),
        });
        return loginData(source, answer, path !== undefined);
      },
    }),
  ];
}

function loginData({ files }: AccessSource, answer: LoginAnswer, isCheckOnly: boolean): object {
  switch (answer.kind) {
    case "granted": {
      const { user, ticket, csrfToken, capabilities } = answer;
      const clusterName = membersOf(files).cluster?.name;
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
    case "refused":
      throw new ApiError(401, "authentication failure", { code: "authenticationFailure" });
    case "tooMany": {
      const seconds = Math.ceil(answer.waitMs / 1000);
      throw new ApiError(429, `too many failed logins: try again in ${seconds} s`, {
        code: "tooManyLogins",
      });
    }
    case "fault":
      throw new ApiError(503, "this node cannot check logins at the moment", {
        code: "loginFault",
        hint: "the log of quorate on that node says why",
      });
  }
}

function refuseTokens({ headers, path }: RequestFacts): void {
  if (credentialsOf(headers).kind !== "token") return;
  throw new ApiError(403, `URI '${path}' not available with API token, need proper ticket.`);
}

/** Both or neither. */
function checkPair(path: string | undefined, privs: string | undefined): void {
  if ((path === undefined) === (privs === undefined)) return;
  const [given, missing] = path === undefined ? ["privs", "path"] : ["path", "privs"];
  throw new ApiError(400, "Parameter verification failed.", {
    errors: { [missing]: `missing property - '${given}' requires this property` },
  });
}
