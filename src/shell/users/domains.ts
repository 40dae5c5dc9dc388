// The realms of domains.cfg: sections "TYPE: NAME" with indented settings. Read only; a byte string. pam and pve are always there. Pure.
import { decodeText } from "./text-code.ts";
import { isRealm } from "./user-id.ts";

export interface Realm {
  /** "pam", "pve", "ldap", "ad", "openid", …; of a later version too. */
  readonly type: string;
  readonly comment: string;
  readonly isDefault: boolean;
  /** Its users need a second factor of this kind; undefined: none is demanded. "unknown": one that cannot be read. */
  readonly secondFactor: "oath" | "yubico" | "unknown" | undefined;
  /** All that the file says, in its order. */
  readonly settings: ReadonlyMap<string, string>;
}

const known: ReadonlyMap<string, Omit<Realm, "settings">> = new Map([
  ["pam", builtin("pam", "Linux PAM standard authentication")],
  ["pve", builtin("pve", "Proxmox VE authentication server")],
]);

function builtin(type: string, comment: string): Omit<Realm, "settings"> {
  return { type, comment, isDefault: false, secondFactor: undefined };
}

/** By name. Never throws. */
export function parseDomains(text: string): ReadonlyMap<string, Realm> {
  const realms = new Map<string, { type: string; settings: Map<string, string> }>();
  let settings: Map<string, string> | undefined;
  for (const line of text.split("\n")) {
    if (/^\s*#/.test(line)) continue;
    const [, type, name] = /^(\S+):\s*(\S+)\s*$/.exec(line) ?? [];
    const [, key, value = ""] = /^\s+(\S+)(?:\s+(.*\S))?\s*$/.exec(line) ?? [];
    if (type !== undefined && name !== undefined) {
      settings = new Map();
      if (isRealm(name)) realms.set(name, { type: type.toLowerCase(), settings });
    } else if (key === undefined) {
      settings = undefined; // An empty line ends a section.
    } else if (settings?.has(key) === false) {
      settings.set(key, value);
    }
  }
  for (const [name, { type }] of known) {
    realms.set(name, { type, settings: realms.get(name)?.settings ?? new Map() });
  }
  // One of them is the default, the first.
  const first = [...realms].find(([, of]) =>
    /^(?:1|on|yes|true)$/.test(of.settings.get("default") ?? ""),
  );
  return new Map(
    [...realms].map(([name, of]) => [
      name,
      {
        ...of,
        comment: decodeText(of.settings.get("comment") ?? "") || (known.get(name)?.comment ?? ""),
        isDefault: first?.[0] === name,
        secondFactor: secondFactorOf(of.settings.get("tfa")),
      },
    ]),
  );
}

/** "type=oath,digits=6" */
function secondFactorOf(setting: string | undefined): Realm["secondFactor"] {
  if (setting === undefined || setting === "") return undefined;
  const type = setting
    .split(",")
    .map((part) => /^\s*type=(\w+)\s*$/.exec(part)?.[1])
    .find((each) => each !== undefined);
  return type === "oath" || type === "yubico" ? type : "unknown";
}
