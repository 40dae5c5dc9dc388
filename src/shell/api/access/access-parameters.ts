// Parameters of the routes below /access, in the forms that user.cfg can hold, with the original's words for what it refuses.
import * as v from "valibot";
import { isListable, isGroupOrRoleName, parseTokenId, parseUserId } from "../../users/user-id.ts";
import { privileges } from "../../users/roles.ts";
import { splitList } from "../../users/text-code.ts";
import * as parameter from "../parameters.ts";

const listCharactersMax = 32_768;

/** "root@pam". Only ASCII: other letters are not written alike by all of Proxmox's versions. */
export function userId() {
  return v.pipe(
    parameter.text({ max: 64 }),
    v.check(isUserId, "invalid format - value does not look like a valid user name"),
  );
}

function isUserId(text: string): boolean {
  return parseUserId(text) !== undefined && /^[\x21-\x7e]+$/.test(text);
}

/** Of a user to be made, or put into a group: a comma in its name would make another user a member there. */
export function listableUserId() {
  return v.pipe(
    userId(),
    v.check(
      isListable,
      "invalid format - a user name has no comma and no semicolon, which part the names of a list in user.cfg",
    ),
  );
}

/** "backup". */
export function tokenName() {
  return parameter.formatted(
    128,
    /^[A-Za-z][A-Za-z0-9.\-_]+$/,
    "value does not match the regex pattern",
  );
}

/** Of a group or a role. */
export function name(kind: "group" | "role") {
  const words = `invalid format - ${kind} name contains invalid characters`;
  return v.pipe(
    parameter.formatted(256, /^[A-Za-z0-9.\-_]+$/, words),
    v.check(isGroupOrRoleName, words),
  );
}

/** Names by commas, semicolons or white space; split by `splitList`. */
function list(isItem: (item: string) => boolean, words: string) {
  return v.pipe(
    parameter.text({ max: listCharactersMax }),
    v.check((text) => splitList(text).every(isItem), `invalid format - ${words}`),
  );
}

export const groupList = () => list(isGroupOrRoleName, "group name contains invalid characters");
export const roleList = () => list(isGroupOrRoleName, "role name contains invalid characters");
export const userList = () => list(isUserId, "value does not look like a valid user name");
export const tokenList = () =>
  list((item) => parseTokenId(item) !== undefined, "value does not look like a valid token ID");
export const privilegeList = () => list((item) => privileges.has(item), "invalid privilege");

/** Unix seconds; 0: never. */
export const expire = () => parameter.integer({ min: 0 });

/** Of a group: the original has no limit. */
export const comment = () => parameter.text({ max: 4096 });

/** What of a user can be said and changed. */
export const userFields = {
  enable: parameter.optional(parameter.boolean()),
  expire: parameter.optional(expire()),
  firstname: parameter.optional(parameter.text({ max: 1024 })),
  lastname: parameter.optional(parameter.text({ max: 1024 })),
  email: parameter.optional(
    parameter.formatted(
      254,
      /^(?:[\w+~-]+(?:\.[\w+~-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*)?$/,
      "invalid format - value does not look like a valid email address",
    ),
  ),
  comment: parameter.optional(parameter.text({ max: 2048 })),
  keys: parameter.optional(
    parameter.formatted(4096, /^[0-9a-zA-Z!=]*$/, "value does not match the regex pattern"),
  ),
  groups: parameter.optional(groupList()),
} as const;

/** A new one. */
export const newPassword = () => parameter.text({ min: 8, max: 64 });
/** That of who asks. */
export const ownPassword = () => parameter.optional(parameter.text({ min: 5, max: 64 }));
