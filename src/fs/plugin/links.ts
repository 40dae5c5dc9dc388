// The four symbolic links of the root, which lead every node to its own directories. Spec: pmxcfs.md §2.3. Nobody makes
// their targets: the links dangle until the directories exist.

export function linkTargets(nodeName: string): ReadonlyMap<string, string> {
  const home = `nodes/${nodeName}`;
  return new Map([
    ["local", home],
    ["qemu-server", `${home}/qemu-server`],
    ["openvz", `${home}/openvz`],
    ["lxc", `${home}/lxc`],
  ]);
}
