// The privileges of Proxmox VE, and what of them a client is told after its login ("cap"): root has all of them. Pure.

const groups = {
  vms: [
    "VM.Allocate VM.Audit VM.Backup VM.Clone VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit VM.Config.Disk VM.Config.HWType",
    "VM.Config.Memory VM.Config.Network VM.Config.Options VM.Console VM.GuestAgent.Audit VM.GuestAgent.FileRead",
    "VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite VM.GuestAgent.Unrestricted VM.Migrate VM.PowerMgmt VM.Replicate",
    "VM.Snapshot VM.Snapshot.Rollback",
  ],
  storage: [
    "Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit",
  ],
  nodes: [
    "Sys.AccessNetwork Sys.Audit Sys.Console Sys.Incoming Sys.Modify Sys.PowerMgmt Sys.Syslog",
  ],
  access: ["User.Modify Group.Allocate"],
  sdn: ["SDN.Allocate SDN.Audit SDN.Use"],
  mapping: ["Mapping.Audit Mapping.Modify Mapping.Use"],
  dc: ["SDN.Allocate SDN.Audit SDN.Use Sys.Audit Sys.Modify"],
} as const;

/** Shown with all but the data centre's. */
const everywhere = "Permissions.Modify";

export type Capabilities = Readonly<Record<string, Readonly<Record<string, 1>>>>;

/** Of root@pam. */
export function rootCapabilities(): Capabilities {
  return Object.fromEntries(
    Object.entries(groups).map(([group, lines]) => {
      const names = lines.flatMap((line) => line.split(" "));
      const all = group === "dc" ? names : [...names, everywhere];
      return [group, Object.fromEntries(all.map((name) => [name, 1 as const]))];
    }),
  );
}
