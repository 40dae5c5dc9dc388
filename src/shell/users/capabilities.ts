// What a client is told after its login ("cap"), by which pages decide what to show; and the map of all rights of somebody. Pure.
import type { Granted, Rights } from "./rights.ts";
import type { ReadUserConfig } from "./user-config.ts";

export type Capabilities = Readonly<Record<string, Readonly<Record<string, 1>>>>;

const kinds: Readonly<Record<string, RegExp>> = {
  vms: /^(?:VM\.|Permissions\.Modify)/,
  storage: /^(?:Datastore\.|Permissions\.Modify)/,
  nodes: /^(?:Sys\.|Permissions\.Modify)/,
  access: /^(?:User\.|Group\.|Permissions\.Modify)/,
  sdn: /^(?:SDN\.|Permissions\.Modify)/,
  mapping: /^(?:Mapping\.|Permissions\.Modify)/,
  dc: /^(?:Sys\.Audit|Sys\.Modify|SDN\.)/,
};

/** A pool's privileges are those of what is in it. */
const kindsOfPool = ["vms", "storage"] as const;

/** By kind of object, the privileges that `who` has on any of that kind. */
export function capabilitiesOf(rights: Rights, config: ReadUserConfig, who: string): Capabilities {
  const found = new Map(Object.keys(kinds).map((kind) => [kind, new Set<string>()]));
  const starts = ["/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping"];
  for (const path of new Set([...starts, ...config.grants.keys()])) {
    const top = /^\/(\w+)/.exec(path)?.[1] ?? "dc";
    for (const kind of top === "pool" ? kindsOfPool : [top]) {
      for (const privilege of rights.privileges(who, path).keys()) {
        if (kinds[kind]?.test(privilege) === true) found.get(kind)?.add(privilege);
      }
    }
  }
  return Object.fromEntries(
    [...found].map(([kind, names]) => [
      kind,
      Object.fromEntries([...names].toSorted().map((name) => [name, 1 as const])),
    ]),
  );
}

/** Everything that `who` has, by path: where something is granted, members of pools, and the tops of the tree. */
export function allRights(
  rights: Rights,
  config: ReadUserConfig,
  who: string,
): ReadonlyMap<string, Granted> {
  const tops = [
    ...["/", "/access", "/access/groups", "/nodes", "/pool"],
    ...["/sdn", "/storage", "/vms"],
  ];
  const ofPools = [...config.pools.values()].flatMap(({ vms, storages }) => [
    ...[...vms].map((vm) => `/vms/${vm}`),
    ...[...storages].map((storage) => `/storage/${storage}`),
  ]);
  const paths = new Set([...tops, ...config.grants.keys(), ...ofPools]);
  return new Map(
    [...paths]
      .toSorted()
      .map((path) => [path, rights.privileges(who, path)] as const)
      .filter(([, granted]) => granted.size > 0),
  );
}
