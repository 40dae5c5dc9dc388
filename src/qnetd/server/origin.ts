// What counts as one origin of connections: strangers must not get a share of their own for each of their addresses.

/** Groups of an IPv6 address that name its network: within it one machine may choose any address. */
const ipv6Groups = 4;

/** An IPv4 address, or the first 64 bits of an IPv6 one: a single machine may use all the rest. */
export function originOf(address: string): string {
  const [plain = ""] = address.split("%", 1);
  if (!plain.includes(":")) return plain;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain);
  if (mapped !== null) return mapped[1] ?? plain;
  const [head = "", tail] = plain.split("::", 2);
  const groups = head === "" ? [] : head.split(":");
  const rest = tail === undefined || tail === "" ? [] : tail.split(":");
  const zeros = tail === undefined ? 0 : Math.max(0, 2 * ipv6Groups - groups.length - rest.length);
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...rest];
  return `${all
    .slice(0, ipv6Groups)
    .map((group) => group.toLowerCase().replace(/^0+(?=.)/, ""))
    .join(":")}::/64`;
}
