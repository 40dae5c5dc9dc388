// `quorate user`, `token`, `group`, `role`, `acl` and `realm`: who there is and who may what, asked and changed through the node's API, whose
// rules, checks and words these are (pvecm.md §4.2).
import * as v from "valibot";
import { passwordOf } from "../../cli/secret.ts";
import { table } from "../../cli/text-table.ts";
import { CommandFailure, exitOk, exitUsage } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { LocalApi, type Words } from "./local-api.ts";

export interface AccessOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

type Row = Readonly<Record<string, unknown>>;
const rowsSchema = v.array(v.record(v.string(), v.unknown()));

/** A column for people: title, and what stands there. */
type Column = readonly [title: string, cell: (row: Row) => string];

export interface Listing {
  readonly path: string;
  readonly words?: Words;
  /** What a row is: "group", for when there is none. */
  readonly what: string;
  readonly columns: readonly Column[];
}

const text =
  (name: string) =>
  (row: Row): string => {
    const value = row[name];
    return typeof value === "string" || typeof value === "number" ? String(value) : "";
  };
const yesOrNo =
  (name: string) =>
  (row: Row): string =>
    row[name] === 1 || row[name] === true ? "yes" : "no";
/** Unix seconds; 0: never. */
const time =
  (name: string) =>
  (row: Row): string => {
    const seconds = row[name];
    if (typeof seconds !== "number" || seconds === 0) return "never";
    const date = new Date(seconds * 1000);
    return Number.isNaN(date.getTime())
      ? `${seconds}`
      : date.toISOString().slice(0, 16).replace("T", " ");
  };
const items =
  (name: string, key: string) =>
  (row: Row): string => {
    const all = v.safeParse(rowsSchema, row[name]);
    return all.success ? all.output.map(text(key)).join(",") : "";
  };

export const users: Listing = {
  path: "/access/users",
  words: { full: true },
  what: "user",
  columns: [
    ["USER", text("userid")],
    ["ENABLED", yesOrNo("enable")],
    ["EXPIRES", time("expire")],
    ["GROUPS", text("groups")],
    ["TOKENS", items("tokens", "tokenid")],
    ["COMMENT", text("comment")],
  ],
};

export function tokensOf(user: string): Listing {
  return {
    path: `${userPath(user)}/token`,
    what: "token",
    columns: [
      ["TOKEN", (row) => `${user}!${text("tokenid")(row)}`],
      ["OWN RIGHTS", yesOrNo("privsep")],
      ["EXPIRES", time("expire")],
      ["COMMENT", text("comment")],
    ],
  };
}

export const groups: Listing = {
  path: "/access/groups",
  what: "group",
  columns: [
    ["GROUP", text("groupid")],
    ["USERS", text("users")],
    ["COMMENT", text("comment")],
  ],
};

export const roles: Listing = {
  path: "/access/roles",
  what: "role",
  columns: [
    ["ROLE", text("roleid")],
    ["BUILT IN", yesOrNo("special")],
    ["PRIVILEGES", text("privs")],
  ],
};

export const grants: Listing = {
  path: "/access/acl",
  what: "grant",
  columns: [
    ["PATH", text("path")],
    ["KIND", text("type")],
    ["WHO", text("ugid")],
    ["ROLE", text("roleid")],
    ["BELOW TOO", yesOrNo("propagate")],
  ],
};

export const realms: Listing = {
  path: "/access/domains",
  what: "realm",
  columns: [
    ["REALM", text("realm")],
    ["TYPE", text("type")],
    ["DEFAULT", yesOrNo("default")],
    ["SECOND FACTOR", text("tfa")],
    ["COMMENT", text("comment")],
  ],
};

export async function listCommand(
  { root, json, write }: AccessOptions,
  { path, words = {}, what, columns }: Listing,
): Promise<number> {
  const rows = await apiOf(root).original(rowsSchema, "GET", path, words);
  if (json) write(`${JSON.stringify(rows, undefined, 2)}\n`);
  else if (rows.length === 0) write(`There is no ${what}.\n`);
  else {
    const titles = columns.map(([title]) => ({ title }));
    const cells = rows.map((row) => columns.map(([, cell]) => cell(row)));
    write(`${table(titles, cells).join("\n")}\n`);
  }
  return exitOk;
}

export interface Change {
  readonly method: "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly words?: Words;
  /** Of what is changed: "ann@pve". */
  readonly id: string;
  /** What has been done, a sentence. */
  readonly done: string;
}

export async function changeCommand(
  { root, json, write }: AccessOptions,
  { method, path, words = {}, id, done }: Change,
): Promise<number> {
  await apiOf(root).original(v.unknown(), method, path, words);
  write(json ? `${JSON.stringify({ id, isDone: true })}\n` : `${done}\n`);
  return exitOk;
}

/** A change of some settings, at least one. */
export async function modifyCommand(options: AccessOptions, change: Change): Promise<number> {
  if (Object.values(change.words ?? {}).every((word) => word === undefined)) {
    throw new CommandFailure(`say what of ${change.id} is to be changed: see --help`, exitUsage);
  }
  return changeCommand(options, change);
}

export interface PasswordOptions {
  readonly password: string | undefined;
  readonly passwordFile: string | undefined;
}

export async function addUser(
  options: AccessOptions & PasswordOptions,
  { user, words }: { readonly user: string; readonly words: Words },
): Promise<number> {
  const password = await passwordOf(options.password, options.passwordFile);
  const done =
    password === "" && user.endsWith("@pve")
      ? `User ${user} is made. It cannot log in before it has a password: quorate user password ${user}`
      : `User ${user} is made. It has no rights but those of its groups: quorate acl add`;
  return changeCommand(options, {
    ...{ method: "POST", path: "/access/users", id: user, done },
    words: { userid: user, ...words, ...(password === "" ? {} : { password }) },
  });
}

/** Asked for at the terminal, or read from standard input, where neither option says another place. */
export async function changePassword(
  options: AccessOptions & PasswordOptions & { readonly user: string },
): Promise<number> {
  const { user, passwordFile } = options;
  const word = passwordFile === undefined ? (options.password ?? "-") : options.password;
  const password = await passwordOf(word, passwordFile);
  return changeCommand(options, {
    ...{ method: "PUT", path: "/access/password", words: { userid: user, password } },
    ...{ id: user, done: `User ${user} has another password.` },
  });
}

const permissionsSchema = v.record(v.string(), v.record(v.string(), v.unknown()));

/** What somebody may in the end, by path. */
export async function permissionsCommand(
  { root, json, write }: AccessOptions,
  { who, path }: { readonly who: string; readonly path: string | undefined },
): Promise<number> {
  const words = { userid: who, path };
  const found = await apiOf(root).original(permissionsSchema, "GET", "/access/permissions", words);
  if (json) write(`${JSON.stringify(found, undefined, 2)}\n`);
  else {
    const rows = Object.entries(found).flatMap(([at, granted]) => {
      const names = Object.keys(granted).toSorted();
      return names.length === 0 ? [] : [[at, names.join(",")]];
    });
    if (rows.length === 0) write(`${who} may nothing${path === undefined ? "" : ` on ${path}`}.\n`);
    else write(`${table([{ title: "PATH" }, { title: "PRIVILEGES" }], rows).join("\n")}\n`);
  }
  return exitOk;
}

const madeTokenSchema = v.looseObject({ "full-tokenid": v.string(), value: v.string() });

/** Makes a token, or with PUT gives one another secret; which is shown now and never again. */
export async function tokenSecretCommand(
  { root, json, write }: AccessOptions,
  { method, user, token, words }: TokenChange,
): Promise<number> {
  const path = tokenPath(user, token);
  const made = await apiOf(root).original(madeTokenSchema, method, path, words);
  if (json) write(`${JSON.stringify(made, undefined, 2)}\n`);
  else write(`${made["full-tokenid"]}=${made.value}\n`);
  return exitOk;
}

export interface TokenChange {
  readonly method: "POST" | "PUT";
  readonly user: string;
  readonly token: string;
  readonly words: Words;
}

export interface GrantOptions extends AccessOptions {
  readonly path: string;
  readonly roles: string;
  readonly users: string | undefined;
  readonly groups: string | undefined;
  readonly tokens: string | undefined;
  /** Undefined: the grants are taken back. */
  readonly propagate: string | undefined;
}

/** Gives roles on a path, or takes them back. */
export async function grantCommand(
  options: GrantOptions,
  { isTaken }: { readonly isTaken: boolean },
): Promise<number> {
  const { path, roles: given, users: ofUsers, groups: ofGroups, tokens, propagate } = options;
  const who = [ofUsers, ofGroups, tokens].filter((each) => each !== undefined).join(",");
  if (who === "") {
    const whom = isTaken ? "from whom" : "to whom";
    throw new CommandFailure(`say ${whom}: --users, --groups or --tokens`, exitUsage);
  }
  const words = { path, roles: given, users: ofUsers, groups: ofGroups, tokens };
  return changeCommand(options, {
    ...{ method: "PUT", path: "/access/acl", id: path },
    words: isTaken ? { ...words, delete: true } : { ...words, propagate },
    done: isTaken ? `${who}: ${given} on ${path} no more.` : `${who}: ${given} on ${path}.`,
  });
}

export function userPath(user: string): string {
  return `/access/users/${encodeURIComponent(user)}`;
}

export function tokenPath(user: string, token: string): string {
  return `${userPath(user)}/token/${encodeURIComponent(token)}`;
}

function apiOf(root: string): LocalApi {
  return new LocalApi(nodePaths(root).socket);
}
