// What there is below /access, and the realms (pvecm.md §4.2): pam and pve can be changed; the others are Proxmox VE's to keep, and only shown.
import { createHash } from "node:crypto";
import * as v from "valibot";
import { bytesOf } from "../../../bytes.ts";
import { byteTextAt, userPaths } from "../../access/user-files.ts";
import { splitList } from "../../users/text-code.ts";
import { type RealmSetting, withoutRealm, withRealm } from "../../users/write-domains.ts";
import { parseProperties, type PropertyFormat } from "../cluster/property-string.ts";
import { anybody, anyUser, ApiError, privileged, type Route, route } from "../route.ts";
import * as parameter from "../parameters.ts";
import { comment as commentText } from "./access-parameters.ts";
import { type AccessRoutesSource, badParameter, changeFile, EditRefusal } from "./access-source.ts";

const resources = ["users", "groups", "roles", "acl", "domains", "tfa", "ticket", "password"];

const mayAllocate = privileged("/access/realm", "Realm.Allocate");

function realmName() {
  return parameter.formatted(
    32,
    /^[A-Za-z][A-Za-z0-9.\-_]+$/,
    "value does not look like a valid realm",
  );
}

/** Of which Proxmox VE has realms; logins are served for the last two. */
const types = ["ad", "ldap", "openid", "pam", "pve"] as const;
const settingNames: readonly RealmSetting[] = ["comment", "default", "tfa"];

const secondFactorFormat: PropertyFormat = {
  type: { type: "string", isRequired: true, words: ["yubico", "oath"] },
  id: { type: "string", pattern: /^[!-+.-~-]+$/ },
  key: { type: "string", pattern: /^[!-+.-~-]+$/ },
  url: { type: "string", pattern: /^https?:\/\/[!-+.-~-]+$/ },
  digits: { type: "integer", min: 6, max: 8 },
  step: { type: "integer", min: 10 },
};

/** "": it is right. */
function secondFactorFault(text: string): string {
  const read = parseProperties(secondFactorFormat, text);
  if (!read.ok) return read.reason;
  const isUsable =
    read.value["type"] !== "yubico" ||
    (read.value["id"] !== undefined && read.value["key"] !== undefined);
  return isUsable ? "" : "yubico needs the id and key of its API";
}

/** Of realms of every kind. */
const settings = {
  comment: parameter.optional(commentText()),
  default: parameter.optional(parameter.boolean()),
  tfa: parameter.optional(
    v.pipe(
      parameter.text({ max: 128 }),
      v.rawCheck(({ dataset, addIssue }) => {
        const fault = dataset.typed ? secondFactorFault(dataset.value) : "";
        if (fault !== "") addIssue({ message: fault });
      }),
    ),
  ),
} as const;

/** Of realms that are not served: clients of the original may send them, and are told why they are refused. */
const settingsOfOthers = Object.fromEntries(
  [
    ...[
      "acr-values",
      "autocreate",
      "base_dn",
      "bind_dn",
      "capath",
      "case-sensitive",
      "cert",
      "certkey",
    ],
    ...[
      "check-connection",
      "client-id",
      "client-key",
      "domain",
      "filter",
      "group_classes",
      "group_dn",
    ],
    ...["group_filter", "group_name_attr", "groups-autocreate", "groups-claim", "groups-overwrite"],
    ...[
      "issuer-url",
      "mode",
      "password",
      "port",
      "prompt",
      "query-userinfo",
      "scopes",
      "secure",
      "server1",
    ],
    ...[
      "server2",
      "sslversion",
      "sync-defaults-options",
      "sync_attributes",
      "user_attr",
      "user_classes",
    ],
    ...["username-claim", "verify"],
  ].map((name) => [name, parameter.optional(parameter.text({ max: 4096 }))]),
);

function notServed(what: string, type: string): ApiError {
  return new ApiError(
    500,
    `${what}: realms of the type '${type.slice(0, 32)}' are not served here`,
    {
      code: "notServed",
      hint: "change them on a node of Proxmox VE; logins of their users are served there",
    },
  );
}

export function realmRoutes(source: AccessRoutesSource): readonly Route[] {
  return [...readRoutes(source), ...changeRoutes(source)];
}

function changeRoutes(source: AccessRoutesSource): readonly Route[] {
  return [createRoute(source), updateRoute(source), deleteRoute(source)];
}

function isServed(type: string): boolean {
  return type === "pam" || type === "pve";
}

/** Throws ApiError for a realm that is not there, or not served. `words`: which change of what it was. */
function checkServed({ users }: AccessRoutesSource, realm: string, words: string): void {
  const type = users.realms.get(realm)?.type;
  if (type === undefined) throw new ApiError(500, `${words} '${realm}' does not exist`);
  if (!isServed(type)) throw notServed(words.replace(/:.*$/, ""), type);
}

function createRoute({ users }: AccessRoutesSource): Route {
  return route({
    method: "POST",
    path: "/access/domains",
    description:
      "Refused, with the reason: pam and pve are there always, and realms of other types are not served.",
    permission: mayAllocate,
    parameters: {
      realm: realmName(),
      type: parameter.oneOf(types),
      ...settings,
      ...settingsOfOthers,
    },
    returns: v.null(),
    handle: ({ parameters: { realm, type } }) => {
      const what = "add auth server failed";
      if (users.realms.has(realm))
        throw new ApiError(500, `${what}: domain '${realm}' already exists`);
      if (isServed(type))
        throw new ApiError(500, `${what}: unable to create builtin type '${type}'`);
      throw notServed(what, type);
    },
  });
}

function updateRoute(source: AccessRoutesSource): Route {
  return route({
    method: "PUT",
    path: "/access/domains/{realm}",
    description:
      "Changes the comment of pam or pve, whether it is the default, and the second factor that it demands.",
    permission: mayAllocate,
    parameters: {
      realm: realmName(),
      ...settings,
      ...settingsOfOthers,
      delete: parameter.optional(parameter.text({ max: 4096 })),
      digest: parameter.optional(parameter.text({ max: 64 })),
    },
    returns: v.null(),
    handle: async ({ parameters: { realm, digest, ...given } }) => {
      const what = "update auth server failed";
      checkServed(source, realm, `${what}: domain`);
      const foreign = Object.keys(settingsOfOthers).find((name) => Object.hasOwn(given, name));
      if (foreign !== undefined) {
        throw badParameter(foreign, "unexpected property: realms of pam and pve have none");
      }
      const deleted = splitList(given.delete ?? "").map((each) => {
        const name = settingNames.find((known) => known === each);
        if (name === undefined)
          throw badParameter("delete", `unknown option '${each.slice(0, 64)}'`);
        return name;
      });
      const { comment: text, default: isDefault, tfa: secondFactor } = given;
      const isEmpty = [text, isDefault, secondFactor].every((each) => each === undefined);
      if (isEmpty && deleted.length === 0) throw new ApiError(500, `${what}: no options specified`);
      await changeFile(source, userPaths.domains, what, (before) => {
        if (digest !== undefined && digest !== digestOf(before)) {
          throw new EditRefusal(
            "detected modified configuration - file changed by other user? Try again.",
          );
        }
        return withRealm(before, realm, { comment: text, isDefault, secondFactor, deleted });
      });
      return null;
    },
  });
}

function deleteRoute(source: AccessRoutesSource): Route {
  return route({
    method: "DELETE",
    path: "/access/domains/{realm}",
    description:
      "Takes the settings of pam or pve back; the realm itself stays, as it was at first.",
    permission: mayAllocate,
    parameters: { realm: realmName() },
    returns: v.null(),
    handle: async ({ parameters: { realm } }) => {
      const what = "delete auth server failed";
      checkServed(source, realm, `${what}: authentication domain`);
      await changeFile(source, userPaths.domains, what, (before) => withoutRealm(before, realm));
      return null;
    },
  });
}

/** SHA-1, hex, as the original's. `text`: a byte string. */
function digestOf(text: string): string {
  return createHash("sha1").update(bytesOf(text)).digest("hex");
}

function readRoutes({ users, files }: AccessRoutesSource): readonly Route[] {
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
      parameters: { realm: realmName() },
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
          digest: digestOf(text),
        };
      },
    }),
  ];
}
