// What is looked at before a join changes anything, each with its remedy (pvecm.md §1.2, §3.5, §6): this machine, the clocks, the links. Pure:
// what was found on the machine and said by the member comes in, sentences go out.
import { isIP } from "node:net";

/** What the member says of its cluster. */
export interface Situation {
  readonly cluster: string;
  /** The member that was asked. */
  readonly node: string;
  readonly nodes: readonly {
    readonly name: string;
    readonly nodeid: number;
    readonly votes: number;
    /** By link number. */
    readonly addresses: Readonly<Record<string, string>>;
  }[];
  readonly links: readonly { readonly number: number; readonly port: number }[];
}

/** What this machine is now. */
export interface MachineFacts {
  readonly node: string;
  /** Paths as they are called on this machine. */
  readonly authkey: { readonly path: string; readonly isThere: boolean };
  readonly conf: { readonly path: string; readonly isThere: boolean };
  /** Guests whose configuration is in its tree: "100", … */
  readonly guests: readonly string[];
  /** Programs that have a ring or a tree of their own: "corosync (pid 812)". */
  readonly others: readonly string[];
  readonly addresses: readonly OwnAddress[];
}

export interface OwnAddress {
  readonly interface: string;
  readonly address: string;
  /** "10.0.0.3/24" */
  readonly cidr: string;
}

export interface Problem {
  /** As Proxmox says it, where it does. */
  readonly text: string;
  readonly remedy: string;
}

/** Clocks: noted from here on, refused from there on (milliseconds). */
export const clockOffsetMs = { note: 500, max: 5000 } as const;

/** What would be lost or be in the way on this machine; `--force` goes on all the same. */
export function machineProblems(facts: MachineFacts): readonly Problem[] {
  const { authkey, conf, guests, others } = facts;
  const found: Problem[] = [];
  const isLeft =
    "it is left from another cluster, or this node is in one: remove it if no cluster needs it";
  if (authkey.isThere) {
    found.push({ text: `authentication key '${authkey.path}' already exists`, remedy: isLeft });
  }
  if (conf.isThere)
    found.push({ text: `cluster config '${conf.path}' already exists`, remedy: isLeft });
  if (guests.length > 0) {
    const some = guests.slice(0, 5).join(", ");
    const which = guests.length > 5 ? `${some} and ${guests.length - 5} more` : some;
    found.push({
      text: "this host already contains virtual guests",
      remedy: `the cluster's tree takes the place of this node's, and the configuration of ${which} stays in the backup only: move them away first, or copy their files back from the backup afterwards (--force)`,
    });
  }
  for (const other of others) {
    found.push({
      text: "corosync is already running, is this node already in a cluster?!",
      remedy: `${other} runs on this machine: stop it, and see that it is not started again`,
    });
  }
  return found;
}

/** `offsetMs`: the member's clock minus ours. */
export function clockProblem(offsetMs: number, member: string): Problem | undefined {
  if (Math.abs(offsetMs) <= clockOffsetMs.max) return undefined;
  return {
    text: `the clock of this machine is ${secondsText(offsetMs)} ${offsetMs > 0 ? "behind" : "ahead of"} that of '${member}'`,
    remedy: "set both clocks (chrony, systemd-timesyncd), then join again",
  };
}

export function clockNote(offsetMs: number, member: string): string | undefined {
  const isNoted =
    Math.abs(offsetMs) > clockOffsetMs.note && Math.abs(offsetMs) <= clockOffsetMs.max;
  return isNoted
    ? `the clocks of this machine and '${member}' differ by ${secondsText(offsetMs)}`
    : undefined;
}

function secondsText(ms: number): string {
  return `${(Math.abs(ms) / 1000).toFixed(1)} s`;
}

export interface LinkChoice {
  readonly links: ReadonlyMap<number, string>;
  /** What was chosen, for the log. */
  readonly notes: readonly string[];
  readonly problems: readonly Problem[];
}

/** Addresses of this node for every link of the cluster: those that were given, else the own one in the members' network. */
export function chooseLinks(
  situation: Situation,
  given: ReadonlyMap<number, string>,
  own: readonly OwnAddress[],
): LinkChoice {
  const links = new Map<number, string>();
  const notes: string[] = [];
  const problems: Problem[] = [];
  for (const [link, address] of given) {
    links.set(link, address);
    if (situation.links.length > 0 && !situation.links.some(({ number }) => number === link)) {
      problems.push({
        text: `corosync: link ${link} specified for new node doesn't exist in cluster config`,
        remedy: `leave --link${link} out (the cluster has link ${listOf(situation.links.map(({ number }) => String(number)))}); the link can be added to the whole cluster afterwards, on any node: quorate link add ${link} NODE=ADDRESS …`,
      });
    }
    const isOwn =
      isIP(address) === 0 ||
      own.some((each) => each.address === address) ||
      address.startsWith("127.");
    if (!isOwn) {
      problems.push({
        text: `link${link}: cannot use IP '${address}', not found on local node!`,
        remedy: `give --link${link} one of ${listOf(own.map((each) => each.address))}`,
      });
    }
  }
  for (const { number } of situation.links) {
    if (given.has(number)) continue;
    const members = situation.nodes.flatMap(({ name, addresses }) => {
      const address = addresses[number];
      return address === undefined ? [] : [{ name, address }];
    });
    // An interface without a network of its own proposes nothing.
    const fitting = own.filter(
      ({ cidr }) => !cidr.endsWith("/0") && members.some(({ address }) => isWithin(address, cidr)),
    );
    const [first] = fitting;
    if (first !== undefined && fitting.length === 1) {
      links.set(number, first.address);
      notes.push(
        `link ${number}: ${first.address} (${first.interface}), in the network of the members`,
      );
      continue;
    }
    const member = members[0];
    const theirs = member === undefined ? "" : ` (${member.name} has ${member.address})`;
    problems.push(
      first === undefined
        ? {
            text: `link ${number} of the cluster needs an address of this node${theirs}, and no interface here is in that network`,
            remedy: `give it with --link${number} ADDRESS; this machine has ${listOf(own.map((each) => each.address))}`,
          }
        : {
            text: `link ${number} of the cluster needs an address of this node${theirs}, and several fit`,
            remedy: `choose with --link${number}: ${listOf(fitting.map((each) => each.address))}`,
          },
    );
  }
  return { links, notes, problems };
}

function listOf(words: readonly string[]): string {
  return words.length === 0 ? "no address" : words.join(", ");
}

/** Is an address in the network of "10.0.0.3/24"? "/0" has all of its family; names are in none. */
export function isWithin(address: string, cidr: string): boolean {
  const [base = "", bits = ""] = cidr.split("/");
  const [a, b] = [addressBits(address), addressBits(base)];
  if (a === undefined || b === undefined || a.length !== b.length) return false;
  return /^\d+$/.test(bits) && a.slice(0, Number(bits)) === b.slice(0, Number(bits));
}

/** As a text of zeros and ones; undefined: no address. */
function addressBits(address: string): string | undefined {
  switch (isIP(address)) {
    case 4:
      return address
        .split(".")
        .map((part) => Number(part).toString(2).padStart(8, "0"))
        .join("");
    case 6:
      return wordsOf(address)
        .map((word) => word.toString(2).padStart(16, "0"))
        .join("");
    default:
      return undefined;
  }
}

function wordsOf(address: string): number[] {
  const text = address.split("%")[0] ?? "";
  const [head = "", tail] = text.split("::");
  const read = (part: string): number[] =>
    part === ""
      ? []
      : part
          .split(":")
          .flatMap((word) => (word.includes(".") ? fourWords(word) : [Number.parseInt(word, 16)]));
  const [before, after] = [read(head), read(tail ?? "")];
  const missing = Math.max(0, 8 - before.length - after.length);
  return [...before, ...Array.from({ length: missing }, () => 0), ...after];
}

function fourWords(address: string): number[] {
  const [a = 0, b = 0, c = 0, d = 0] = address.split(".").map(Number);
  return [a * 256 + b, c * 256 + d];
}

/** What came of the packets of one link. Sizes are of whole packets, bytes. */
export interface ProbeOutcome {
  readonly link: number;
  readonly own: string;
  readonly ownPort: number;
  readonly member: string;
  readonly memberPort: number;
  readonly fullBytes: number;
  /** MTU of both interfaces; undefined: unknown. */
  readonly mtu: { readonly own: number | undefined; readonly member: number | undefined };
  /** "": packets of both sizes came back. */
  readonly result: "whole" | "small only" | "nothing" | "not tried";
  /** Why it was not tried. */
  readonly reason: string;
}

export function probeProblem(outcome: ProbeOutcome): Problem | undefined {
  const { link, own, ownPort, member, memberPort, fullBytes, result, reason } = outcome;
  const way = `between ${own} and ${member}`;
  switch (result) {
    case "whole":
      return undefined;
    case "small only":
      return {
        text: `link ${link}: packets of full size (${fullBytes} bytes) get lost ${way}, small ones do not`,
        remedy: `the MTU of an interface, a switch or a tunnel on the way is smaller than that: set the same one everywhere`,
      };
    case "nothing":
      return {
        text: `link ${link}: no packet comes back ${way} (UDP, from port ${ownPort} to port ${memberPort})`,
        remedy:
          "let UDP ports 5405 to 5412 through every firewall between the nodes, in both directions",
      };
    case "not tried":
      return {
        text: `link ${link}: ${reason}`,
        remedy: `see that nothing else uses UDP port ${ownPort} of ${own}, such as a corosync`,
      };
  }
  return result satisfies never;
}

export function mtuNote({ link, mtu }: ProbeOutcome): string | undefined {
  if (mtu.own === undefined || mtu.member === undefined || mtu.own === mtu.member) return undefined;
  return `link ${link}: the interface here has an MTU of ${mtu.own} bytes, the member's ${mtu.member}: the smaller one counts`;
}
