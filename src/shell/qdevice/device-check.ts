// A quorum device tried from one node: is its server reached, is it a vote server, is it the one of our authority, and does this node have its vote.
// Nothing is asked for, and no vote changes. The protocol (qnetd.md §1.4) tells no version of the program.
import type { DeviceCheck, DeviceChecks } from "../answers/device.ts";
import type { Overview } from "../answers/ring.ts";
import type { Result } from "../../result.ts";
import type { ClusterIdentity } from "./device-identity.ts";
import { type Probe, type ProbeSight, probeVoteServer } from "./probe.ts";

export type Device = NonNullable<Overview["device"]>;

export interface DeviceCheckSource {
  readonly cluster: string;
  /** As this node's client has it. */
  readonly device: Device;
  /** Of the tree; undefined: there is none. A failure says why it cannot be read. */
  readonly identity: Result<ClusterIdentity | undefined>;
  /** Undefined: a real one. */
  readonly probe?: (
    probe: Probe,
    see: (sight: ProbeSight) => void,
  ) => Promise<Result<{ readonly tls: boolean }>>;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
}

const certificateDaysMin = 30;
const dayMs = 86_400_000;
const skipped = { state: "skipped", text: "" } as const;

export async function checkDevice(source: DeviceCheckSource): Promise<DeviceChecks> {
  const { cluster, device, identity, probe = probeVoteServer, wallMs } = source;
  const { host, port } = device;
  const seen = new Map<ProbeSight["kind"], { readonly sight: ProbeSight; readonly atMs: number }>();
  const beganMs = wallMs();
  const asked: Probe = {
    ...{ host, port, cluster, tls: tlsOf(device) },
    identity: identity.ok ? identity.value : undefined,
  };
  const outcome = await probe(asked, (sight) =>
    seen.set(sight.kind, { sight, atMs: wallMs() - beganMs }),
  );
  const reach = seen.get("connected");
  // Without certificates it could only say that there are none.
  const reason = outcome.ok
    ? ""
    : reach !== undefined && !identity.ok
      ? identity.reason
      : outcome.reason;
  const server = seen.get("answered");
  const secured = seen.get("secured");
  const bad = { state: "bad", text: reason } as const;
  const checks: DeviceCheck[] = [];
  checks.push({ name: "reach", ...(reach === undefined ? bad : reachOf(reach)) });
  checks.push({
    name: "server",
    ...(server !== undefined ? serverOf(server.sight) : reach === undefined ? skipped : bad),
  });
  checks.push({
    name: "tls",
    ...(secured !== undefined
      ? tlsFacts(secured.sight, wallMs())
      : server === undefined
        ? skipped
        : outcome.ok
          ? ({ state: "warn", text: plainText(device) } as const)
          : bad),
  });
  checks.push({ name: "vote", ...voteOf(device) });
  return { where: `${host} port ${port}`, checks };
}

function reachOf({ sight, atMs }: { readonly sight: ProbeSight; readonly atMs: number }) {
  const address = sight.kind === "connected" ? sight.address : "";
  return { state: "good", text: `${address} answers after ${Math.max(1, atMs)} ms` } as const;
}

function serverOf(sight: ProbeSight) {
  const tls = sight.kind === "answered" ? sight.tls : "unsupported";
  const how = {
    unsupported: "it has no TLS",
    supported: "it offers TLS",
    required: "it demands TLS",
  };
  return { state: "good", text: `it is a vote server; ${how[tls]}` } as const;
}

function tlsFacts(sight: ProbeSight, nowMs: number): Pick<DeviceCheck, "state" | "text"> {
  if (sight.kind !== "secured") return skipped;
  const { protocol, goodUntil, fingerprint } = sight;
  const until = new Date(goodUntil).toISOString().slice(0, 10);
  const facts = `${protocol}; its certificate is of this cluster's authority, good until ${until}, SHA-256 ${fingerprint}`;
  const isGood = goodUntil - nowMs > certificateDaysMin * dayMs;
  return isGood
    ? { state: "good", text: facts }
    : { state: "warn", text: `${facts}. Renew it there: quorate qnetd certificates renew` };
}

function plainText({ tls }: Device): string {
  return tls.mode === "off"
    ? "it is not used (quorum.device.net.tls is off): who is between can read and change votes"
    : "the server has none, and this node would go on without it";
}

/** What the client of this node has, which is not asked for by the probe. */
function voteOf(device: Device): Pick<DeviceCheck, "state" | "text"> {
  const { state, problem, vote, lastEchoAgoMs } = device;
  const heard = lastEchoAgoMs === null ? "" : `; heard ${(lastEchoAgoMs / 1000).toFixed(1)} s ago`;
  if (problem !== "") return { state: "bad", text: problem };
  if (state !== "Connected") {
    return { state: "bad", text: `the client of this node is not connected: ${state}` };
  }
  switch (vote) {
    case "ack":
      return { state: "good", text: `the server gives this node its vote${heard}` };
    case "nack":
      return {
        state: "warn",
        text: `the server gives its vote to another part${heard}: \`quorate qnetd status\` there says why`,
      };
    case null:
      return { state: "warn", text: `the server's answer is awaited${heard}` };
  }
  return vote satisfies never;
}

function tlsOf({ tls: { mode } }: Device): Probe["tls"] {
  return mode === "off" || mode === "on" ? mode : "required";
}
