// user.cfg as Proxmox writes it, byte for byte: sections in its order, everything sorted, so that two nodes that change the same file agree. Lines
// that are not understood come last, as they were. Pure.
import { encodeText } from "./text-code.ts";
import type { PathGrants, ReadUserConfig, Reading, RoleGrants } from "./user-config.ts";
import { isListable, rootUser } from "./user-id.ts";

/** A name or field that a reader of the file would take for something else: nothing is written then. */
export class UnwritableName extends Error {}

/** The file, a byte string. Throws `UnwritableName`. */
export function userConfigText(config: ReadUserConfig): string {
  const sections = [
    userLines(config),
    sorted(config.groups).map(
      ([name, { users, comment }]) => `group:${bare(name)}:${list(users)}:${free(comment)}:`,
    ),
    sorted(config.pools).map(
      ([name, { comment, vms, storages }]) =>
        `pool:${bare(name)}:${free(comment)}:${list(vms)}:${list(storages)}:`,
    ),
    sorted(config.roles).map(([name, privileges]) => `role:${bare(name)}:${list(privileges)}:`),
    sorted(config.grants, byPath).flatMap(([path, grants]) => aclLines(path, grants)),
  ];
  const text = sections.map((lines) => lines.map((line) => `${line}\n`).join("")).join("\n");
  return text + config.others.map((line) => `${line}\n`).join("");
}

function userLines({ users }: ReadUserConfig): readonly string[] {
  return sorted(users).flatMap(([id, user]) => {
    const fields = [
      ...["user", bare(id), user.isEnabled ? "1" : "0", String(user.expire)],
      ...[free(user.firstname), free(user.lastname), bare(plain(user.email))],
      ...[free(user.comment), bare(plain(user.keys)), ...(user.more === "" ? [] : [user.more]), ""],
    ];
    const tokens = sorted(user.tokens).map(([name, { expire, isSeparated, comment }]) =>
      ["token", bare(`${id}!${name}`), expire, isSeparated ? 1 : 0, free(comment), ""].join(":"),
    );
    return [fields.join(":"), ...tokens];
  });
}

function free(text: string): string {
  return encodeText(plain(text));
}

/** Perl takes "0" for nothing. */
function plain(text: string): string {
  return text === "0" ? "" : text;
}

/** One line for all members of a path that have the same roles. */
function aclLines(path: string, { groups, users, tokens }: Reading<PathGrants>): readonly string[] {
  const granted = [
    ...[...groups].map(([name, roles]) => [`@${name}`, roles] as const),
    // What root has is not for a file to say.
    ...[...users].filter(([id]) => id !== rootUser),
    ...tokens,
  ];
  return [false, true].flatMap((isPropagated) => {
    const membersByRoles = Map.groupBy(granted, ([, roles]) => rolesWith(roles, isPropagated));
    membersByRoles.delete("");
    return sorted(membersByRoles).map(([roles, members]) => {
      const names = list(members.map(([name]) => name));
      return `acl:${isPropagated ? 1 : 0}:${bare(path)}:${names}:${roles}:`;
    });
  });
}

function rolesWith(roles: Reading<RoleGrants>, isPropagated: boolean): string {
  return list([...roles].filter(([, is]) => is === isPropagated).map(([role]) => role));
}

/** A separator in a name would make two of it: another user in a group, another role. */
function list(names: Iterable<string>): string {
  const sortedNames = [...names].toSorted(byBytes);
  for (const name of sortedNames) if (!isListable(name)) unwritable(name);
  return sortedNames.join(",");
}

/** A field that is written as it is. */
function bare(text: string): string {
  if (/[:\n]/.test(text)) unwritable(text);
  return text;
}

function unwritable(name: string): never {
  const shown = name.replace(/[^\x20-\x7e]/g, "?").slice(0, 80);
  throw new UnwritableName(
    `'${shown}' cannot stand in user.cfg, whose readers would take it for more than one name; choose a name without comma, semicolon, colon and white space`,
  );
}

type Order = (a: string, b: string) => number;

function sorted<V>(
  entries: ReadonlyMap<string, V>,
  order: Order = byBytes,
): readonly (readonly [string, V])[] {
  return [...entries].toSorted(([a], [b]) => order(a, b));
}

function byBytes(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** As a tree is walked: each before what is below it. */
function byPath(a: string, b: string): number {
  return byBytes(a.replaceAll("/", "\0"), b.replaceAll("/", "\0"));
}
