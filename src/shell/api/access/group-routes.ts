// Groups of users (pvecm.md §4.2), as /access/groups of Proxmox VE.
import * as v from "valibot";
import type { GroupEntry, UserConfig } from "../../users/user-config.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, privileged, type Route, route } from "../route.ts";
import { comment, name } from "./access-parameters.ts";
import { type AccessRoutesSource, changeUsers, EditRefusal } from "./access-source.ts";

const mayAllocate = privileged("/access/groups", "Group.Allocate");
const readPrivileges = ["User.Modify", "Sys.Audit", "Group.Allocate"] as const;
const fields = { groupid: name("group"), comment: parameter.optional(comment()) } as const;
const noGroup = (group: string) => `group '${group}' does not exist`;

function groupOf({ groups }: UserConfig, id: string): GroupEntry {
  const group = groups.get(id);
  if (group === undefined) throw new EditRefusal(noGroup(id));
  return group;
}

export function groupRoutes(source: AccessRoutesSource): readonly Route[] {
  return [...readRoutes(source), ...changeRoutes(source)];
}

function readRoutes({ users }: AccessRoutesSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access/groups",
      description: "The groups that the caller may see.",
      permission: anyUser,
      parameters: {},
      returns: v.array(
        v.object({
          groupid: v.string(),
          comment: v.optional(v.string()),
          users: v.pipe(v.string(), v.description("Users by commas.")),
        }),
      ),
      handle: ({ caller }) =>
        [...users.config.groups]
          .filter(([id]) => readPrivileges.some((each) => caller.may(`/access/groups/${id}`, each)))
          .map(([groupid, group]) => ({
            groupid,
            ...(group.comment === "" ? {} : { comment: group.comment }),
            users: [...group.users].toSorted().join(","),
          })),
    }),
    route({
      method: "GET",
      path: "/access/groups/{groupid}",
      description: "One group with its members.",
      permission: privileged("/access/groups", "Sys.Audit", "Group.Allocate"),
      parameters: { groupid: name("group") },
      returns: v.object({ members: v.array(v.string()), comment: v.optional(v.string()) }),
      handle: ({ parameters: { groupid } }) => {
        const group = users.config.groups.get(groupid);
        if (group === undefined) throw new ApiError(500, noGroup(groupid));
        return {
          members: [...group.users],
          ...(group.comment === "" ? {} : { comment: group.comment }),
        };
      },
    }),
  ];
}

function changeRoutes(source: AccessRoutesSource): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/access/groups",
      description: "Creates a group.",
      permission: mayAllocate,
      parameters: fields,
      returns: v.null(),
      handle: async ({ parameters: { groupid, comment: text = "" } }) => {
        await changeUsers(source, "create group failed", ({ groups }) => {
          if (groups.has(groupid)) throw new EditRefusal(`group '${groupid}' already exists`);
          groups.set(groupid, { comment: text, users: new Set() });
        });
        return null;
      },
    }),
    route({
      method: "PUT",
      path: "/access/groups/{groupid}",
      description: "Changes a group's comment; its members are changed with the users.",
      permission: mayAllocate,
      parameters: fields,
      returns: v.null(),
      handle: async ({ parameters: { groupid, comment: text } }) => {
        await changeUsers(source, "update group failed", (config) => {
          const group = groupOf(config, groupid);
          group.comment = text ?? group.comment;
        });
        return null;
      },
    }),
    route({
      method: "DELETE",
      path: "/access/groups/{groupid}",
      description: "Deletes a group with its rights.",
      permission: mayAllocate,
      parameters: { groupid: name("group") },
      returns: v.null(),
      handle: async ({ parameters: { groupid } }) => {
        await changeUsers(source, "delete group failed", (config) => {
          groupOf(config, groupid);
          config.groups.delete(groupid);
          for (const { groups } of config.grants.values()) groups.delete(groupid);
        });
        return null;
      },
    }),
  ];
}
