// Roles: the built-in ones and those of the cluster (pvecm.md §4.2), as /access/roles of Proxmox VE.
import * as v from "valibot";
import { builtinRoles, isReservedRole, privileges } from "../../users/roles.ts";
import { splitList } from "../../users/text-code.ts";
import type { UserConfig } from "../../users/user-config.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, privileged, type Route, route } from "../route.ts";
import { name, privilegeList } from "./access-parameters.ts";
import {
  type AccessRoutesSource,
  badParameter,
  changeUsers,
  EditRefusal,
} from "./access-source.ts";

const mayModify = privileged("/access", "Sys.Modify");
const fields = { roleid: name("role"), privs: parameter.optional(privilegeList()) } as const;
const noRole = (role: string) => `role '${role}' does not exist`;

export function roleRoutes(source: AccessRoutesSource): readonly Route[] {
  return [...readRoutes(source), ...changeRoutes(source)];
}

function known(names: Iterable<string>): readonly string[] {
  return [...names].filter((each) => privileges.has(each)).toSorted();
}

function readRoutes({ users }: AccessRoutesSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access/roles",
      description: "All roles with their privileges.",
      permission: anyUser,
      parameters: {},
      returns: v.array(
        v.object({
          roleid: v.string(),
          privs: v.pipe(v.string(), v.description("Privileges by commas.")),
          special: v.pipe(v.boolean(), v.description("Built in, so it cannot be changed.")),
        }),
      ),
      handle: () =>
        [...builtinRoles, ...users.config.roles].map(([roleid, names]) => ({
          roleid,
          privs: known(names).join(","),
          special: builtinRoles.has(roleid),
        })),
    }),
    route({
      method: "GET",
      path: "/access/roles/{roleid}",
      description: "The privileges of one role, each with 1.",
      permission: anyUser,
      parameters: { roleid: name("role") },
      returns: v.record(v.string(), v.boolean()),
      handle: ({ parameters: { roleid } }) => {
        const names = builtinRoles.get(roleid) ?? users.config.roles.get(roleid);
        if (names === undefined) throw new ApiError(500, noRole(roleid));
        return Object.fromEntries(known(names).map((each) => [each, true]));
      },
    }),
  ];
}

function roleOf({ roles }: UserConfig, id: string): Set<string> {
  const role = roles.get(id);
  if (role === undefined) throw new EditRefusal(noRole(id));
  return role;
}

function refuseBuiltin(role: string, done: string): void {
  if (builtinRoles.has(role)) {
    throw new ApiError(500, `auto-generated role '${role}' cannot be ${done}`);
  }
}

function changeRoutes(source: AccessRoutesSource): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/access/roles",
      description: "Creates a role; names that begin with PVE are those of built-in ones.",
      permission: mayModify,
      parameters: fields,
      returns: v.null(),
      handle: async ({ parameters: { roleid, privs = "" } }) => {
        if (isReservedRole(roleid)) {
          const words = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace";
          throw badParameter("roleid", words);
        }
        await changeUsers(source, "create role failed", ({ roles }) => {
          if (roles.has(roleid) || builtinRoles.has(roleid)) {
            throw new EditRefusal(`role '${roleid}' already exists`);
          }
          roles.set(roleid, new Set(splitList(privs)));
        });
        return null;
      },
    }),
    route({
      method: "PUT",
      path: "/access/roles/{roleid}",
      description: "Gives a role other privileges, or more with `append`.",
      permission: mayModify,
      parameters: { ...fields, append: parameter.optional(parameter.boolean()) },
      returns: v.null(),
      handle: async ({ parameters: { roleid, privs, append } }) => {
        refuseBuiltin(roleid, "modified");
        if (append !== undefined && privs === undefined) {
          throw badParameter("privs", "missing property - 'append' requires this property");
        }
        await changeUsers(source, "update role failed", (config) => {
          const role = roleOf(config, roleid);
          if (append !== true) role.clear();
          for (const each of splitList(privs ?? "")) role.add(each);
        });
        return null;
      },
    }),
    route({
      method: "DELETE",
      path: "/access/roles/{roleid}",
      description: "Deletes a role, and from whoever has it.",
      permission: mayModify,
      parameters: { roleid: name("role") },
      returns: v.null(),
      handle: async ({ parameters: { roleid } }) => {
        refuseBuiltin(roleid, "deleted");
        await changeUsers(source, "delete role failed", (config) => {
          roleOf(config, roleid);
          config.roles.delete(roleid);
          withoutRole(config, roleid);
        });
        return null;
      },
    }),
  ];
}

function withoutRole({ grants }: UserConfig, role: string): void {
  for (const { users, groups, tokens } of grants.values()) {
    for (const roles of [users, groups, tokens].flatMap((of) => [...of.values()])) {
      roles.delete(role);
    }
  }
}
