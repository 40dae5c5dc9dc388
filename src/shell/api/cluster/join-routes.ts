// The routes by which a node joins: Proxmox's POST /cluster/config/nodes/{node} (pvecm.md §1.3, §2.7), and ours, which look before anything is
// changed, take a one-time token in place of a login, and give a place back.
import {
  grantAnswer,
  originalGrantAnswer,
  placeAnswer,
  probeAnswer,
  situationAnswer,
} from "../../answers/join.ts";
import { byteString, textOfByteString } from "../../../bytes.ts";
import type { Files } from "../../../fs/tree/files.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { type ClusterConf, readClusterConf } from "../../conf/cluster-conf.ts";
import { type PlaceRequest, quorumEffect, withPlace } from "../../join/place-edits.ts";
import { type PlaceAnswer, type PlaceAsker, type Places, secretHash } from "../../join/places.ts";
import { type ProbeServer } from "../../join/probe-server.ts";
import * as parameter from "../parameters.ts";
import { anybody, ApiError, type Caller, onlyRoot, type Route, route } from "../route.ts";

export interface JoinSource {
  readonly files: Files;
  readonly places: Places;
  readonly probes: ProbeServer;
  /** Of this node. */
  readonly nodeName: string;
  /** Of this program. */
  readonly version: string;
  /** UDP port of a link, as configured. */
  readonly linkPort: (link: number) => number;
  /** Resolves when the reservation of now has ended, or after `waitMs`. */
  readonly untilFree: (waitMs: number) => Promise<void>;
  readonly wallMs: () => number;
}

/** How long an original's joiner, which asks only once, is kept waiting while another node is joining; it gives up after 60 s. */
const queueMsMax = 25_000;

/** Of every call that names addresses of a node. */
export const linkParameters = {
  link0: parameter.optional(parameter.text({ max: 300 })),
  link1: parameter.optional(parameter.text({ max: 300 })),
  link2: parameter.optional(parameter.text({ max: 300 })),
  link3: parameter.optional(parameter.text({ max: 300 })),
  link4: parameter.optional(parameter.text({ max: 300 })),
  link5: parameter.optional(parameter.text({ max: 300 })),
  link6: parameter.optional(parameter.text({ max: 300 })),
  link7: parameter.optional(parameter.text({ max: 300 })),
};
const placeParameters = {
  ...linkParameters,
  node: parameter.nodeName(),
  nodeid: parameter.optional(parameter.integer({ min: 1 })),
  votes: parameter.optional(parameter.integer({ min: 0 })),
  force: parameter.optional(parameter.boolean()),
  new_node_ip: parameter.optional(
    parameter.formatted(
      64,
      /^[0-9A-Fa-f.:]+$/,
      "invalid format - value does not look like a valid IP address",
    ),
  ),
  apiversion: parameter.optional(parameter.integer()),
};
type PlaceParameters = parameter.ParametersOf<typeof placeParameters>;
type LinkParameters = parameter.ParametersOf<typeof linkParameters>;

const hex = (bytes: number) =>
  parameter.formatted(
    bytes * 2,
    new RegExp(`^[0-9a-f]{${bytes * 2}}$`),
    "invalid format - not hex",
  );
const secret = hex(16);
const optionalToken = parameter.optional(hex(16));
const givenPlace = { node: parameter.nodeName(), nodeid: parameter.integer({ min: 1 }), secret };

/** All of this file. */
export function joinRoutes(source: JoinSource): readonly Route[] {
  return [
    originalRoute(source),
    ...[true, false].flatMap((isByToken) => ownRoutes(source, isByToken)),
    ...placeRoutes(source),
  ];
}

function originalRoute(source: JoinSource): Route {
  return route({
    method: "POST",
    path: "/cluster/config/nodes/{node}",
    description: "Adds a node: the joining node calls it, and gets corosync.conf and key.",
    permission: onlyRoot,
    returns: originalGrantAnswer,
    parameters: placeParameters,
    handle: async ({ parameters, caller }) => {
      clusterOf(source.files);
      const request = placeRequest(parameters);
      const asker = { by: caller.user, token: undefined, secret: undefined };
      const deadline = source.wallMs() + queueMsMax;
      for (;;) {
        const answer = await source.places.reserve(request, asker);
        const leftMs = deadline - source.wallMs();
        if (answer.kind === "queued" && leftMs > 0) {
          await source.untilFree(leftMs);
          continue;
        }
        const { conf, key, notes } = granted(answer);
        return { corosync_authkey: byteString(key), corosync_conf: textOf(conf), warnings: notes };
      }
    },
  });
}

/** Each of ours twice: with a login as root, and with a one-time token instead. */
function ownRoutes(source: JoinSource, isByToken: boolean): readonly Route[] {
  const { files, places, probes } = source;
  const base = isByToken ? "/join/token" : "/join";
  const permission = isByToken ? anybody : onlyRoot;
  const shared = { isOurs: true, permission } as const;
  return [
    route({
      ...shared,
      method: "POST",
      path: `${base}/check`,
      description: "What a node must know and do before it joins; nothing is changed.",
      returns: situationAnswer,
      parameters: { ...placeParameters, token: optionalToken },
      handle: ({ parameters, caller }) => {
        admitted(source, isByToken, parameters, caller);
        return situation(source, parameters);
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: `${base}/probe`,
      description:
        "Opens a socket a link for some seconds, which sends back what the joining node sends.",
      returns: probeAnswer,
      parameters: { ...linkParameters, node: parameter.nodeName(), token: optionalToken },
      handle: async ({ parameters, caller }) => {
        admitted(source, isByToken, parameters, caller);
        clusterOf(files);
        return probes.open(linksOf(parameters));
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: `${base}/reserve`,
      description:
        "Makes a place without a vote for the joining node; it is removed unless the node comes.",
      returns: grantAnswer,
      parameters: { ...placeParameters, token: optionalToken, secret },
      handle: async ({ parameters, caller }) => {
        const asker = admitted(source, isByToken, parameters, caller);
        clusterOf(files);
        const own = secretHash(bytesOfHex(parameters.secret));
        const answer = await places.reserve(placeRequest(parameters), { ...asker, secret: own });
        const { reservation, conf, key, notes } = granted(answer);
        return {
          conf: Buffer.from(conf, "latin1").toString("base64"),
          key: Buffer.from(key).toString("base64"),
          nodeid: reservation.nodeid,
          leftS: reservation.endsAt - reservation.reservedAt,
          notes,
        };
      },
    }),
  ];
}

/** What a joining node must know; with addresses also what would become of corosync.conf, or why it cannot be. */
async function situation(source: JoinSource, parameters: PlaceParameters) {
  const { files, places, nodeName, version, linkPort, wallMs } = source;
  const begunMs = wallMs();
  const { text, cluster } = clusterOf(files);
  const request = placeRequest(parameters);
  const hasLinks = request.links.size > 0 || request.fallbackAddress !== undefined;
  const running = places.runningFault(request, text);
  const resolved = await places.resolved();
  const looked =
    running === "" ? withPlace(text, request, resolved) : ({ ok: false, reason: running } as const);
  const place = hasLinks ? looked : undefined;
  return {
    cluster: cluster.clusterName,
    node: nodeName,
    version,
    // The joiner takes it for the middle of its call, which names may have made long.
    wallMs: (begunMs + wallMs()) / 2,
    nodes: cluster.nodes.map(({ name, nodeid, votes, addresses }) => ({
      ...{ name, nodeid, votes },
      addresses: Object.fromEntries(addresses),
    })),
    links: cluster.links.map(({ number }) => ({ number, port: linkPort(number) })),
    effect: quorumEffect(cluster, request.node, request.votes),
    ...(place === undefined
      ? {}
      : place.ok
        ? { before: textOf(text), after: textOf(place.value.text), notes: place.value.notes }
        : { fault: place.reason, errors: place.errors ?? {} }),
  };
}

/** For who has a place: its secret is the permission. */
function placeRoutes({ files, places }: JoinSource): readonly Route[] {
  const shared = { isOurs: true, permission: anybody, parameters: givenPlace } as const;
  return [
    route({
      ...shared,
      method: "POST",
      path: "/join/state",
      description:
        "What became of a joining node's place, with corosync.conf while it waits for the node.",
      returns: placeAnswer,
      handle: ({ parameters }) => {
        clusterOf(files);
        const { node, nodeid } = parameters;
        const state = places.state(node, nodeid, secretHash(bytesOfHex(parameters.secret)));
        if (state.kind !== "reserved") return { state: state.kind };
        return { state: state.kind, conf: Buffer.from(state.conf, "latin1").toString("base64") };
      },
    }),
    route({
      ...shared,
      method: "POST",
      path: "/join/cancel",
      description: "Gives a joining node's place back, unless the node is a member already.",
      returns: placeAnswer,
      handle: async ({ parameters }) => {
        clusterOf(files);
        const { node, nodeid } = parameters;
        const hash = secretHash(bytesOfHex(parameters.secret));
        const cancelled = await places.cancel(node, nodeid, hash);
        if (!cancelled.ok) throw new ApiError(503, cancelled.reason, { code: "notNow" });
        return { state: cancelled.value.kind };
      },
    }),
  ];
}

function clusterOf(files: Files): { readonly text: string; readonly cluster: ClusterConf } {
  const read = files.read(corosyncConfPath);
  if (!read.ok) {
    throw new ApiError(424, "node is not in a cluster, no node can join it!", {
      code: "standalone",
      hint: "make a cluster on it first: quorate create NAME",
    });
  }
  const text = Buffer.from(read.value).toString("latin1");
  const cluster = readClusterConf(text);
  if (!cluster.ok) throw new ApiError(500, cluster.reason);
  return { text, cluster: cluster.value };
}

/** Who lets the node in; throws 401 with the sentence for its terminal. */
function admitted(
  { places }: JoinSource,
  isByToken: boolean,
  parameters: { readonly token?: string | undefined; readonly node: string },
  caller: Caller,
): Omit<PlaceAsker, "secret"> {
  if (!isByToken) return { by: caller.user, token: undefined };
  const hash = secretHash(bytesOfHex(parameters.token ?? ""));
  const record = places.admitted(hash, parameters.node);
  if (!record.ok) throw new ApiError(401, record.reason, { code: "token" });
  return { by: record.value.by, token: hash };
}

function granted(answer: PlaceAnswer): PlaceAnswer & { readonly kind: "reserved" } {
  switch (answer.kind) {
    case "reserved":
      return answer;
    case "queued":
      throw new ApiError(503, answer.reason, { code: "queued", hint: "ask again in some seconds" });
    case "refused":
      throw new ApiError(
        500,
        answer.reason,
        answer.errors === undefined ? {} : { errors: answer.errors },
      );
  }
  return answer satisfies never;
}

function placeRequest(parameters: PlaceParameters): PlaceRequest {
  const { node, nodeid, votes = 1, force = false, new_node_ip: own, apiversion = 0 } = parameters;
  const links = new Map(
    Object.entries(linksOf(parameters)).map(([link, text]) => [Number(link), text]),
  );
  return {
    ...{ node, nodeid, votes, links },
    fallbackAddress: own,
    isForced: force,
    apiVersion: apiversion,
  };
}

/** Addresses by link number; their priorities count at creation only (pvecm.md §1.0). */
export function linksOf(parameters: LinkParameters): Readonly<Record<string, string>> {
  const { link0, link1, link2, link3, link4, link5, link6, link7 } = parameters;
  const given = [link0, link1, link2, link3, link4, link5, link6, link7];
  return Object.fromEntries(
    given.flatMap((text, link) =>
      text === undefined ? [] : [[String(link), linkAddress(text, link)]],
    ),
  );
}

/** "[address=]ADDRESS[,priority=N]" */
function linkAddress(text: string, link: number): string {
  const words = text.split(",");
  const address = words
    .map((word) => /^(?:address=)?([^=]+)$/.exec(word)?.[1])
    .find((each) => each !== undefined);
  const isKnown = words.every((word) => /^(?:(?:address=)?[^=]+|priority=\d{1,3})$/.test(word));
  if (address !== undefined && isKnown && /^[A-Za-z0-9:][A-Za-z0-9.:-]{0,252}$/.test(address))
    return address;
  throw new ApiError(400, "Parameter verification failed.", {
    errors: { [`link${link}`]: "invalid format - value does not look like a valid address" },
  });
}

function bytesOfHex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}

function textOf(conf: string): string {
  return textOfByteString(conf);
}
