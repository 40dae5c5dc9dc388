// The users, groups, tokens, roles, pools and rights of a cluster: what user.cfg of the tree says, read as Proxmox reads it. A foreign file may say
// anything: what the original ignores grants nothing here, and lines that are not understood are kept for when the file is written again. Pure.
import { decodeText, splitList, trimmed } from "./text-code.ts";
import { builtinRoles, isReservedRole } from "./roles.ts";
import {
  isGroupOrRoleName,
  isListable,
  isPoolName,
  parseTokenId,
  parseUserId,
  rootUser,
} from "./user-id.ts";

export interface TokenEntry {
  /** Unix seconds; 0: never. */
  expire: number;
  /** It has rights of its own, and never more than its user. */
  isSeparated: boolean;
  comment: string;
}

export interface UserEntry {
  isEnabled: boolean;
  /** Unix seconds; 0: never. */
  expire: number;
  firstname: string;
  lastname: string;
  email: string;
  comment: string;
  /** "x" while there are second factors in priv/tfa.cfg; older: keys of them. */
  keys: string;
  /** By their own name ("backup"). */
  tokens: Map<string, TokenEntry>;
  /** Fields of a later version, as they were. */
  more: string;
}

export interface GroupEntry {
  comment: string;
  users: Set<string>;
}

export interface PoolEntry {
  comment: string;
  vms: Set<string>;
  storages: Set<string>;
}

/** Roles by name, with whether they are propagated below. */
export type RoleGrants = Map<string, boolean>;

/** What one path grants, by user, group and whole token id. */
export interface PathGrants {
  users: Map<string, RoleGrants>;
  groups: Map<string, RoleGrants>;
  tokens: Map<string, RoleGrants>;
}

export interface UserConfig {
  /** root@pam is always there. */
  readonly users: Map<string, UserEntry>;
  readonly groups: Map<string, GroupEntry>;
  readonly pools: Map<string, PoolEntry>;
  /** Without the built-in ones; privileges of later versions included. */
  readonly roles: Map<string, Set<string>>;
  /** By path: "/", "/vms/100". */
  readonly grants: Map<string, PathGrants>;
  /** Lines that are not understood, as they were. */
  readonly others: string[];
}

/** The same for who only reads. */
export type Reading<T> =
  T extends Map<infer K, infer V>
    ? ReadonlyMap<K, Reading<V>>
    : T extends Set<infer I>
      ? ReadonlySet<I>
      : T extends object
        ? { readonly [P in keyof T]: Reading<T[P]> }
        : T;
export type ReadUserConfig = Reading<UserConfig>;

export function newUser(isEnabled = true): UserEntry {
  const texts = { firstname: "", lastname: "", email: "", comment: "", keys: "", more: "" };
  return { isEnabled, expire: 0, ...texts, tokens: new Map() };
}

/** `text`: a byte string. Never throws. */
export function parseUserConfig(text: string): UserConfig {
  const config: UserConfig = {
    users: new Map([[rootUser, newUser()]]),
    groups: new Map(),
    pools: new Map(),
    roles: new Map(),
    grants: new Map(),
    others: [],
  };
  const pooled = new Set<string>();
  for (const raw of text.split("\n")) {
    const line = trimmed(raw);
    if (line === "") continue;
    const [kind = "", ...fields] = line.split(":").map(trimmed);
    if (readers.get(kind)?.(config, fields, pooled) !== true) config.others.push(line);
  }
  return config;
}

/** False: the line cannot be used. `pooled`: guests that are in a pool already. */
type Reader = (config: UserConfig, fields: readonly string[], pooled: Set<string>) => boolean;

const readers: ReadonlyMap<string, Reader> = new Map([
  ["user", readUser],
  ["token", readToken],
  ["group", readGroup],
  ["role", readRole],
  ["acl", readAcl],
  ["pool", readPool],
]);

/** Names of a list; what could not be written into one again (a comma in a list by NUL) is nobody's name. */
function listed(text: string): string[] {
  return splitList(text).filter(isListable);
}

function readUser(config: UserConfig, fields: readonly string[]): boolean {
  const [id = "", enable, expire, first = "", last = "", email = "", comment = "", keys = ""] =
    fields;
  const seconds = secondsOf(expire);
  if (parseUserId(id) === undefined || seconds === undefined) return false;
  config.users.set(id, {
    isEnabled: isTrue(enable),
    expire: seconds,
    firstname: decodeText(first),
    lastname: decodeText(last),
    email,
    comment: decodeText(comment),
    keys,
    tokens: new Map(),
    more: fields.slice(8).join(":").replace(/:+$/, ""),
  });
  return true;
}

function readToken({ users }: UserConfig, fields: readonly string[]): boolean {
  const [id = "", expire, separated, comment = ""] = fields;
  const token = parseTokenId(id);
  const seconds = secondsOf(expire);
  if (token === undefined || seconds === undefined) return false;
  const tokens = users.get(token.user)?.tokens;
  // Dropped, as by the original: a user of that name who comes later must not find it.
  if (tokens === undefined) return true;
  const before = tokens.get(token.name);
  tokens.set(token.name, {
    expire: seconds,
    isSeparated: isTrue(separated),
    comment: decodeText(comment) || (before?.comment ?? ""),
  });
  return true;
}

function readGroup({ groups }: UserConfig, fields: readonly string[]): boolean {
  const [name = "", members = "", comment = ""] = fields;
  if (!isGroupOrRoleName(name)) return false;
  const group = groups.get(name) ?? { comment: "", users: new Set<string>() };
  groups.set(name, group);
  if (comment !== "") group.comment = decodeText(comment);
  for (const user of listed(members)) {
    if (!group.users.has(user) && parseUserId(user) !== undefined) group.users.add(user);
  }
  return true;
}

function readRole({ roles }: UserConfig, fields: readonly string[]): boolean {
  const [name = "", list = ""] = fields;
  if (!isGroupOrRoleName(name) || builtinRoles.has(name)) return false;
  const role = roles.get(name) ?? new Set<string>();
  roles.set(name, role);
  for (const privilege of listed(list)) role.add(privilege);
  return true;
}

function readPool({ pools }: UserConfig, fields: readonly string[], pooled: Set<string>): boolean {
  const [name = "", comment = "", vms = "", storages = ""] = fields;
  if (!isPoolName(name)) return false;
  for (const part of withParents(name)) {
    if (!pools.has(part)) pools.set(part, { comment: "", vms: new Set(), storages: new Set() });
  }
  const pool = pools.get(name);
  if (pool === undefined) return false;
  if (comment !== "") pool.comment = decodeText(comment);
  for (const item of listed(vms)) {
    const vm = item.replace(/^0+(?=\d)/, "");
    // A guest is in one pool.
    if (!/^\d{1,15}$/.test(vm) || pooled.has(vm)) continue;
    pool.vms.add(vm);
    pooled.add(vm);
  }
  for (const storage of listed(storages)) {
    if (/^[a-z][a-z0-9\-_.]*[a-z0-9]$/i.test(storage)) pool.storages.add(storage);
  }
  return true;
}

/** "a/b/c": "a", "a/b", "a/b/c". */
function withParents(pool: string): string[] {
  const parts = pool.split("/");
  return parts.map((_, at) => parts.slice(0, at + 1).join("/"));
}

function readAcl(config: UserConfig, fields: readonly string[]): boolean {
  const [propagate, pathText = "", members = "", list = ""] = fields;
  const normal = normalPath(pathText);
  if (normal === undefined) return false;
  // To Proxmox a step "0" is none, so that the grant is its parent's; it must be the same here.
  const path = normal.replace(/\/0(?=\/|$)/g, "") || "/";
  const isPropagated = isTrue(propagate);
  for (const role of listed(list)) {
    // A role that comes later in the file is none yet; a later version's is kept, and grants nothing.
    const isKnown = config.roles.has(role) || builtinRoles.has(role) || isReservedRole(role);
    if (!isKnown || !isGroupOrRoleName(role)) continue;
    for (const member of listed(members)) grant(config, path, member, role, isPropagated);
  }
  return true;
}

function grant(
  config: UserConfig,
  path: string,
  member: string,
  role: string,
  isPropagated: boolean,
): void {
  const group = member.startsWith("@") ? member.slice(1) : "";
  if (group !== "" && isGroupOrRoleName(group)) {
    setGrant(grantsAt(config, path).groups, group, role, isPropagated);
  } else if (parseUserId(member) !== undefined) {
    setGrant(grantsAt(config, path).users, member, role, isPropagated);
  } else {
    const token = parseTokenId(member);
    if (token === undefined || config.users.get(token.user)?.tokens.has(token.name) !== true)
      return;
    setGrant(grantsAt(config, path).tokens, member, role, isPropagated);
  }
}

/** What a path grants; made when there is nothing yet. */
export function grantsAt({ grants }: UserConfig, path: string): PathGrants {
  const there = grants.get(path) ?? { users: new Map(), groups: new Map(), tokens: new Map() };
  grants.set(path, there);
  return there;
}

export function setGrant(
  of: Map<string, RoleGrants>,
  member: string,
  role: string,
  isPropagated: boolean,
): void {
  const roles = of.get(member) ?? new Map<string, boolean>();
  of.set(member, roles.set(role, isPropagated));
}

/** "/" alone or without a slash at its end; undefined: no path of rights. */
export function normalPath(text: string): string | undefined {
  // The original takes "0" for nothing.
  if (text === "" || text === "0") return undefined;
  const path = `/${text}`.replace(/\/+/g, "/").replace(/(?<=.)\/$/, "");
  return /^[A-Za-z0-9.\-_/]+$/.test(path) ? path : undefined;
}

/** As Perl sees it. */
function isTrue(field: string | undefined): boolean {
  return field !== undefined && field !== "" && field !== "0";
}

/** Undefined: no time. */
function secondsOf(field: string | undefined): number | undefined {
  if (!isTrue(field)) return 0;
  if (field === undefined || !/^\d+$/.test(field)) return undefined;
  return Math.min(Number(field), Number.MAX_SAFE_INTEGER);
}
