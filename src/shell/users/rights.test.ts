// Who may what: ten cases worked by hand from Proxmox's documentation (pveum(1)), and any user.cfg against a model of its rule.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { allRights, capabilitiesOf } from "./capabilities.ts";
import { Rights, rolesOn } from "./rights.ts";
import { builtinRoles, privileges } from "./roles.ts";
import { parseUserConfig } from "./user-config.ts";

const users = "user:joe@pve:1:0::::::\nuser:ann@pve:1:0::::::\nuser:max@pve:1:0::::::\n";

function world(text: string) {
  const config = parseUserConfig(users + text);
  const rights = new Rights(config);
  return {
    config,
    rights,
    roles: (who: string, path: string) => [...rolesOn(config, who, path).keys()].toSorted(),
    privileges: (who: string, path: string) => [...rights.privileges(who, path).keys()].toSorted(),
    may: (who: string, path: string, privilege: string) => rights.may(who, path, privilege),
  };
}

describe("by hand, from the documentation", () => {
  test("1: a role for a group is its members' (an administrator group)", () => {
    const { may } = world("group:admin:joe@pve::\nacl:1:/:@admin:Administrator:\n");
    expect(may("joe@pve", "/", "Sys.Modify")).toBe(true);
    expect(may("joe@pve", "/access", "Permissions.Modify")).toBe(true);
    expect(may("ann@pve", "/", "Sys.Modify")).toBe(false);
  });

  test("2: an auditor of everything reads, and of /vms only there", () => {
    const { may } = world("acl:1:/:joe@pve:PVEAuditor:\nacl:1:/vms:ann@pve:PVEAuditor:\n");
    expect(may("joe@pve", "/nodes/pve1", "Sys.Audit")).toBe(true);
    expect(may("joe@pve", "/", "Sys.Modify")).toBe(false);
    expect(may("ann@pve", "/vms/100", "VM.Audit")).toBe(true);
    expect(may("ann@pve", "/", "Sys.Audit")).toBe(false);
  });

  test("3: permissions for individual users always replace group permissions", () => {
    const { roles } = world(
      "group:g:joe@pve::\nacl:1:/vms:@g:PVEVMAdmin:\nacl:1:/vms:joe@pve:PVEVMUser:\n",
    );
    expect(roles("joe@pve", "/vms")).toEqual(["PVEVMUser"]);
    expect(roles("joe@pve", "/vms/100")).toEqual(["PVEVMUser"]);
  });

  test("4: deeper levels replace what is inherited, a group's a user's as well", () => {
    const { roles } = world(
      "group:g:joe@pve::\nacl:1:/vms:joe@pve:PVEVMAdmin:\nacl:1:/vms/100:@g:PVEAuditor:\n",
    );
    expect(roles("joe@pve", "/vms/101")).toEqual(["PVEVMAdmin"]);
    expect(roles("joe@pve", "/vms/100")).toEqual(["PVEAuditor"]);
  });

  test("5: what is not propagated is for its path alone", () => {
    const { roles } = world("acl:0:/vms:joe@pve:PVEVMAdmin:\nacl:1:/:joe@pve:PVEAuditor:\n");
    expect(roles("joe@pve", "/vms")).toEqual(["PVEVMAdmin"]);
    expect(roles("joe@pve", "/vms/100")).toEqual(["PVEAuditor"]);
  });

  test("6: NoAccess cancels all other roles on a path", () => {
    const { roles, may } = world(
      "group:a:joe@pve::\ngroup:b:joe@pve::\nacl:1:/vms:@a:PVEVMAdmin:\nacl:1:/vms:@b:NoAccess:\n",
    );
    expect(roles("joe@pve", "/vms/100")).toEqual(["NoAccess"]);
    expect(may("joe@pve", "/vms/100", "VM.Audit")).toBe(false);
  });

  test("7: roles of several groups on one level add up", () => {
    const { may } = world(
      "group:a:joe@pve::\ngroup:b:joe@pve::\nacl:1:/:@a:PVEDatastoreUser:\nacl:1:/:@b:PVESysAdmin:\n",
    );
    expect(may("joe@pve", "/", "Sys.Console")).toBe(true);
    expect(may("joe@pve", "/", "Datastore.Audit")).toBe(true);
  });

  test("8: members of a pool have its roles, and no refusal of the path itself is undone", () => {
    const { may, roles } = world(
      "pool:web::100,101:local:\nacl:1:/pool/web:joe@pve:PVEVMUser,PVEDatastoreUser:\nacl:1:/vms/101:joe@pve:NoAccess:\n",
    );
    expect(may("joe@pve", "/vms/100", "VM.Console")).toBe(true);
    expect(may("joe@pve", "/storage/local", "Datastore.AllocateSpace")).toBe(true);
    expect(may("joe@pve", "/vms/101", "VM.Console")).toBe(false);
    expect(may("joe@pve", "/vms/102", "VM.Console")).toBe(false);
    expect(roles("joe@pve", "/vms/100")).toEqual([]);
  });

  test("9: a monitoring token with privileges of its own, never more than its user's", () => {
    const { privileges: has } = world(
      "token:joe@pve!monitoring:0:1::\nacl:1:/vms:joe@pve:PVEVMAdmin:\nacl:1:/vms:joe@pve!monitoring:PVEAuditor:\n" +
        "acl:1:/storage:joe@pve!monitoring:PVEDatastoreAdmin:\n",
    );
    expect(has("joe@pve!monitoring", "/vms/100")).toEqual(["VM.Audit", "VM.GuestAgent.Audit"]);
    expect(has("joe@pve!monitoring", "/storage/local")).toEqual([]);
    expect(has("joe@pve!other", "/vms/100")).toEqual([]);
  });

  test("10: a token without separation has all that its user has; root's separated one only its own", () => {
    const { privileges: has, may } = world(
      "token:joe@pve!all:0:0::\ntoken:root@pam!all:0:0::\ntoken:root@pam!some:0:1::\n" +
        "acl:1:/vms:joe@pve:PVEVMUser:\nacl:1:/:root@pam!some:PVEAuditor:\n",
    );
    expect(has("joe@pve!all", "/vms/9")).toEqual(
      [...(builtinRoles.get("PVEVMUser") ?? [])].toSorted(),
    );
    expect(has("root@pam!all", "/x")).toEqual([...privileges]);
    expect(may("root@pam!some", "/nodes/a", "Sys.Audit")).toBe(true);
    expect(may("root@pam!some", "/nodes/a", "Sys.Modify")).toBe(false);
  });
});

test("built-in roles by what the documentation says of them", () => {
  const role = (name: string) => [...(builtinRoles.get(name) ?? [])];
  expect([...builtinRoles.keys()].toSorted()).toEqual([
    ...[
      "Administrator",
      "NoAccess",
      "PVEAdmin",
      "PVEAuditor",
      "PVEDatastoreAdmin",
      "PVEDatastoreUser",
    ],
    ...[
      "PVEMappingAdmin",
      "PVEMappingUser",
      "PVEPoolAdmin",
      "PVEPoolUser",
      "PVESDNAdmin",
      "PVESDNUser",
    ],
    ...["PVESysAdmin", "PVETemplateUser", "PVEUserAdmin", "PVEVMAdmin", "PVEVMUser"],
  ]);
  expect(privileges.size).toBe(47);
  const forbidden = ["Sys.PowerMgmt", "Sys.Modify", "Realm.Allocate", "Permissions.Modify"];
  for (const each of forbidden) {
    expect(role("Administrator")).toContain(each);
    expect(role("PVEAdmin")).not.toContain(each);
  }
  expect(role("PVEAuditor").toSorted()).toEqual([
    ...["Datastore.Audit", "Mapping.Audit", "Pool.Audit", "SDN.Audit"],
    ...["Sys.Audit", "VM.Audit", "VM.GuestAgent.Audit"],
  ]);
  expect(role("PVESDNUser").toSorted()).toEqual(["SDN.Audit", "SDN.Use"]);
  expect(role("PVEPoolUser")).toEqual(["Pool.Audit"]);
  expect(role("PVEPoolAdmin").toSorted()).toEqual(["Pool.Allocate", "Pool.Audit"]);
  expect(role("PVESysAdmin").toSorted()).toEqual(["Sys.Audit", "Sys.Console", "Sys.Syslog"]);
  expect(role("PVEUserAdmin").toSorted()).toEqual([
    ...["Group.Allocate", "Realm.AllocateUser", "User.Modify"],
  ]);
  expect(role("PVEMappingAdmin")).toContain("Mapping.Modify");
  expect(role("PVEAdmin")).not.toContain("Mapping.Modify");
});

test("capabilities and the map of rights are of what somebody has anywhere", () => {
  const { rights, config } = world(
    "pool:web::100:local:\nacl:1:/pool/web:joe@pve:PVEVMUser:\nacl:0:/nodes/a:joe@pve:PVESysAdmin:\n",
  );
  const caps = capabilitiesOf(rights, config, "joe@pve");
  expect(caps["vms"]).toHaveProperty(["VM.Console"]);
  expect(caps["nodes"]).toEqual({ "Sys.Audit": 1, "Sys.Console": 1, "Sys.Syslog": 1 });
  expect(caps["dc"]).toEqual({});
  expect([...allRights(rights, config, "joe@pve").keys()]).toEqual([
    "/nodes/a",
    "/pool/web",
    "/storage/local",
    "/vms/100",
  ]);
  expect(allRights(rights, config, "nobody@pve").size).toBe(0);
});

// The model: over the lines as they are, by Proxmox's words, with nothing of the code above.
type Line = readonly [propagate: string, path: string, member: string, role: string];
interface World {
  readonly groups: Readonly<Record<string, readonly string[]>>;
  readonly tokens: Readonly<Record<string, boolean>>;
  readonly pools: Readonly<Record<string, readonly string[]>>;
  readonly acl: readonly Line[];
}

function modelRoles({ groups, acl }: World, who: string, path: string): string[] {
  const above = path.split("/").map((_, at, all) => all.slice(0, at + 1).join("/") || "/");
  const levels = path === "/" ? ["/"] : above;
  // What was said last of the same role for the same member counts.
  const lines = acl.filter(
    ([, on, member, role], at) =>
      !acl
        .slice(at + 1)
        .some((later) => later[1] === on && later[2] === member && later[3] === role),
  );
  let roles: string[] = [];
  for (const level of levels) {
    const usable = lines.filter(([flag, on]) => on === level && (flag === "1" || level === path));
    const direct = usable.filter(([, , member]) => member === who);
    const byGroup = usable.filter(
      ([, , member]) => groups[member.slice(1)]?.includes(who) && member.startsWith("@"),
    );
    const chosen = direct.length > 0 ? direct : byGroup;
    if (chosen.length > 0) roles = chosen.map(([, , , role]) => role);
  }
  return roles.includes("NoAccess") ? ["NoAccess"] : roles;
}

function modelPrivileges(model: World, who: string, path: string): Set<string> {
  if (who === "root@pam") return new Set(privileges);
  const [owner = "", name] = who.split("!");
  if (name !== undefined) {
    if (model.tokens[who] === undefined) return new Set();
    const ofOwner = modelPrivileges(model, owner, path);
    if (!model.tokens[who]) return ofOwner;
    const own = modelOwn(model, who, path);
    return owner === "root@pam" ? own : own.intersection(ofOwner);
  }
  return modelOwn(model, who, path);
}

function modelOwn(model: World, who: string, path: string): Set<string> {
  let roles = modelRoles(model, who, path);
  const pools = Object.keys(model.pools).filter((pool) => model.pools[pool]?.includes(path));
  const ofPools = pools.flatMap((pool) => modelRoles(model, who, `/pool/${pool}`));
  if (!roles.includes("NoAccess"))
    roles = ofPools.includes("NoAccess") ? [] : [...roles, ...ofPools];
  return new Set(roles.flatMap((role) => [...(builtinRoles.get(role) ?? ownRoles[role] ?? [])]));
}

const ownRoles: Readonly<Record<string, readonly string[]>> = { mine: ["VM.Audit", "Sys.Modify"] };

const people = ["joe@pve", "ann@pve", "root@pam"];
const tokenIds = people
  .flatMap((user) => [`${user}!a`, `${user}!bb`])
  .map((id) => id.replace("!a", "!aa"));
const paths = [
  "/",
  "/vms",
  "/vms/100",
  "/vms/101",
  "/storage/local",
  "/pool/p",
  "/pool/p/q",
  "/a/b/c",
];
const pick = (words: readonly string[]) => fc.constantFrom(...words);
const worlds: fc.Arbitrary<World> = fc.record({
  groups: fc.record({
    g1: fc.uniqueArray(pick(["joe@pve", "ann@pve"])),
    g2: fc.uniqueArray(pick(["joe@pve", "ann@pve"])),
  }),
  tokens: fc.dictionary(pick(tokenIds), fc.boolean()),
  pools: fc.record({
    p: fc.uniqueArray(pick(["/vms/100", "/storage/local"])),
    "p/q": fc.uniqueArray(pick(["/vms/101", "/storage/local"])),
  }),
  acl: fc.array(
    fc.tuple(
      pick(["0", "1"]),
      pick(paths),
      pick(["joe@pve", "ann@pve", "@g1", "@g2", ...tokenIds]),
      pick(["NoAccess", "mine", "PVEAuditor", "PVEVMUser", "PVEAdmin"]),
    ),
    { maxLength: 14 },
  ),
});

function fileOf({ groups, tokens, pools, acl }: World): string {
  const items = (of: readonly string[], kind: string) =>
    of
      .filter((each) => each.startsWith(kind))
      .map((each) => each.slice(kind.length))
      .join(",");
  return [
    ...["joe@pve", "ann@pve"].map((user) => `user:${user}:1:0::::::`),
    ...Object.entries(tokens).map(([id, isSeparated]) => `token:${id}:0:${isSeparated ? 1 : 0}::`),
    ...Object.entries(groups).map(([name, of]) => `group:${name}:${of.join(",")}::`),
    ...Object.entries(pools).map(
      ([name, of]) => `pool:${name}::${items(of, "/vms/")}:${items(of, "/storage/")}:`,
    ),
    "role:mine:VM.Audit,Sys.Modify:",
    ...acl.map(([flag, path, member, role]) => `acl:${flag}:${path}:${member}:${role}:`),
  ].join("\n");
}

test("property: any user.cfg grants what the model of Proxmox's rule says", () => {
  fc.assert(
    fc.property(worlds, (made) => {
      // A grant to a token that is not there is none.
      const acl = made.acl.filter(
        ([, , member]) => !member.includes("!") || made.tokens[member] !== undefined,
      );
      const model = { ...made, acl };
      const rights = new Rights(parseUserConfig(fileOf(made)));
      for (const who of [...people, ...tokenIds]) {
        for (const path of [...paths, "/vms/102", "/a/b"]) {
          const expected = [...modelPrivileges(model, who, path)].toSorted();
          expect({ who, path, has: [...rights.privileges(who, path).keys()].toSorted() }).toEqual({
            who,
            path,
            has: expected,
          });
        }
      }
    }),
    { numRuns: 200 },
  );
});
