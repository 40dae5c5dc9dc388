// New passwords: of the realm pve in the tree, of pam on this machine; the route by which a user changes one (pvecm.md §4.2).
import * as v from "valibot";
import { userPaths } from "../../access/user-files.ts";
import { withSecret } from "../../users/secret-files.ts";
import { parseUserId, rootUser } from "../../users/user-id.ts";
import { ApiError, type Call, type Caller, type Route, route } from "../route.ts";
import { newPassword, ownPassword, userId } from "./access-parameters.ts";
import type { AccessRules } from "./access-rules.ts";
import { type AccessRoutesSource, badParameter, changeFile, noSuchUser } from "./access-source.ts";

/**
 * What gives a user its password, made before any lock is taken; undefined: it gets none, not even one that an earlier user of its name left behind.
 * Both throw ApiError.
 */
export async function passwordOf(
  source: AccessRoutesSource,
  user: string,
  password: string | undefined,
): Promise<() => Promise<void>> {
  const what = "change password failed";
  const id = parseUserId(user);
  const type = source.users.realms.get(id?.realm ?? "")?.type;
  if (id === undefined || type === undefined) {
    throw new ApiError(500, `auth domain '${id?.realm ?? ""}' does not exist`);
  }
  if (type === "pve") {
    const hash = password === undefined ? undefined : await source.hash(password);
    if (hash?.ok === false) throw new ApiError(503, `${what}: ${hash.reason}`);
    const secret = hash?.value;
    return async () => {
      if (secret === undefined && !source.users.passwordHashes.has(id.name)) return;
      await changeFile(source, userPaths.passwords, what, (text) =>
        withSecret("passwords", text, { name: id.name, secret }),
      );
    };
  }
  if (password === undefined) return async () => undefined;
  if (type !== "pam") throw new ApiError(500, `can't set password on auth type '${type}'`);
  return async () => {
    const set = await source.setSystemPassword(id.name, password);
    if (!set.ok) throw new ApiError(500, `${what}: ${set.reason}`);
  };
}

/** Only root is believed without a password. Throws ApiError. `parameter`: by which it came. */
export async function askOwnPassword(
  { users, reauthenticate }: AccessRoutesSource,
  { caller, request }: Pick<Call<unknown>, "caller" | "request">,
  { user, parameter, password }: OwnPassword,
): Promise<void> {
  if (!users.config.users.has(user)) throw new ApiError(500, noSuchUser(user));
  if (caller.user === rootUser) return;
  if (user === rootUser) throw new ApiError(403, "Permission check failed");
  if (password === undefined) throw badParameter(parameter, "password is required to modify user");
  const answer = await reauthenticate(caller.user, password, request.address);
  if (answer.kind === "right") return;
  if (answer.kind === "wrong") {
    throw new ApiError(401, "authentication failure", { code: "authenticationFailure" });
  }
  const wait = Math.ceil(answer.waitMs / 1000);
  throw new ApiError(429, `too many failed logins: try again in ${wait} s`, {
    code: "tooManyLogins",
  });
}

/** Passwords of machines' users are changed by root and by themselves only, by whatever route. Throws ApiError. */
export function refuseMachineUser(
  { users }: AccessRoutesSource,
  caller: Caller,
  user: string,
): void {
  if (caller.user === rootUser || caller.user === user) return;
  if (users.realms.get(parseUserId(user)?.realm ?? "")?.type !== "pam") return;
  throw new ApiError(403, "Permission check failed", {
    code: "rootOnly",
    hint: "the password of a machine's user is changed by root@pam, logged in, or on the machine itself (passwd)",
  });
}

interface OwnPassword {
  /** Who is changed. */
  readonly user: string;
  readonly parameter: string;
  readonly password: string | undefined;
}

export function passwordRoute(source: AccessRoutesSource, { password: rule }: AccessRules): Route {
  return route({
    method: "PUT",
    path: "/access/password",
    description:
      "Changes a password: of the realm pve on all nodes, of pam on this machine. Who is not root gives its own password, too.",
    permission: rule,
    isTicketOnly: true,
    parameters: {
      userid: userId(),
      password: newPassword(),
      "confirmation-password": ownPassword(),
    },
    returns: v.null(),
    handle: async (call) => {
      const { userid, password, "confirmation-password": own } = call.parameters;
      await askOwnPassword(source, call, {
        ...{ user: userid, parameter: "confirmation-password", password: own },
      });
      refuseMachineUser(source, call.caller, userid);
      const store = await passwordOf(source, userid, password);
      await store();
      source.clusterLog(rootUser, `changed password for user '${userid}'`);
      return null;
    },
  });
}
