// What there is below /access, and the realms: their users are others' to keep, so they are only shown (pvecm.md §4.2).
import { createHash } from "node:crypto";
import * as v from "valibot";
import { bytesOf } from "../../../bytes.ts";
import { byteTextAt, userPaths } from "../../access/user-files.ts";
import { anybody, anyUser, ApiError, privileged, type Route, route } from "../route.ts";
import * as parameter from "../parameters.ts";
import type { AccessRoutesSource } from "./access-source.ts";

const resources = ["users", "groups", "roles", "acl", "domains", "tfa", "ticket", "password"];

export function realmRoutes({ users, files }: AccessRoutesSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access",
      description: "What there is below.",
      permission: anyUser,
      parameters: {},
      returns: v.array(v.object({ subdir: v.string() })),
      handle: () => resources.map((subdir) => ({ subdir })),
    }),
    route({
      method: "GET",
      path: "/access/domains",
      description: "The realms, for who wants to log in.",
      permission: anybody,
      parameters: {},
      returns: v.array(
        v.object({
          realm: v.string(),
          type: v.pipe(v.string(), v.description("Logins are served for pam and pve.")),
          comment: v.optional(v.string()),
          default: v.optional(v.boolean()),
          tfa: v.optional(v.picklist(["oath", "yubico"])),
        }),
      ),
      handle: () =>
        [...users.realms].map(([realm, { type, comment, isDefault, secondFactor }]) => ({
          ...{ realm, type },
          ...(comment === "" ? {} : { comment }),
          ...(isDefault ? { default: true } : {}),
          ...(secondFactor === undefined || secondFactor === "unknown"
            ? {}
            : { tfa: secondFactor }),
        })),
    }),
    route({
      method: "GET",
      path: "/access/domains/{realm}",
      description: "The settings of one realm.",
      permission: privileged("/access/realm", "Realm.Allocate", "Sys.Audit"),
      parameters: {
        realm: parameter.formatted(
          32,
          /^[A-Za-z][A-Za-z0-9.\-_]+$/,
          "value does not look like a valid realm",
        ),
      },
      returns: v.objectWithRest(
        {
          type: v.string(),
          comment: v.string(),
          digest: v.pipe(v.string(), v.description("Of domains.cfg, SHA-1, hex.")),
        },
        v.string(),
      ),
      handle: ({ parameters: { realm } }) => {
        const found = users.realms.get(realm);
        if (found === undefined) throw new ApiError(500, `domain '${realm}' does not exist`);
        const text = byteTextAt(files, userPaths.domains);
        return {
          ...Object.fromEntries(found.settings),
          type: found.type,
          comment: found.comment,
          digest: createHash("sha1").update(bytesOf(text)).digest("hex"),
        };
      },
    }),
  ];
}
