// Proxmox's rules of who may call what below /access, where it is more than a privilege on a path (pveum(1), "Which Permissions Do I Need?").
import type { UserFiles } from "../../access/user-files.ts";
import { splitList } from "../../users/text-code.ts";
import { normalPath } from "../../users/user-config.ts";
import { parseUserId, rootUser } from "../../users/user-id.ts";
import type { Caller, RulePermission } from "../route.ts";

type Given = Readonly<Record<string, unknown>>;
type Rule = Omit<RulePermission, "kind">;

/** Who has one of these on /access/groups/GROUP may do it to that group's users. */
export const userPrivileges = ["User.Modify"] as const;
export const userReadPrivileges = ["User.Modify", "Sys.Audit"] as const;

const givingAll = "Permissions.Modify";

function permission({ description, refusal }: Rule): RulePermission {
  return {
    kind: "rule",
    description,
    refusal: (caller, given) =>
      caller.user === rootUser && !caller.isToken ? undefined : refusal(caller, given),
  };
}

function textOf(given: Given, name: string): string {
  const value = given[name];
  return typeof value === "string" ? value : "";
}

/** The user that is meant is the caller itself, not by a token. */
function self(users: UserFiles): Rule {
  return {
    description: "the user itself",
    refusal: (caller, given) => {
      const user = textOf(given, "userid");
      return caller.user === user && users.config.users.has(user) ? undefined : "";
    },
  };
}

/** May make users of the realm of the one that is meant. */
function realm(): Rule {
  return {
    description: "who has Realm.AllocateUser on /access/realm/REALM of the user",
    refusal: (caller, given) => {
      const id = parseUserId(textOf(given, "userid"));
      if (id === undefined) return "";
      const path = `/access/realm/${id.realm}`;
      const privilege = "Realm.AllocateUser";
      return caller.may(path, privilege) ? undefined : `${path}, ${privilege}`;
    },
  };
}

/**
 * Has one of the privileges on all groups, or on a group that the user is in. `groups`: and on all groups that the parameter names; for one who is
 * created there is no other group.
 */
function userGroup(
  users: UserFiles,
  privileges: readonly string[],
  groups?: "create" | "update",
): Rule {
  const all = "/access/groups";
  const words = privileges.join("|");
  const named = groups === undefined ? "" : ", and on every group of `groups`";
  return {
    description: `who has ${privileges.join(" or ")} on ${all}, or on ${all}/GROUP of a group of the user${named}`,
    refusal: (caller, given) => {
      const mayOn = (path: string) => privileges.some((each) => caller.may(path, each));
      const isReading = privileges.includes("Sys.Audit");
      // A token of the superuser's would be all that it may. Who may give everything to everybody gains nothing by it.
      if (!isReading && textOf(given, "userid") === rootUser && !caller.may("/", givingAll)) {
        return `/, ${givingAll}`;
      }
      if (mayOn(all)) return undefined;
      if (groups !== undefined) {
        const wanted = splitList(textOf(given, "groups"));
        if (wanted.length === 0) return `${all}, ${words}`;
        const refused = wanted.find((group) => !mayOn(`${all}/${group}`));
        if (refused !== undefined) return `${all}/${refused}, ${words}`;
        if (groups === "create") return undefined;
      }
      const user = textOf(given, "userid");
      const isTheirs = users.groupsOf(user).some((group) => mayOn(`${all}/${group}`));
      return isTheirs ? undefined : "";
    },
  };
}

function either(...rules: readonly Rule[]): RulePermission {
  return permission({
    description: sentence(rules, "; or "),
    refusal: (caller, given) =>
      rules.some(({ refusal }) => refusal(caller, given) === undefined) ? undefined : "",
  });
}

function both(...rules: readonly Rule[]): Rule {
  return {
    description: rules.map(({ description }) => description).join("; and "),
    refusal: (caller, given) => {
      for (const { refusal } of rules) {
        const why = refusal(caller, given);
        if (why !== undefined) return why;
      }
      return undefined;
    },
  };
}

function sentence(rules: readonly Rule[], between: string): string {
  const text = rules.map(({ description }) => description).join(between);
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}

function whole(rule: Rule): RulePermission {
  return permission({ ...rule, description: sentence([rule], "") });
}

export interface AccessRules {
  readonly readUser: RulePermission;
  readonly createUser: RulePermission;
  readonly updateUser: RulePermission;
  readonly deleteUser: RulePermission;
  readonly unlockUser: RulePermission;
  /** Tokens and second factors. */
  readonly selfOrUserAdmin: RulePermission;
  readonly selfOrUserReader: RulePermission;
  readonly password: RulePermission;
  readonly modifyPath: RulePermission;
}

export function accessRules(users: UserFiles): AccessRules {
  const itself = self(users);
  const admins = userGroup(users, userPrivileges);
  const readers = userGroup(users, userReadPrivileges);
  return {
    readUser: whole(readers),
    createUser: whole(both(realm(), userGroup(users, userPrivileges, "create"))),
    updateUser: whole(userGroup(users, userPrivileges, "update")),
    deleteUser: whole(both(realm(), admins)),
    unlockUser: whole(admins),
    selfOrUserAdmin: either(itself, admins),
    selfOrUserReader: either(itself, readers),
    password: either(itself, both(realm(), admins)),
    modifyPath: permission({
      description:
        "Who has Permissions.Modify on the path; on a storage, guest or pool Datastore.Allocate, VM.Allocate or Pool.Allocate will do, for roles of no more than the caller has.",
      refusal: (caller, given) => {
        const path = normalPath(textOf(given, "path"));
        return path === undefined ? "" : modifyProblem(caller, path);
      },
    }),
  };
}

const allocating: readonly (readonly [RegExp, string])[] = [
  [/^\/storage\/./, "Datastore.Allocate"],
  [/^\/vms\/./, "VM.Allocate"],
  [/^\/pool\/./, "Pool.Allocate"],
];

/** Why the caller may not change who may what on a path, in the words of the refusal. */
export function modifyProblem(caller: Caller, path: string): string | undefined {
  const other = allocating.find(([pattern]) => pattern.test(path))?.[1];
  const wanted = [givingAll, ...(other === undefined ? [] : [other])];
  const has = wanted.some((privilege) => caller.may(path, privilege));
  return has ? undefined : `${path}, ${wanted.join("|")}`;
}
