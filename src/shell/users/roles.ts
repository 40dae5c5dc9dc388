// The privileges of Proxmox VE 9 and its built-in roles (pveum(1), "Roles" and "Privileges"). A name that is not here grants nothing. Pure.

/** Who has a privilege beside Administrator: admins; admins and users of the kind; all of them and auditors. */
type Level = "root" | "admin" | "user" | "audit" | "admin and audit" | "user and audit";

/** By kind ("VM.Audit" and others make PVEVMAdmin). */
const kinds: Readonly<Record<string, Readonly<Partial<Record<Level, string>>>>> = {
  VM: {
    admin:
      "VM.Allocate VM.Clone VM.Config.CPU VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options " +
      "VM.GuestAgent.Unrestricted VM.Migrate VM.Replicate VM.Snapshot VM.Snapshot.Rollback",
    user:
      "VM.Backup VM.Config.CDROM VM.Config.Cloudinit VM.Console VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt " +
      "VM.GuestAgent.FileWrite VM.PowerMgmt",
    audit: "VM.Audit VM.GuestAgent.Audit",
  },
  Sys: {
    root: "Sys.AccessNetwork Sys.Incoming Sys.Modify Sys.PowerMgmt",
    admin: "Sys.Console Sys.Syslog",
    audit: "Sys.Audit",
  },
  Datastore: {
    admin: "Datastore.Allocate Datastore.AllocateTemplate",
    user: "Datastore.AllocateSpace",
    audit: "Datastore.Audit",
  },
  SDN: { admin: "SDN.Allocate", "admin and audit": "SDN.Audit", user: "SDN.Use" },
  User: { root: "Realm.Allocate", admin: "Group.Allocate Realm.AllocateUser User.Modify" },
  Pool: { admin: "Pool.Allocate", "user and audit": "Pool.Audit" },
  Mapping: { admin: "Mapping.Modify", user: "Mapping.Use", audit: "Mapping.Audit" },
};

const levelsOfAdmin: readonly Level[] = [
  "admin",
  "user",
  "audit",
  "admin and audit",
  "user and audit",
];
const levelsOfUser: readonly Level[] = ["user", "audit", "admin and audit", "user and audit"];
const levelsOfAuditor: readonly Level[] = ["audit", "admin and audit", "user and audit"];

function privilegesOf(kind: string, levels: readonly Level[]): readonly string[] {
  return levels.flatMap((level) => kinds[kind]?.[level]?.split(" ") ?? []);
}

const allLevels: readonly Level[] = ["root", ...levelsOfAdmin];
const kindNames = Object.keys(kinds);
const hasUsers = (kind: string) =>
  kinds[kind]?.user !== undefined || kinds[kind]?.["user and audit"] !== undefined;

/** All there are, sorted. */
export const privileges: ReadonlySet<string> = new Set(
  ["Permissions.Modify", ...kindNames.flatMap((kind) => privilegesOf(kind, allLevels))].toSorted(),
);

/** By name; these cannot be changed, and a file that redefines one is not listened to. */
export const builtinRoles: ReadonlyMap<string, ReadonlySet<string>> = new Map<
  string,
  ReadonlySet<string>
>([
  ["Administrator", privileges],
  ["NoAccess", new Set()],
  ["PVETemplateUser", new Set(["VM.Audit", "VM.Clone"])],
  [
    "PVEAdmin",
    // Mapping.Modify is the mapping admins' alone.
    new Set(
      kindNames
        .flatMap((kind) => privilegesOf(kind, levelsOfAdmin))
        .filter((privilege) => privilege !== "Mapping.Modify"),
    ),
  ],
  ["PVEAuditor", new Set(kindNames.flatMap((kind) => privilegesOf(kind, levelsOfAuditor)))],
  ...kindNames.map((kind) => namedRole(`PVE${kind}Admin`, privilegesOf(kind, levelsOfAdmin))),
  ...kindNames
    .filter(hasUsers)
    .map((kind) => namedRole(`PVE${kind}User`, privilegesOf(kind, levelsOfUser))),
]);

function namedRole(name: string, of: readonly string[]): readonly [string, ReadonlySet<string>] {
  return [name, new Set(of)];
}

/** A name that only built-in roles may have: one that is not known here may be a later version's. */
export function isReservedRole(name: string): boolean {
  return /^PVE/i.test(name);
}
