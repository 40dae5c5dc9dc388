// IP addresses as text, compared by meaning: a source address and a configured one may be written differently. Spec: knet.md §6.
// Pure; never resolves names.

const GROUPS = 8;

/** True for IPv6 text. Only meaningful for something that is an address at all. */
export function isIpv6(address: string): boolean {
  return address.includes(":");
}

/**
 * One spelling for each address: IPv4 dotted, IPv6 as eight hexadecimal groups, an IPv4-mapped IPv6 address as IPv4.
 * A zone ("%eth0") is left out. Undefined when the text is not an IP address.
 */
export function canonicalAddress(text: string): string | undefined {
  if (!isIpv6(text)) return canonicalIpv4(text);
  const zone = text.indexOf("%");
  const groups = ipv6Groups(zone < 0 ? text : text.slice(0, zone));
  if (groups === undefined) return undefined;
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) {
    const [high = 0, low = 0] = groups.slice(6);
    return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
  }
  return groups.map((group) => group.toString(16)).join(":");
}

/** IPv6 as the machine itself prints it (RFC 5952), so that two spellings are one text; anything else as it is, zones included. */
export function shortestAddress(text: string): string {
  const groups = isIpv6(text) ? ipv6Groups(text) : undefined;
  if (groups === undefined) return text;
  const full = groups.map((group) => group.toString(16)).join(":");
  const runs = [...full.matchAll(/\b0(?::0)+\b/g)];
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), "");
  if (longest === "") return full;
  const at = full.search(new RegExp(`\\b${longest}\\b`));
  const [head, tail] = [full.slice(0, at), full.slice(at + longest.length)];
  return `${head.replace(/:$/, "")}::${tail.replace(/^:/, "")}`;
}

function canonicalIpv4(text: string): string | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
  }
  return text;
}

function ipv6Groups(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupList(halves[0] ?? "", halves.length === 1);
  if (head === undefined) return undefined;
  if (halves.length === 1) return head.length === GROUPS ? head : undefined;
  const tail = groupList(halves[1] ?? "", true);
  if (tail === undefined || head.length + tail.length >= GROUPS) return undefined;
  const gap = Array.from({ length: GROUPS - head.length - tail.length }, () => 0);
  return [...head, ...gap, ...tail];
}

/** Dotted IPv4 counts as two groups, at the very end of an address only. */
function groupList(text: string, isEnd: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (part.includes(".")) {
      const ipv4 = isEnd && i === parts.length - 1 ? canonicalIpv4(part) : undefined;
      if (ipv4 === undefined) return undefined;
      const [a = 0, b = 0, c = 0, d = 0] = ipv4.split(".").map(Number);
      groups.push((a << 8) | b, (c << 8) | d);
      continue;
    }
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
    groups.push(Number.parseInt(part, 16));
  }
  return groups;
}
