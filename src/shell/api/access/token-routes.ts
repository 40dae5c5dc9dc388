// API tokens of a user (pvecm.md §4.2, §4.3): their secret is shown once, when it is made.
import { randomUUID } from "node:crypto";
import * as v from "valibot";
import { userPaths } from "../../access/user-files.ts";
import { withSecret } from "../../users/secret-files.ts";
import { encodeText, splitList } from "../../users/text-code.ts";
import type { Reading, TokenEntry, UserConfig, UserEntry } from "../../users/user-config.ts";
import * as parameter from "../parameters.ts";
import { ApiError, type Route, route } from "../route.ts";
import { expire, tokenName, userId } from "./access-parameters.ts";
import type { AccessRules } from "./access-rules.ts";
import {
  type AccessRoutesSource,
  badParameter,
  changeFile,
  changeUsers,
  EditRefusal,
  existingUser,
  noSuchUser,
} from "./access-source.ts";
import { tokenAnswer, tokenInfo } from "./user-routes.ts";

/** Every user may make tokens of its own, and user.cfg has 1 MiB for all: what a site never needs is refused. */
const tokensMax = 64;
const commentBytesMax = 1024;
/** Of all tokens of a user, as their names and comments stand in the file. */
const userBytesMax = 16 * 1024;

const path = "/access/users/{userid}/token";
const onePath = `${path}/{tokenid}`;
const oneToken = { userid: userId(), tokenid: tokenName() } as const;
const settings = {
  expire: parameter.optional(expire()),
  privsep: parameter.optional(parameter.boolean()),
  comment: parameter.optional(tokenComment()),
} as const;
const secret = v.pipe(v.string(), v.description("The secret, which is shown only this once."));

function tokenComment() {
  return v.pipe(
    parameter.text({ max: commentBytesMax }),
    v.check(
      (text) => encodeText(text).length <= commentBytesMax,
      `value may only have ${commentBytesMax} bytes as user.cfg has it, where other letters than a-z take up to nine`,
    ),
  );
}

/** Throws `EditRefusal`. */
function refuseTooMuch(user: string, tokens: ReadonlyMap<string, TokenEntry>): void {
  if (tokens.size > tokensMax) {
    throw new EditRefusal(
      `a user has at most ${tokensMax} API tokens, and ${user} has them: delete some (quorate token delete)`,
    );
  }
  let bytes = 0;
  for (const [name, { comment }] of tokens) bytes += name.length + encodeText(comment).length;
  if (bytes <= userBytesMax) return;
  throw new EditRefusal(
    `the names and comments of all API tokens of ${user} would have ${bytes} bytes in user.cfg, and ${userBytesMax} is the most: shorten comments or delete tokens`,
  );
}

export function tokenRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  return [
    ...readRoutes(source, rules),
    createRoute(source, rules),
    updateRoute(source, rules),
    deleteRoute(source, rules),
  ];
}

function readRoutes({ users }: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  const userOf = (id: string) => {
    const user = users.config.users.get(id);
    if (user === undefined) throw new ApiError(500, noSuchUser(id));
    return user;
  };
  return [
    route({
      method: "GET",
      path,
      description: "The tokens of a user, without their secrets.",
      permission: rules.selfOrUserAdmin,
      parameters: { userid: userId() },
      returns: v.array(v.object({ tokenid: v.string(), ...tokenInfo })),
      handle: ({ parameters: { userid } }) =>
        [...userOf(userid).tokens].map(([tokenid, token]) => ({ tokenid, ...tokenAnswer(token) })),
    }),
    route({
      method: "GET",
      path: onePath,
      description: "One token, without its secret.",
      permission: rules.selfOrUserAdmin,
      parameters: oneToken,
      returns: v.object(tokenInfo),
      handle: ({ parameters: { userid, tokenid } }) => {
        const token = userOf(userid).tokens.get(tokenid);
        if (token === undefined) throw new ApiError(500, noSuchToken(userid, tokenid));
        return tokenAnswer(token);
      },
    }),
  ];
}

function noSuchToken(user: string, token: string): string {
  return `no such token '${token}' for user '${user}'`;
}

/** A new secret for a token, which is good once user.cfg has the token. */
async function newSecret(source: AccessRoutesSource, what: string, id: string): Promise<string> {
  const value = randomUUID();
  await changeFile(source, userPaths.tokens, what, (text) =>
    withSecret("tokens", text, { name: id, secret: value }),
  );
  return value;
}

function createRoute(source: AccessRoutesSource, { selfOrUserAdmin }: AccessRules): Route {
  return route({
    method: "POST",
    path: onePath,
    description: "Makes a token; its secret is in this answer and nowhere else.",
    permission: selfOrUserAdmin,
    parameters: { ...oneToken, ...settings },
    returns: v.object({
      "full-tokenid": v.string(),
      value: secret,
      info: v.object(tokenInfo),
    }),
    handle: async ({ parameters: { userid, tokenid, ...given } }) => {
      const what = "generating token failed";
      const id = `${userid}!${tokenid}`;
      const entry: TokenEntry = {
        expire: given.expire ?? 0,
        isSeparated: given.privsep ?? true,
        comment: given.comment ?? "",
      };
      if (source.users.config.users.get(userid)?.tokens.has(tokenid) === true) {
        throw badParameter("tokenid", "Token already exists.");
      }
      let value = "";
      await changeUsers(source, what, async (config) => {
        const { tokens } = existingUser(config, userid);
        if (tokens.has(tokenid)) throw new EditRefusal("Token already exists.");
        tokens.set(tokenid, entry);
        refuseTooMuch(userid, tokens);
        value = await newSecret(source, what, id);
      });
      return { "full-tokenid": id, value, info: tokenAnswer(entry) };
    },
  });
}

function tokenOf(
  user: UserEntry,
  { userid, tokenid }: Record<"userid" | "tokenid", string>,
): TokenEntry {
  const token = user.tokens.get(tokenid);
  if (token === undefined) throw new EditRefusal(noSuchToken(userid, tokenid));
  return token;
}

function updateRoute(source: AccessRoutesSource, { selfOrUserAdmin }: AccessRules): Route {
  return route({
    method: "PUT",
    path: onePath,
    description:
      "Changes a token; with `regenerate` it gets a new secret, and the one before is refused from then on.",
    permission: selfOrUserAdmin,
    parameters: {
      ...oneToken,
      ...settings,
      regenerate: parameter.optional(parameter.boolean(), false),
      delete: parameter.optional(parameter.text({ max: 256 })),
    },
    returns: v.object({
      ...tokenInfo,
      value: v.optional(secret),
      "full-tokenid": v.optional(v.string()),
    }),
    handle: async ({ parameters: { userid, tokenid, regenerate, ...given } }) => {
      const what = "updating token info failed";
      const deleted = splitList(given.delete ?? "");
      const unknown = deleted.find((each) => each !== "comment");
      if (unknown !== undefined) throw badParameter("delete", `unknown option '${unknown}'`);
      const id = `${userid}!${tokenid}`;
      let value = "";
      let changed: Reading<TokenEntry> | undefined;
      await changeUsers(source, what, async (config) => {
        const user = existingUser(config, userid);
        const token = tokenOf(user, { userid, tokenid });
        token.expire = given.expire ?? token.expire;
        token.isSeparated = given.privsep ?? token.isSeparated;
        token.comment = deleted.includes("comment") ? "" : (given.comment ?? token.comment);
        // A file of Proxmox's may have more already: only what grows is refused.
        if (given.comment !== undefined) refuseTooMuch(userid, user.tokens);
        if (regenerate) value = await newSecret(source, what, id);
        changed = token;
      });
      if (changed === undefined) throw new ApiError(500, `${what}: nothing was changed`);
      return {
        ...tokenAnswer(changed),
        ...(regenerate ? { value, "full-tokenid": id } : {}),
      };
    },
  });
}

function deleteRoute(source: AccessRoutesSource, { selfOrUserAdmin }: AccessRules): Route {
  return route({
    method: "DELETE",
    path: onePath,
    description: "Deletes a token with its rights; every node refuses it from then on.",
    permission: selfOrUserAdmin,
    parameters: oneToken,
    returns: v.null(),
    handle: async ({ parameters: { userid, tokenid } }) => {
      const what = "deleting token failed";
      const id = `${userid}!${tokenid}`;
      await changeUsers(source, what, async (config) => {
        const user = existingUser(config, userid);
        tokenOf(user, { userid, tokenid });
        // First: without it the token is refused, whatever comes of the rest.
        await changeFile(source, userPaths.tokens, what, (text) =>
          withSecret("tokens", text, { name: id, secret: undefined }),
        );
        user.tokens.delete(tokenid);
        withoutGrants(config, id);
      });
      return null;
    },
  });
}

/** A token of the same name that is made later has none of its rights. */
function withoutGrants({ grants }: UserConfig, id: string): void {
  for (const { tokens } of grants.values()) tokens.delete(id);
}
