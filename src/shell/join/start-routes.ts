// The routes by which a node is told to join: Proxmox's POST /cluster/config/join (pvecm.md §4.2), ours with everything that our command line
// has, and one-time tokens.
import * as v from "valibot";
import {
  type JoinCheck,
  joinChecks,
  joinReport,
  joinTask,
  joinTokens,
  madeJoinToken,
  readIntroduction,
} from "../answers/join.ts";
import * as parameter from "../api/parameters.ts";
import { ApiError, onlyRoot, type Route, route } from "../api/route.ts";
import { linkParameters, linksOf } from "../api/cluster/join-routes.ts";
import type { Files } from "../../fs/tree/files.ts";
import { type Result, success } from "../../result.ts";
import type { Introduction } from "./cluster-side.ts";
import { decodeJoinInformation } from "./join-information.ts";
import { decodeJoinToken, looksLikeJoinToken } from "./join-token.ts";
import { tokenLifetime } from "./token-record.ts";
import { listTokens, type MadeToken, revokeToken } from "./tokens.ts";

/** What a join is begun with. */
export interface JoinInput {
  readonly introduction: Introduction;
  /** Of root@pam there; undefined: a session or a token is in the introduction. */
  readonly password: string | undefined;
  readonly nodeid: number | undefined;
  readonly votes: number;
  readonly links: ReadonlyMap<number, string>;
  readonly isForced: boolean;
  readonly user: string;
}

export interface JoinReportText {
  readonly cluster: string;
  readonly links: Readonly<Record<string, string>>;
  readonly effect: string;
  readonly notes: readonly string[];
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/** A task, and its steps as its log names them. */
export interface BegunJoin {
  readonly upid: string;
  readonly steps: readonly string[];
}

export interface JoinChecksText {
  readonly checks: readonly JoinCheck[];
  /** Absent where anything is bad. */
  readonly report?: JoinReportText;
}

export interface StartSource {
  readonly files: Files;
  /** What was begun, or why nothing was. */
  readonly start: (input: JoinInput) => Result<BegunJoin>;
  readonly report: (input: JoinInput) => Promise<Result<JoinReportText>>;
  readonly checks: (input: JoinInput) => Promise<Result<JoinChecksText>>;
  readonly makeToken: (lifetimeS: number, by: string) => Promise<Result<MadeToken>>;
  /** Why this node has no tokens; "": it is a member of a cluster. */
  readonly noCluster: () => string;
}

const introductionCharactersMax = 65_536;
const fingerprint = parameter.formatted(
  95,
  /^(?:[A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}$/,
  "value does not match the regex pattern",
);
const shared = {
  ...linkParameters,
  nodeid: parameter.optional(parameter.integer({ min: 1 })),
  votes: parameter.optional(parameter.integer({ min: 0 })),
  force: parameter.optional(parameter.boolean()),
};
const host = parameter.formatted(
  253,
  /^[A-Za-z0-9:][A-Za-z0-9.:%-]*$/,
  "invalid format - value does not look like a valid address",
);
const hosts = parameter.formatted(
  5000,
  /^[A-Za-z0-9:][A-Za-z0-9.:%,-]*$/,
  "invalid format - value does not look like a list of addresses",
);

/** All of this file. */
export function startRoutes(source: StartSource): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/cluster/config/join",
      description: "Joins this node into an existing cluster.",
      permission: onlyRoot,
      returns: v.string(),
      parameters: {
        ...shared,
        hostname: host,
        fingerprint,
        password: parameter.text({ max: 128 }),
      },
      handle: ({ parameters, caller }) => {
        const { hostname, fingerprint: shown, password } = parameters;
        const trust = { kind: "certificate", fingerprint: shown } as const;
        const introduction = { hosts: [hostname], trust };
        const wish = wishOf(parameters, caller.user);
        return begun(source, { ...wish, introduction, password }).upid;
      },
    }),
    ownRoute(source),
    checksRoute(source),
    readRoute(),
    ...tokenRoutes(source),
  ];
}

/** Whom to ask, and what lets this node in there. */
const whom = {
  hosts,
  port: parameter.optional(parameter.integer({ min: 1, max: 65_535 })),
  trust: parameter.oneOf(["certificate", "authority"]),
  fingerprint,
  ticket: parameter.optional(parameter.text({ max: 8192 })),
  csrf: parameter.optional(parameter.text({ max: 8192 })),
  token: parameter.optional(parameter.formatted(32, /^[0-9a-f]{32}$/, "invalid format - not hex")),
  password: parameter.optional(parameter.text({ min: 1, max: 128 })),
};

function inputOf(
  parameters: parameter.ParametersOf<typeof shared & typeof whom>,
  user: string,
): JoinInput {
  const { hosts: list, port, trust: kind, fingerprint: shown, ticket, csrf } = parameters;
  const { token, password } = parameters;
  const hasTicket = ticket !== undefined && csrf !== undefined;
  if (!hasTicket && token === undefined && password === undefined) {
    throw new ApiError(
      400,
      "a join needs a join token, a ticket with its CSRF token, or the password of root@pam there",
    );
  }
  if (password !== undefined && (hasTicket || token !== undefined || kind !== "certificate")) {
    throw new ApiError(400, "a password goes with the fingerprint of a certificate, and alone");
  }
  const introduction: Introduction = {
    hosts: list.split(",").filter((each) => each !== ""),
    port,
    trust: { kind, fingerprint: shown },
    ...(ticket === undefined || csrf === undefined ? {} : { session: { ticket, csrf } }),
    token,
  };
  return { ...wishOf(parameters, user), introduction, password };
}

function checksRoute(source: StartSource): Route {
  return route({
    method: "POST",
    path: "/join/checks",
    isOurs: true,
    description:
      "Looks at this machine, the cluster and the links between them, as a join does first: each check with what was found and what to do. Nothing is changed.",
    permission: onlyRoot,
    returns: joinChecks,
    parameters: { ...shared, ...whom },
    handle: async ({ parameters, caller }) => {
      const found = await source.checks(inputOf(parameters, caller.user));
      if (!found.ok) throw new ApiError(400, found.reason, { code: "check" });
      return found.value;
    },
  });
}

function ownRoute(source: StartSource): Route {
  return route({
    method: "POST",
    path: "/join",
    isOurs: true,
    description:
      "Joins this node into an existing cluster, by a login, a ticket or a one-time token.",
    permission: onlyRoot,
    returns: v.union([joinTask, joinReport]),
    parameters: { ...shared, ...whom, "dry-run": parameter.optional(parameter.boolean()) },
    handle: async ({ parameters, caller }) => {
      const input = inputOf(parameters, caller.user);
      if (parameters["dry-run"] !== true) return begun(source, input);
      const report = await source.report(input);
      if (!report.ok) throw new ApiError(400, report.reason, { code: "check" });
      return report.value;
    },
  });
}

function readRoute(): Route {
  return route({
    method: "POST",
    path: "/join/read",
    isOurs: true,
    description:
      "What a join token or join information says, as parameters of the call that joins; nothing is changed.",
    permission: onlyRoot,
    returns: readIntroduction,
    parameters: { text: parameter.text({ min: 1, max: introductionCharactersMax }) },
    handle: ({ parameters: { text } }) => {
      const read = looksLikeJoinToken(text) ? readToken(text) : readInformation(text);
      if (read.ok) return read.value;
      throw new ApiError(400, "Parameter verification failed.", { errors: { text: read.reason } });
    },
  });
}

function readToken(text: string): Result<v.InferOutput<typeof readIntroduction>> {
  const token = decodeJoinToken(text);
  if (!token.ok) return token;
  const { cluster, addresses, port, fingerprint: shown, secret, expiresAt } = token.value;
  return success({
    kind: "token",
    ...{ cluster, hosts: [...addresses], port, expiresAt },
    fingerprint: (Buffer.from(shown).toString("hex").toUpperCase().match(/../g) ?? []).join(":"),
    token: Buffer.from(secret).toString("hex"),
    isExpired: expiresAt * 1000 <= Date.now(),
  });
}

function readInformation(text: string): Result<v.InferOutput<typeof readIntroduction>> {
  const information = decodeJoinInformation(text);
  if (!information.ok) return information;
  const { ipAddress, fingerprint: shown, peerLinks, totem } = information.value;
  const name = totem["cluster_name"];
  return success({
    kind: "information",
    cluster: typeof name === "string" ? name : "",
    hosts: [ipAddress],
    fingerprint: shown,
    links: { ...peerLinks },
  });
}

function tokenRoutes(source: StartSource): readonly Route[] {
  const ours = { isOurs: true, permission: onlyRoot } as const;
  const needCluster = (): void => {
    const reason = source.noCluster();
    if (reason !== "") throw new ApiError(424, reason, { code: "standalone" });
  };
  return [
    route({
      ...ours,
      method: "POST",
      path: "/join-tokens",
      description: "Makes a one-time token with which one machine may join.",
      needsQuorum: true,
      returns: madeJoinToken,
      parameters: {
        lifetime: parameter.optional(
          parameter.integer({ min: tokenLifetime.min, max: tokenLifetime.max }),
        ),
      },
      handle: async ({ parameters, caller }) => {
        needCluster();
        const made = await source.makeToken(
          parameters.lifetime ?? tokenLifetime.default,
          caller.user,
        );
        if (!made.ok) throw new ApiError(500, made.reason);
        return made.value;
      },
    }),
    route({
      ...ours,
      method: "GET",
      path: "/join-tokens",
      description: "The one-time tokens that are open or were used, without their secrets.",
      returns: joinTokens,
      parameters: {},
      handle: () => {
        needCluster();
        return listTokens(source.files).map(({ hash, ...record }) => ({
          id: hash.slice(0, 16),
          ...record,
        }));
      },
    }),
    route({
      ...ours,
      method: "DELETE",
      path: "/join-tokens/{id}",
      description: "Takes a one-time token back.",
      needsQuorum: true,
      returns: v.null(),
      parameters: {
        id: parameter.formatted(16, /^[0-9a-f]{16}$/, "invalid format - not the id of a token"),
      },
      handle: async ({ parameters }) => {
        needCluster();
        const revoked = await revokeToken(source.files, parameters.id);
        if (!revoked.ok) throw new ApiError(404, revoked.reason);
        return null;
      },
    }),
  ];
}

function wishOf(
  parameters: parameter.ParametersOf<typeof shared>,
  user: string,
): Pick<JoinInput, "nodeid" | "votes" | "links" | "isForced" | "user"> {
  const { nodeid, votes = 1, force = false } = parameters;
  const links = Object.entries(linksOf(parameters)).map(
    ([link, text]) => [Number(link), text] as const,
  );
  return { nodeid, votes, links: new Map(links), isForced: force, user };
}

function begun(source: StartSource, input: JoinInput): BegunJoin {
  const started = source.start(input);
  if (!started.ok) throw new ApiError(500, started.reason);
  return started.value;
}
