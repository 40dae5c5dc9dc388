// Users: listed, made, changed, deleted (pvecm.md §4.2), as /access/users of Proxmox VE.
import * as v from "valibot";
import { byteTextAt, userPaths } from "../../access/user-files.ts";
import { lockOf } from "../../access/factor-entries.ts";
import { withSecret } from "../../users/secret-files.ts";
import { splitList } from "../../users/text-code.ts";
import {
  newUser,
  type Reading,
  type TokenEntry,
  type UserConfig,
  type UserEntry,
} from "../../users/user-config.ts";
import { isListable, parseUserId, rootUser } from "../../users/user-id.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, type Caller, type Route, route } from "../route.ts";
import { listableUserId, newPassword, userFields, userId } from "./access-parameters.ts";
import { type AccessRules, userReadPrivileges } from "./access-rules.ts";
import {
  type AccessRoutesSource,
  badParameter,
  changeFile,
  changeUsers,
  EditRefusal,
  existingUser,
  noSuchUser,
} from "./access-source.ts";
import { removeFactors } from "./factor-changes.ts";
import { passwordOf, refuseMachineUser } from "./passwords.ts";

const seconds = v.pipe(v.number(), v.description("Unix seconds; 0: never."));

/** Of a token, without its secret. */
export const tokenInfo = {
  expire: seconds,
  privsep: v.pipe(v.boolean(), v.description("It has rights of its own, within its user's.")),
  comment: v.optional(v.string()),
};

const userInfo = {
  enable: v.boolean(),
  expire: seconds,
  firstname: v.optional(v.string()),
  lastname: v.optional(v.string()),
  email: v.optional(v.string()),
  comment: v.optional(v.string()),
  keys: v.optional(v.string()),
};

const listedUser = v.object({
  userid: v.string(),
  ...userInfo,
  groups: v.optional(v.pipe(v.string(), v.description("Names by commas."))),
  tokens: v.optional(v.array(v.object({ tokenid: v.string(), ...tokenInfo }))),
  "realm-type": v.optional(v.string()),
  "totp-locked": v.optional(v.boolean()),
  "tfa-locked-until": v.optional(seconds),
});

export function tokenAnswer(token: Reading<TokenEntry>) {
  const { expire, isSeparated: privsep, comment } = token;
  return { expire, privsep, ...(comment === "" ? {} : { comment }) };
}

function userAnswer(entry: Reading<UserEntry>) {
  const { isEnabled: enable, expire, firstname, lastname, email, comment, keys } = entry;
  return {
    ...{ enable, expire },
    ...(firstname === "" ? {} : { firstname }),
    ...(lastname === "" ? {} : { lastname }),
    ...(email === "" ? {} : { email }),
    ...(comment === "" ? {} : { comment }),
    // Older ones are secrets themselves.
    ...(/^x(?:!.*)?$/.test(keys) ? { keys } : {}),
  };
}

export function userRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  return [listRoute(source), createRoute(source, rules), ...oneUserRoutes(source, rules)];
}

/** Whether the caller may see a user: itself, all of them, or those of groups. */
export function isVisible({ users }: AccessRoutesSource, caller: Caller, user: string): boolean {
  const mayOn = (path: string) => userReadPrivileges.some((each) => caller.may(path, each));
  return (
    user === caller.user ||
    mayOn("/access/groups") ||
    users.groupsOf(user).some((group) => mayOn(`/access/groups/${group}`))
  );
}

function listRoute(source: AccessRoutesSource): Route {
  const { users, files, now } = source;
  return route({
    method: "GET",
    path: "/access/users",
    description: "The users whom the caller may see; itself always.",
    permission: anyUser,
    parameters: {
      enabled: parameter.optional(parameter.boolean()),
      full: parameter.optional(parameter.boolean(), false),
    },
    returns: v.array(listedUser),
    handle: ({ parameters: { enabled, full }, caller }) => {
      const factors = byteTextAt(files, userPaths.factors);
      return [...users.config.users]
        .filter(
          ([id, { isEnabled }]) =>
            isVisible(source, caller, id) && isEnabled === (enabled ?? isEnabled),
        )
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([id, entry]) => {
          const type = users.realms.get(parseUserId(id)?.realm ?? "")?.type;
          const tokens = [...entry.tokens].map(([tokenid, token]) => ({
            ...{ tokenid, ...tokenAnswer(token) },
          }));
          return {
            ...{ userid: id, ...userAnswer(entry) },
            ...(full ? { groups: users.groupsOf(id).toSorted().join(","), tokens } : {}),
            ...(type === undefined ? {} : { "realm-type": type }),
            ...lockOf(factors, id, now()),
          };
        });
    },
  });
}

function createRoute(source: AccessRoutesSource, { createUser }: AccessRules): Route {
  return route({
    method: "POST",
    path: "/access/users",
    description: "Creates a user.",
    permission: createUser,
    parameters: {
      userid: listableUserId(),
      ...userFields,
      password: parameter.optional(newPassword()),
    },
    returns: v.null(),
    handle: async ({ parameters: { userid, password, groups, enable, ...fields }, caller }) => {
      if (password !== undefined) refuseMachineUser(source, caller, userid);
      const what = "create user failed";
      const realm = parseUserId(userid)?.realm ?? "";
      if (!source.users.realms.has(realm)) {
        throw new ApiError(500, `${what}: auth domain '${realm}' does not exist`);
      }
      if (source.users.config.users.has(userid))
        throw new ApiError(500, `${what}: ${exists(userid)}`);
      const store = await passwordOf(source, userid, password);
      await changeUsers(source, what, async (config) => {
        if (config.users.has(userid)) throw new EditRefusal(exists(userid));
        const entry = newUser(enable ?? true);
        setFields(entry, fields);
        config.users.set(userid, entry);
        addToGroups(config, userid, groups ?? "");
        await store();
      });
      return null;
    },
  });
}

function exists(user: string): string {
  return `user '${user}' already exists`;
}

type Fields = Partial<Record<"firstname" | "lastname" | "email" | "comment" | "keys", string>> & {
  readonly expire?: number | undefined;
};

function setFields(
  entry: UserEntry,
  { expire, ...texts }: { [K in keyof Fields]: Fields[K] | undefined },
): void {
  if (expire !== undefined) entry.expire = expire;
  for (const name of ["firstname", "lastname", "email", "comment", "keys"] as const) {
    const text = texts[name];
    if (text !== undefined) entry[name] = text;
  }
}

function addToGroups({ groups }: UserConfig, user: string, names: string): void {
  for (const name of splitList(names)) {
    const group = groups.get(name);
    if (group === undefined) throw new EditRefusal(`no such group '${name}'`);
    // Of another tool's making.
    if (!isListable(user)) {
      throw badParameter("userid", "a user with comma or semicolon in its name can be in no group");
    }
    group.users.add(user);
  }
}

function oneUserRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  const { users } = source;
  return [
    route({
      method: "GET",
      path: "/access/users/{userid}",
      description: "One user, with its groups and tokens.",
      permission: rules.readUser,
      parameters: { userid: userId() },
      returns: v.object({
        ...userInfo,
        groups: v.array(v.string()),
        tokens: v.record(v.string(), v.object(tokenInfo)),
      }),
      handle: ({ parameters: { userid } }) => {
        const entry = users.config.users.get(userid);
        if (entry === undefined) throw new ApiError(500, noSuchUser(userid));
        const tokens = [...entry.tokens].map(
          ([name, token]) => [name, tokenAnswer(token)] as const,
        );
        return {
          ...userAnswer(entry),
          groups: users.groupsOf(userid).toSorted(),
          tokens: Object.fromEntries(tokens),
        };
      },
    }),
    route({
      method: "PUT",
      path: "/access/users/{userid}",
      description: "Changes a user; `groups` replaces its groups unless `append` is set.",
      permission: rules.updateUser,
      parameters: {
        userid: userId(),
        ...userFields,
        append: parameter.optional(parameter.boolean()),
      },
      returns: v.null(),
      handle: async ({ parameters: { userid, groups, append, enable, ...fields } }) => {
        if (append !== undefined && groups === undefined) {
          throw badParameter("groups", "missing property - 'append' requires this property");
        }
        await changeUsers(source, "update user failed", (config) => {
          const entry = existingUser(config, userid);
          if (enable !== undefined) entry.isEnabled = enable;
          setFields(entry, fields);
          if (groups === undefined) return;
          if (append !== true)
            for (const group of config.groups.values()) group.users.delete(userid);
          addToGroups(config, userid, groups);
        });
        return null;
      },
    }),
    route({
      method: "DELETE",
      path: "/access/users/{userid}",
      description:
        "Deletes a user with its tokens, second factors, password of the realm pve and rights.",
      permission: rules.deleteUser,
      parameters: { userid: userId() },
      returns: v.null(),
      handle: async ({ parameters: { userid } }) => {
        await deleteUser(source, userid);
        return null;
      },
    }),
  ];
}

/** Disabled first, so that nobody is left without second factor when this is cut short. */
async function deleteUser(source: AccessRoutesSource, user: string): Promise<void> {
  const what = "delete user failed";
  if (user === rootUser)
    throw badParameter("userid", `'${rootUser}' cannot be deleted, only disabled`);
  await changeUsers(source, what, (config) => {
    existingUser(config, user).isEnabled = false;
  });
  const id = parseUserId(user);
  const isOurs = source.users.realms.get(id?.realm ?? "")?.type === "pve";
  if (isOurs && id !== undefined) {
    await changeFile(source, userPaths.passwords, what, (text) =>
      withSecret("passwords", text, { name: id.name, secret: undefined }),
    );
  }
  await changeFile(source, userPaths.tokens, what, (text) =>
    withSecret("tokens", text, { name: "", secret: undefined }, (name) =>
      name.startsWith(`${user}!`),
    ),
  );
  await removeFactors(source, what, user);
  await changeUsers(source, what, (config) => forget(config, user));
}

function forget({ users, groups, grants }: UserConfig, user: string): void {
  users.delete(user);
  for (const group of groups.values()) group.users.delete(user);
  for (const { users: granted, tokens } of grants.values()) {
    granted.delete(user);
    for (const token of tokens.keys()) if (token.startsWith(`${user}!`)) tokens.delete(token);
  }
}
