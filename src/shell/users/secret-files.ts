// The two files of secrets beside user.cfg (pvecm.md §4.3): priv/token.cfg, a line "USER!NAME UUID" for each token, and priv/shadow.cfg, a line
// "NAME:HASH:" for each user of the realm pve. Byte strings; lines that are not understood are kept. Pure.
import { trimmed } from "./text-code.ts";
import { parseTokenId } from "./user-id.ts";

interface SecretFile {
  readonly line: RegExp;
  readonly isName: (text: string) => boolean;
  readonly written: (name: string, secret: string) => string;
}

const kinds = {
  tokens: {
    line: /^(\S+) (\S+)$/,
    isName: (text: string) => parseTokenId(text) !== undefined,
    written: (name: string, secret: string) => `${name} ${secret}`,
  },
  passwords: {
    line: /^([^\s:]+):([^\s:]+):$/,
    isName: () => true,
    written: (name: string, secret: string) => `${name}:${secret}:`,
  },
} satisfies Record<string, SecretFile>;

export type SecretKind = keyof typeof kinds;

/** By whole token id, or by name without realm. The last line of a name counts, as at the original's. */
export function parseSecrets(kind: SecretKind, text: string): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>();
  for (const line of linesOf(text)) {
    const [, name, secret] = matched(kind, line);
    if (name !== undefined && secret !== undefined) secrets.set(name, secret);
  }
  return secrets;
}

/** The file with `secret` for `name`; undefined: with none, for it and every name that `alsoWithout` tells. */
export function withSecret(
  kind: SecretKind,
  text: string,
  { name, secret }: { readonly name: string; readonly secret: string | undefined },
  alsoWithout: (name: string) => boolean = () => false,
): string {
  const lines = linesOf(text).filter((line) => {
    const [, of] = matched(kind, line);
    return of === undefined || (of !== name && !alsoWithout(of));
  });
  const added = secret === undefined ? [] : [kinds[kind].written(name, secret)];
  return [...lines, ...added]
    .toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    .map((line) => `${line}\n`)
    .join("");
}

function matched(kind: SecretKind, line: string): readonly (string | undefined)[] {
  const { line: pattern, isName } = kinds[kind];
  const match = pattern.exec(line);
  return match !== null && isName(match[1] ?? "") ? match : [];
}

function linesOf(text: string): readonly string[] {
  return text
    .split("\n")
    .map(trimmed)
    .filter((line) => line !== "");
}
