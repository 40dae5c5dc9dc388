// storage.cfg of the tree, as far as the list of resources shows it: which storages there are, of what kind, on which nodes. Storage itself is not ours.
// Pure.

export interface KnownStorage {
  readonly id: string;
  /** "dir", "nfs". */
  readonly type: string;
  /** "images,iso"; "" where the file says nothing. */
  readonly content: string;
  readonly isShared: boolean;
  /** Empty: all. */
  readonly nodes: readonly string[];
}

const storagesMax = 10_000;
/** Of these every node sees the same. */
const sharedTypes = new Set(
  "iscsi iscsidirect nfs cifs rbd cephfs zfs drbd pbs glusterfs esxi".split(" "),
);

/** Those that are not disabled, in the order of the file. */
export function knownStorages(text: string): readonly KnownStorage[] {
  const storages: KnownStorage[] = [];
  for (const begun of text.split(/^(?=[a-z][a-z0-9]*:\s)/m)) {
    // Its options are indented; what is not belongs to nobody.
    const section = begun.split(/\n(?!\s)/, 1)[0] ?? "";
    const [, type = "", id = ""] =
      /^([a-z][a-z0-9]*):\s*([A-Za-z][\w.-]*)[ \t]*$/m.exec(section) ?? [];
    if (id === "" || storages.length >= storagesMax) continue;
    const value = (key: string): string | undefined => {
      const found = new RegExp(`^[ \\t]+${key}(?:[ \\t]+(.*?))?[ \\t]*$`, "m").exec(section);
      return found === null ? undefined : (found[1] ?? "");
    };
    const isSet = (key: string): boolean => ["", "1", "yes", "on"].includes(value(key) ?? "no");
    if (isSet("disable")) continue;
    storages.push({
      ...{ id, type, content: value("content") ?? "" },
      isShared: sharedTypes.has(type) || isSet("shared"),
      nodes: (value("nodes") ?? "").split(/[,; ]+/).filter((name) => name !== ""),
    });
  }
  return storages;
}
