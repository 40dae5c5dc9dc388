// Who does not run with the corosync.conf of the tree: a change on top of one that is not in force everywhere would leave such a node behind for
// good, since it takes no file whose predecessor it has missed to be the cluster's.

export interface RunningVersion {
  /** Of the node in the nodelist. */
  readonly name: string;
  /** config_version in force; undefined: it has not said. */
  readonly version: number | undefined;
}

/** What is in the way of a change, a sentence with what to do; "": all that are there run with `current`, or have not said. */
export function laggingText(members: readonly RunningVersion[], current: number): string {
  const lagging = members.flatMap(({ name, version }) =>
    version === undefined || version >= current ? [] : [`${name} (version ${version})`],
  );
  if (lagging.length === 0) return "";
  const verb = lagging.length === 1 ? "does" : "do";
  return `${lagging.join(", ")} ${verb} not run with the corosync.conf of the tree (version ${current}) yet: look into the log there, and type \`quorate reload\`; a corosync without pmxcfs needs a copy of the file and \`corosync-cfgtool -R\`. Nothing was changed`;
}
