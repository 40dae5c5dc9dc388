// Ring, links and nodes of the cluster as this node sees them; its quorum device; and corosync.conf read anew.
import { effectAnswer } from "../../answers/change.ts";
import * as v from "valibot";
import { deviceAnswer, linkAnswer, nodeAnswer } from "../../answers/ring.ts";
import { deviceSettings } from "../../../node/device/device-settings.ts";
import type { RingSnapshot } from "../../../node/thread/bridge.ts";
import type { Cluster } from "../../../node/thread/cluster.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import { ringCounters, rotationUs } from "../../answers/status.ts";
import * as parameter from "../parameters.ts";
import { ringReport } from "../ring-report.ts";
import { ApiError, type Route, route } from "../route.ts";
import { dryRunParameter, mayAudit, mayModify, settled } from "./v1-rules.ts";

export interface RingRoutesSource {
  readonly mode: "standalone" | "cluster";
  readonly cluster: Cluster;
  readonly monitor: Pick<Monitor, "look" | "lookAnew">;
}

const ringSchema = v.object({
  nodeid: v.number(),
  transport: v.string(),
  id: v.string(),
  state: v.string(),
  synchronising: v.boolean(),
  members: v.array(v.number()),
  counters: ringCounters,
  rotationUs,
  queuedMessages: v.number(),
  configVersions: v.array(v.object({ nodeid: v.number(), version: v.number() })),
});

const reloadSchema = v.object({
  ...effectAnswer.entries,
  configVersion: v.number(),
  /** What is different now. */
  changes: v.array(v.string()),
  /** What waits for this node's next start. */
  needsRestart: v.array(v.string()),
});

/** All of this file. */
export function ringStateRoutes(source: RingRoutesSource): readonly Route[] {
  return [
    ...stateRoutes(source),
    nodesRoute(source),
    deviceRoute(source),
    stopDeviceRoute(source),
    reloadRoute(source),
  ];
}

function stateRoutes({ mode, cluster, monitor }: RingRoutesSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/ring",
      isOurs: true,
      description: "The Totem ring as this node sees it: members, token, messages.",
      permission: mayAudit,
      returns: ringSchema,
      parameters: {},
      handle: async () => {
        if (mode === "standalone") throw noCluster();
        const { nodeid, transport, ring } = ringReport(cluster.settings, await monitor.look());
        const { received, sent, entered, tokenLost, ...numbers } = ring.counters;
        const counters = {
          ...numbers,
          received: { ...received },
          sent: { ...sent },
          entered: { ...entered },
          tokenLost: { ...tokenLost },
        };
        return { nodeid, transport, ...ring, counters };
      },
    }),
    route({
      method: "GET",
      path: "/links",
      isOurs: true,
      description:
        "Every link from this node to every other: state, latency, loss, MTU, last changes, faults.",
      permission: mayAudit,
      returns: v.array(linkAnswer),
      parameters: {},
      handle: async () => linkFacts(cluster, await monitor.look()),
    }),
    route({
      method: "GET",
      path: "/nodes/{node}/links",
      isOurs: true,
      description: "The same as /links of any node of the cluster, which that node answers.",
      permission: mayAudit,
      returns: v.array(linkAnswer),
      parameters: { node: parameter.nodeName() },
      handle: async () => linkFacts(cluster, await monitor.look()),
    }),
  ];
}

export function linkFacts({ settings }: Pick<Cluster, "settings">, snapshot: RingSnapshot) {
  return ringReport(settings, snapshot).links.map(
    ({ recent: { latencyUs, ...recent }, path: { unanswered, ...path }, ...link }) => ({
      ...link,
      recent: latencyUs === undefined ? recent : { ...recent, latencyUs },
      path: unanswered === undefined ? path : { ...path, unanswered },
    }),
  );
}

function nodesRoute({ cluster, monitor }: RingRoutesSource): Route {
  return route({
    method: "GET",
    path: "/nodes",
    isOurs: true,
    description:
      "The nodes of corosync.conf: votes, addresses, who is there and who can be reached.",
    permission: mayAudit,
    returns: v.array(nodeAnswer),
    parameters: {},
    handle: async () => nodeFacts(cluster, await monitor.look()),
  });
}

export function nodeFacts({ settings }: Pick<Cluster, "settings">, snapshot: RingSnapshot) {
  const { member, peerFaults } = snapshot;
  return ringReport(settings, snapshot).nodes.map((node) => ({
    ...node,
    votes: settings.nodes.find(({ nodeid }) => nodeid === node.nodeid)?.votes ?? 0,
    isMember: member.members.includes(node.nodeid),
    configVersion:
      member.configVersions.find(({ nodeid }) => nodeid === node.nodeid)?.version ?? null,
    fault: peerFaults.find(({ nodeid }) => nodeid === node.nodeid)?.reason ?? "",
  }));
}

function deviceRoute({ cluster, monitor }: RingRoutesSource): Route {
  return route({
    method: "GET",
    path: "/device",
    isOurs: true,
    description: "The client of the quorum device on this node: its connection and its vote.",
    permission: mayAudit,
    returns: deviceAnswer,
    parameters: {},
    handle: async () => deviceFacts(cluster, await monitor.look()),
  });
}

export function deviceFacts(
  cluster: Pick<Cluster, "settings">,
  { device }: Pick<RingSnapshot, "device">,
): v.InferInput<typeof deviceAnswer> {
  if (device === undefined) return { device: null, fault: deviceFault(cluster) };
  const { model, host, port, algorithm, tieBreaker, votes, isRegistered, state } = device;
  const { problem, tls, heartbeatMs, lastPoll } = device;
  return {
    device: {
      ...{ model, host, port, algorithm, tieBreaker, votes, isRegistered, state },
      ...{ problem, tls, heartbeatMs },
      vote: device.vote ?? null,
      warning: device.warning ?? "",
      connectedForMs: device.connectedForMs ?? null,
      lastEchoAgoMs: device.lastEchoAgoMs ?? null,
      lastPoll: lastPoll ?? null,
    },
    fault: "",
  };
}

function deviceFault({ settings }: Pick<Cluster, "settings">): string {
  const read = deviceSettings(settings);
  if (read === undefined) return "";
  return read.ok
    ? "its client was stopped here: reload corosync.conf, or restart this node"
    : read.reason;
}

function stopDeviceRoute({ cluster, monitor }: RingRoutesSource): Route {
  return route({
    method: "POST",
    path: "/device/stop",
    isOurs: true,
    description:
      "The quorum device's client of this node gives back its vote and ends, until corosync.conf is reloaded.",
    permission: mayModify,
    returns: effectAnswer,
    parameters: { ...dryRunParameter },
    handle: async ({ parameters }) => {
      const { device, member } = await monitor.lookAnew();
      if (device === undefined) {
        return { isChanged: false, notes: ["no client of a quorum device runs on this node"] };
      }
      const { totalVotes, quorum, deviceVotes } = member.quorum;
      const left = totalVotes - deviceVotes;
      const effect = left >= quorum ? "stay quorate" : "lose quorum";
      const text = `the client of ${device.host} ends here; without its ${deviceVotes} votes ${left} of ${quorum} needed are left: this part would ${effect}`;
      if (parameters["dry-run"] === true) return { isChanged: false, notes: [text] };
      settled(await cluster.stopDevice());
      return { isChanged: true, notes: [text] };
    },
  });
}

function reloadRoute({ mode, cluster, monitor }: RingRoutesSource): Route {
  return route({
    method: "POST",
    path: "/reload",
    isOurs: true,
    description:
      "All nodes read their corosync.conf again; the answer is what that has changed on this one.",
    permission: mayModify,
    returns: reloadSchema,
    parameters: { ...dryRunParameter },
    handle: async ({ parameters }) => {
      if (mode === "standalone") throw noCluster();
      const { configVersion } = cluster.settings;
      if (parameters["dry-run"] === true) {
        const { members } = (await monitor.look()).member;
        const text = `${members.length} nodes would read their corosync.conf again; this one runs with version ${configVersion}`;
        return { isChanged: false, notes: [text], configVersion, changes: [], needsRestart: [] };
      }
      const outcome = await cluster.reload();
      settled(outcome);
      const { changes, needsRestart } = outcome;
      const isChanged = changes.length > 0;
      return {
        isChanged,
        notes: isChanged ? [] : ["nothing is different on this node"],
        ...{ configVersion: outcome.configVersion, changes, needsRestart },
      };
    },
  });
}

function noCluster(): ApiError {
  return new ApiError(424, "this node is standalone: it is in no cluster, and has no ring", {
    code: "standalone",
  });
}
