// Proxmox's rule of who may what (pveum(1), "Permission Management"; pvecm.md §4.3): from the grants of user.cfg to the privileges of a user or token
// on a path. Pure; answers are remembered, within bounds.
import { builtinRoles, privileges } from "./roles.ts";
import type { PathGrants, Reading, ReadUserConfig, RoleGrants } from "./user-config.ts";
import { parseTokenId, parseUserId, rootUser } from "./user-id.ts";

/** Names with whether they are propagated below. */
export type Granted = ReadonlyMap<string, boolean>;

/** Remembered answers; each has up to 47 names. */
const rememberedMax = 1000;
const pathCharactersMax = 1024;
const noAccess = "NoAccess";
const nothing: Granted = new Map();
const everything: Granted = new Map([...privileges].map((privilege) => [privilege, true]));

export class Rights {
  readonly #config: ReadUserConfig;
  readonly #remembered = new Map<string, Granted>();
  /** Pools by their members: "/vms/100", "/storage/local". */
  readonly #poolsOf = new Map<string, string[]>();

  constructor(config: ReadUserConfig) {
    this.#config = config;
    for (const [pool, { vms, storages }] of config.pools) {
      const members = [
        ...[...vms].map((vm) => `/vms/${vm}`),
        ...[...storages].map((storage) => `/storage/${storage}`),
      ];
      for (const member of members) {
        this.#poolsOf.set(member, [...(this.#poolsOf.get(member) ?? []), pool]);
      }
    }
  }

  /** `who`: a user, or a whole token id. `path`: in its normal form. */
  may(who: string, path: string, privilege: string): boolean {
    return this.privileges(who, path).has(privilege);
  }

  /** All privileges on a path; the value only tells whether they are propagated. */
  privileges(who: string, path: string): Granted {
    if (who === rootUser) return everything;
    if (path.length > pathCharactersMax) return nothing;
    const key = `${who} ${path}`;
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const made = this.#privileges(who, path);
    if (this.#remembered.size >= rememberedMax) this.#remembered.clear();
    this.#remembered.set(key, made);
    return made;
  }

  #privileges(who: string, path: string): Granted {
    const token = parseTokenId(who);
    if (token === undefined) {
      return parseUserId(who) === undefined ? nothing : this.#ownPrivileges(who, path);
    }
    const entry = this.#config.users.get(token.user)?.tokens.get(token.name);
    if (entry === undefined) return nothing;
    const ofUser = this.privileges(token.user, path);
    if (!entry.isSeparated) return ofUser;
    const own = this.#ownPrivileges(who, path);
    const both = [...own].filter(([privilege]) => ofUser.has(privilege));
    return new Map(
      both.map(([privilege, is]) => [privilege, is && ofUser.get(privilege) === true]),
    );
  }

  /** Without what a token's user has. */
  #ownPrivileges(who: string, path: string): Granted {
    const granted = new Map<string, boolean>();
    for (const [role, isPropagated] of this.#rolesWithPools(who, path)) {
      for (const privilege of builtinRoles.get(role) ?? this.#config.roles.get(role) ?? []) {
        if (!privileges.has(privilege)) continue;
        granted.set(privilege, isPropagated || granted.get(privilege) === true);
      }
    }
    return granted;
  }

  #rolesWithPools(who: string, path: string): Granted {
    const own = rolesOn(this.#config, who, path);
    const pools = this.#poolsOf.get(path);
    // What a pool gives never undoes a refusal of the path itself, but its refusal does undo the path's.
    if (pools === undefined || own.has(noAccess)) return own;
    const ofPools = pools.flatMap((pool) => [
      ...rolesOn(this.#config, who, `/pool/${pool}`).keys(),
    ]);
    if (ofPools.includes(noAccess)) return new Map([[noAccess, false]]);
    return new Map([...ofPools.map((role) => [role, false] as const), ...own]);
  }
}

/** The roles of a user or a separated token on a path, without those of pools: the deepest grant counts alone. */
export function rolesOn(config: ReadUserConfig, who: string, path: string): Granted {
  let roles: Granted = nothing;
  for (const step of stepsTo(path)) {
    const grants = config.grants.get(step);
    if (grants === undefined) continue;
    const there = grantedAt(config, grants, { who, isEnd: step === path });
    if (there.size > 0) roles = there;
  }
  const refused = roles.get(noAccess);
  return refused === undefined ? roles : new Map([[noAccess, refused]]);
}

/** What one path of the tree grants: who is named goes before all groups. */
function grantedAt(
  config: ReadUserConfig,
  { tokens, users, groups }: Reading<PathGrants>,
  { who, isEnd }: { readonly who: string; readonly isEnd: boolean },
): Granted {
  const usable = (roles: Reading<RoleGrants> | undefined) =>
    [...(roles ?? [])].filter(([, isPropagated]) => isEnd || isPropagated);
  for (const named of [usable(tokens.get(who)), usable(users.get(who))]) {
    if (named.length > 0) return new Map(named);
  }
  const granted = new Map<string, boolean>();
  for (const [group, roles] of groups) {
    if (config.groups.get(group)?.users.has(who) !== true) continue;
    for (const [role, is] of usable(roles)) granted.set(role, is || granted.get(role) === true);
  }
  return granted;
}

/** "/vms/100": "/", "/vms", "/vms/100". */
function stepsTo(path: string): string[] {
  if (path === "/") return ["/"];
  const parts = path.split("/").slice(1);
  return ["/", ...parts.map((_, at) => `/${parts.slice(0, at + 1).join("/")}`)];
}
