// /etc/resolv.conf as the original's API reads and writes it: one search domain, three name servers; what else is in it stays. Pure.
import { isIP } from "node:net";

export interface ResolverSettings {
  readonly search?: string;
  readonly dns1?: string;
  readonly dns2?: string;
  readonly dns3?: string;
}

const searchCharactersMax = 253;

export function resolverSettings(text: string): ResolverSettings {
  const search = [...text.matchAll(/^(?:search|domain)[ \t]+(\S+)/gm)].at(-1)?.[1];
  const [dns1, dns2, dns3] = [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map(([, address = ""]) => address)
    .filter((address) => isIP(address.replace(/%.*$/, "")) !== 0);
  return {
    ...(search === undefined ? {} : { search: search.slice(0, searchCharactersMax) }),
    ...(dns1 === undefined ? {} : { dns1 }),
    ...(dns2 === undefined ? {} : { dns2 }),
    ...(dns3 === undefined ? {} : { dns3 }),
  };
}

/** The text with other settings; a name server that comes twice is written once. */
export function withResolverSettings(text: string, settings: ResolverSettings): string {
  const { search = "", dns1, dns2, dns3 } = settings;
  const servers = new Set([dns1, dns2, dns3].filter((each) => each !== undefined && each !== ""));
  const kept = text
    .split("\n")
    .filter((line) => !/^[ \t]*(?:search|domain|nameserver)[ \t]/.test(line));
  const own = [
    ...(search === "" ? [] : [`search ${search}`]),
    ...[...servers].map((address) => `nameserver ${address}`),
  ];
  return `${[...own, ...kept].join("\n").replace(/\n*$/, "")}\n`;
}
