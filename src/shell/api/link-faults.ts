// What is wrong with a link, as sentences with what to do: down, flapping, losing pings, or too narrow for what this end sends.
import type { LinkSnapshot } from "../../node/link/events.ts";

const flapWindowMs = 10 * 60_000;
/** So often down within the window. */
const flapsMin = 3;
/** Fewer pings say nothing about a share that is lost. */
const pingsMin = 20;
const lostShareMin = 0.05;

/** `peer`: as people call it, "pve2 (node 2)". */
export function linkFaults(link: LinkSnapshot, peer: string): readonly string[] {
  const where = `link ${link.link} to ${peer} at ${link.remoteAddress}`;
  return [
    ...downFault(link, where),
    ...flapFault(link, where),
    ...pathFault(link, where),
    ...lossFault(link, where),
  ];
}

/** For the status, where the ring goes on over other links; "": it is up. It says the same as long as the link is down. */
export function downWarning(link: LinkSnapshot, peer: string): string {
  if (link.connected) return "";
  const [last] = link.changes;
  const why =
    link.upCount === 0 || last === undefined || last.isUp
      ? "check both ends' addresses, the network and its firewall"
      : last.reason;
  return `link ${link.link} to ${peer} at ${link.remoteAddress} is down: ${why}. The ring goes on over another link; \`quorate links\` says more`;
}

function downFault({ connected, changes, upCount }: LinkSnapshot, where: string): string[] {
  if (connected) return [];
  if (upCount === 0) {
    return [
      `${where} has not been up since this node or link began: check that the node runs, that both ends have these addresses, and that nothing filters UDP between them`,
    ];
  }
  const [last] = changes;
  if (last === undefined || last.isUp) return [`${where} is down`];
  return [`${where} is down since ${ageText(last.agoMs)}: ${last.reason}`];
}

/** Up and down in turns: each time the ring may change, and with it the quorum. */
function flapFault({ changes }: LinkSnapshot, where: string): string[] {
  const downs = changes.filter(({ isUp, agoMs }) => !isUp && agoMs <= flapWindowMs);
  const [last] = downs;
  if (last === undefined || downs.length < flapsMin) return [];
  return [
    `${where} is flapping: it went down ${downs.length} times in the last ten minutes, the last time ${ageText(last.agoMs)} ago (${last.reason}). Look at its cable, port and switch, and whether that network is overloaded`,
  ];
}

function pathFault({ connected, path }: LinkSnapshot, where: string): string[] {
  if (!connected) return [];
  if (path.state === "failed") {
    return [
      `${where} answers pings, but never a full-size probe: no data goes over it. Give both ends, and what is between them, the same MTU`,
    ];
  }
  if (path.unanswered === undefined) return [];
  return [
    `${where} never answers packets of ${path.unanswered} bytes, which this machine's interface takes; ${path.mtu} are used. The MTU of the other end, or of something on the way, is smaller than here: make them the same`,
  ];
}

function lossFault({ connected, recent }: LinkSnapshot, where: string): string[] {
  const { pings, lost } = recent;
  if (!connected || pings < pingsMin || lost / pings < lostShareMin) return [];
  return [
    `${where} loses packets: ${lost} of the last ${pings} pings had no answer in time. Look at that network's load, cable and ports`,
  ];
}

/** "5 s", "3 min", "2 h", "4 d". */
export function ageText(ms: number): string {
  const seconds = Math.round(ms / 1000);
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
