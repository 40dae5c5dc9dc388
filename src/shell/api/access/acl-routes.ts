// Who may what: the grants of paths, and what comes of them for somebody (pvecm.md §4.2, §4.3), as /access/acl and /access/permissions.
import * as v from "valibot";
import { allRights } from "../../users/capabilities.ts";
import type { Granted } from "../../users/rights.ts";
import { builtinRoles } from "../../users/roles.ts";
import { splitList } from "../../users/text-code.ts";
import { grantsAt, normalPath, setGrant, type UserConfig } from "../../users/user-config.ts";
import { parseTokenId, parseUserId } from "../../users/user-id.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, type Caller, type Route, route } from "../route.ts";
import { groupList, roleList, tokenList, userList } from "./access-parameters.ts";
import { type AccessRules, modifyProblem } from "./access-rules.ts";
import {
  type AccessRoutesSource,
  badParameter,
  changeUsers,
  EditRefusal,
} from "./access-source.ts";

const pathText = () => parameter.text({ max: 1024 });

/** Paths that mean something (pveum(1), "Objects and Paths"). */
const id = String.raw`[A-Za-z0-9._-]+`;
const word = String.raw`[A-Za-z0-9]+`;
const meaningful = new RegExp(
  `^/(?:${[
    "",
    `access(?:/groups(?:/${id})?|/realm(?:/${id})?)?`,
    `nodes(?:/${id})?`,
    `pool(?:/${id}){0,3}`,
    `sdn(?:/controllers(?:/[A-Za-z0-9_-]+)?|/(?:dns|fabrics|ipams|prefix-lists|route-maps)(?:/${word})?)?`,
    `sdn/zones(?:/${id}(?:/${id}(?:/[1-9][0-9]{0,3})?)?)?`,
    `storage(?:/${id})?`,
    "vms(?:/[1-9][0-9]{2,})?",
    `mapping(?:/${id}){0,2}`,
  ].join("|")})$`,
);

export function aclRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  return [readRoute(source), updateRoute(source, rules), permissionsRoute(source)];
}

function readRoute({ users }: AccessRoutesSource): Route {
  return route({
    method: "GET",
    path: "/access/acl",
    description:
      "The grants of paths whose grants the caller may change, or with Sys.Audit on /access all.",
    permission: anyUser,
    parameters: {},
    returns: v.array(
      v.object({
        path: v.string(),
        type: v.picklist(["user", "group", "token"]),
        ugid: v.pipe(v.string(), v.description("Of the user, group or token.")),
        roleid: v.string(),
        propagate: v.boolean(),
      }),
    ),
    handle: ({ caller }) => {
      const mayAudit = caller.may("/access", "Sys.Audit");
      return [...users.config.grants]
        .filter(([path]) => mayAudit || modifyProblem(caller, path) === undefined)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .flatMap(([path, { users: ofUsers, groups, tokens }]) =>
          (
            [
              ["user", ofUsers],
              ["group", groups],
              ["token", tokens],
            ] as const
          ).flatMap(([type, members]) =>
            [...members].flatMap(([ugid, roles]) =>
              [...roles].map(([roleid, propagate]) => ({ path, type, ugid, roleid, propagate })),
            ),
          ),
        );
    },
  });
}

function updateRoute(source: AccessRoutesSource, { modifyPath }: AccessRules): Route {
  return route({
    method: "PUT",
    path: "/access/acl",
    description:
      "Grants roles on a path to users, groups and tokens, or takes them back with `delete`.",
    permission: modifyPath,
    parameters: {
      path: pathText(),
      roles: roleList(),
      users: parameter.optional(userList()),
      groups: parameter.optional(groupList()),
      tokens: parameter.optional(tokenList()),
      propagate: parameter.optional(parameter.boolean(), true),
      delete: parameter.optional(parameter.boolean(), false),
    },
    returns: v.null(),
    handle: async ({ parameters, caller }) => {
      const { users = "", groups = "", tokens = "", propagate, delete: isTaken } = parameters;
      if (`${users}${groups}${tokens}` === "") {
        const words = "either 'users', 'groups' or 'tokens' is required.";
        throw new ApiError(400, "Parameter verification failed.", {
          errors: { users: words, groups: words, tokens: words },
        });
      }
      const path = normalPath(parameters.path);
      // A step "0" would be lost to a Proxmox node, and the grant its parent's.
      const isUsable = path !== undefined && !/\/0(?:\/|$)/.test(path);
      if (!isUsable || (!isTaken && !meaningful.test(path))) {
        throw badParameter("path", `invalid ACL path '${parameters.path}'`);
      }
      const members = {
        users: splitList(users),
        groups: splitList(groups),
        tokens: splitList(tokens),
      };
      await changeUsers(source, "ACL update failed", (config) => {
        for (const role of splitList(parameters.roles)) {
          const names = builtinRoles.get(role) ?? config.roles.get(role);
          if (names === undefined) throw new EditRefusal(`role '${role}' does not exist`);
          const given = source.users.rights.privileges(caller.user, path);
          checkDelegation({ role, names, given, isTaken, propagate });
          change(config, { path, role, members, propagate: isTaken ? undefined : propagate });
        }
      });
      return null;
    },
  });
}

interface Delegation {
  readonly role: string;
  readonly names: ReadonlySet<string>;
  /** What the caller has on the path. */
  readonly given: Granted;
  readonly isTaken: boolean;
  readonly propagate: boolean;
}

/** Who may not change permissions as such hands on no more than it has. Throws ApiError. */
function checkDelegation({ role, names, given, isTaken, propagate }: Delegation): void {
  if (given.has("Permissions.Modify")) return;
  const verb = `Cannot ${isTaken ? "remove" : "add"} role '${role}'`;
  const has = [...names].every((each) => given.has(each));
  if (role === "NoAccess") throw badParameter("role", `${verb} - requires 'Permissions.Modify'`);
  if (!has) {
    const words = "requires 'Permissions.Modify' or superset of privileges.";
    throw badParameter("role", `${verb} - ${words}`);
  }
  if (isTaken || !propagate || [...names].every((each) => given.get(each) === true)) return;
  const words = "requires 'Permissions.Modify' or propagated superset of privileges.";
  throw badParameter("role", `${verb} with propagation - ${words}`);
}

interface Change {
  readonly path: string;
  readonly role: string;
  readonly members: Readonly<Record<"users" | "groups" | "tokens", readonly string[]>>;
  /** Undefined: the role is taken back. */
  readonly propagate: boolean | undefined;
}

function change(config: UserConfig, { path, role, members, propagate }: Change): void {
  const grants = grantsAt(config, path);
  for (const kind of ["groups", "users", "tokens"] as const) {
    for (const member of members[kind]) {
      if (propagate === undefined) {
        // From who is gone already, too.
        grants[kind].get(member)?.delete(role);
        continue;
      }
      refuseUnknown(config, kind, member);
      setGrant(grants[kind], member, role, propagate);
    }
  }
}

function refuseUnknown(config: UserConfig, kind: keyof Change["members"], member: string): void {
  if (kind === "groups" && !config.groups.has(member)) {
    throw new EditRefusal(`group '${member}' does not exist`);
  }
  if (kind === "users" && !config.users.has(member)) {
    throw new EditRefusal(`user '${member}' does not exist`);
  }
  if (kind !== "tokens") return;
  const token = parseTokenId(member);
  if (token === undefined || config.users.get(token.user)?.tokens.has(token.name) !== true) {
    throw new EditRefusal(`no such token '${token?.name ?? ""}' for user '${token?.user ?? ""}'`);
  }
}

function permissionsRoute({ users }: AccessRoutesSource): Route {
  return route({
    method: "GET",
    path: "/access/permissions",
    description:
      "What a user or token may in the end, by path; a privilege has 1 where it is propagated. Of others with Sys.Audit on /access.",
    permission: anyUser,
    parameters: {
      userid: parameter.optional(parameter.text({ max: 256 })),
      path: parameter.optional(pathText()),
    },
    returns: v.record(v.string(), v.record(v.string(), v.boolean())),
    handle: ({ parameters: { userid, path: given }, caller }) => {
      const who = userid ?? caller.user;
      refuseOther(caller, who);
      const path = given === undefined ? undefined : normalPath(given);
      if (given !== undefined && path === undefined) {
        throw badParameter("path", `invalid ACL path '${given}'`);
      }
      const { rights, config } = users;
      const found =
        path === undefined
          ? [...allRights(rights, config, who)]
          : [[path, rights.privileges(who, path)] as const];
      return Object.fromEntries(
        found.map(([at, granted]) => [at, Object.fromEntries(granted)] as const),
      );
    },
  });
}

function refuseOther(caller: Caller, who: string): void {
  const token = parseTokenId(who);
  if (token === undefined && parseUserId(who) === undefined) {
    throw badParameter("userid", "value does not match the regex pattern");
  }
  if (who === caller.user || token?.user === caller.user) return;
  if (caller.may("/access", "Sys.Audit")) return;
  throw new ApiError(403, "Permission check failed (/access, Sys.Audit)");
}
