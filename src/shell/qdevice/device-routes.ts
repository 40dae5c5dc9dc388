// The routes that give a cluster a quorum device, take it away, and try it: by the API what `quorate qdevice` does on a terminal. Each is planned first,
// answers the plan with `dry-run`, else starts a task and answers its UPID.
import * as v from "valibot";
import { decodeToken, isAddress } from "../../qnetd/enrol/enrolment-token.ts";
import { type Result, success } from "../../result.ts";
import { type ChangeAnswer, changeAnswer } from "../answers/change.ts";
import { deviceChecks } from "../answers/device.ts";
import { deviceAnswer } from "../answers/ring.ts";
import type { NodeClient } from "../api/client.ts";
import * as parameter from "../api/parameters.ts";
import { ApiError, onlyRoot, type Route, route } from "../api/route.ts";
import { dryRunParameter, mayAudit, mayModify } from "../api/v1/v1-rules.ts";
import { doneAlready, refusing, started } from "../change/change-routes.ts";
import { CommandFailure } from "../exit.ts";
import { type DryRun, dryRun, dryRunText } from "../operation/dry-run.ts";
import type { Plan } from "../operation/plan.ts";
import { checkDevice, type Device } from "./device-check.ts";
import { identityOfPkcs12, treeIdentity } from "./device-identity.ts";
import { deviceRemovalPlan, type DeviceSetupFacts, deviceSetupPlan } from "./device-plan.ts";
import { removalPreview, setupPreview } from "./device-preview.ts";
import {
  clusterState,
  type ClusterState,
  removalObstacles,
  sectionFor,
  setupObstacles,
  votesMsMax,
} from "./device-setup.ts";
import { obstacleText, serverHint } from "./device-text.ts";
import { storedFiles } from "./device-tree.ts";
import type { knock } from "./enrol.ts";
import { deviceInvitedPlan, type InvitedPorts } from "./invited-plan.ts";

const portDefault = 5403;
const tokenCharactersMax = 8192;

export interface DeviceRoutesSource {
  /** Of this node. */
  readonly client: Pick<NodeClient, "status" | "read">;
  /** The task's UPID, or why it cannot begin. */
  readonly start: <Facts>(
    plan: Plan<Facts, InvitedPorts>,
    facts: Facts,
    what: { readonly id: "setup" | "remove"; readonly user: string },
  ) => Result<string>;
  readonly knock: typeof knock;
  /** This node's client of the device, as `GET /device` has it. */
  readonly device: () => Promise<v.InferInput<typeof deviceAnswer>>;
  /** Unix milliseconds. */
  readonly wallMs: () => number;
}

/** All of this file. */
export function deviceRoutes(source: DeviceRoutesSource): readonly Route[] {
  return [setupRoute(source), removalRoute(source), stateRoute(source), checkRoute(source)];
}

function setupRoute(source: DeviceRoutesSource): Route {
  return route({
    method: "POST",
    path: "/device",
    isOurs: true,
    description:
      "Gives the cluster the vote of a vote server: by the token of its invitation, or by the address (host) of one without TLS.",
    permission: onlyRoot,
    needsQuorum: true,
    returns: changeAnswer,
    parameters: {
      token: parameter.optional(parameter.text({ min: 1, max: tokenCharactersMax })),
      host: parameter.optional(
        parameter.checkedText(253, isAddress, "invalid format - not a name or an address"),
      ),
      port: parameter.optional(parameter.integer({ min: 1, max: 65_535 })),
      force: parameter.optional(parameter.boolean()),
      ...dryRunParameter,
    },
    handle: async ({ parameters, caller: { user } }) => {
      const { token, host, port, force = false } = parameters;
      const isDry = parameters["dry-run"] === true;
      const place = placeOf({ token, host, port });
      const state = await refusing(stateFor(source, (now) => setupObstacles(now, force), "setup"));
      const setup = setupFactsOf(state, place);
      const preview = await refusing(setupPreview(source.client, setup, state.text));
      if (place.kind === "address") {
        const notes = [votesNote(state, setup), ...plainNotes];
        if (isDry) return shown(preview, notes);
        const upid = started(source.start(deviceSetupPlan, setup, { id: "setup", user }));
        return { upid, ...shown(preview, notes) };
      }
      const facts = { token: place.text, setup };
      const whole = { ...dryRun(deviceInvitedPlan, facts), changes: preview.changes };
      const notes = [votesNote(state, setup), ...(isDry ? await met(source, place) : [])];
      if (isDry) return shown(whole, notes);
      const upid = started(source.start(deviceInvitedPlan, facts, { id: "setup", user }));
      return { upid, ...shown(whole, notes) };
    },
  });
}

const plainNotes = [
  "Without TLS whoever is between the nodes and the vote server can read and change votes.",
];

type Place =
  | { readonly kind: "address"; readonly host: string; readonly port: number }
  | {
      readonly kind: "invitation";
      readonly text: string;
      readonly token: Extract<ReturnType<typeof decodeToken>, { readonly ok: true }>["value"];
      readonly port: number;
    };

function placeOf(given: {
  readonly token: string | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
}): Place {
  const { token: text, host, port } = given;
  if ((text === undefined) === (host === undefined)) {
    throw new ApiError(400, "give either the token of an invitation, or the host of a vote server");
  }
  if (text === undefined) return { kind: "address", host: host ?? "", port: port ?? portDefault };
  const token = decodeToken(text);
  if (!token.ok) throw wrongToken(token.reason);
  // A request for another port would not be the invitation's.
  if (port !== undefined && port !== token.value.port) {
    throw new ApiError(400, "Parameter verification failed.", {
      errors: { port: `the invitation is for port ${token.value.port}` },
    });
  }
  return { kind: "invitation", text, token: token.value, port: token.value.port };
}

function wrongToken(reason: string): ApiError {
  return new ApiError(400, "Parameter verification failed.", { errors: { token: reason } });
}

function setupFactsOf({ facts }: ClusterState, place: Place): DeviceSetupFacts {
  const { clusterName: cluster, nodes } = facts;
  if (place.kind === "invitation" && place.token.cluster !== cluster) {
    throw wrongToken(
      `the invitation is for the cluster "${place.token.cluster}", this is "${cluster}": on the vote server, quorate qnetd invite ${cluster}`,
    );
  }
  const { port } = place;
  const host = place.kind === "address" ? place.host : (place.token.addresses[0] ?? "");
  const tls = place.kind === "address" ? "off" : "required";
  const { votes, ...device } = sectionFor(nodes.length, { host, port, tls });
  const section = votes === undefined ? device : { ...device, votes };
  return { cluster, device: section, waitMs: votesMsMax };
}

/** What the server of an invitation says to a knock: for a dry run, since it is one of the few attempts that a server takes. */
async function met({ knock: ask, wallMs }: DeviceRoutesSource, place: Place): Promise<string[]> {
  if (place.kind !== "invitation") return [];
  const { expiresAt, port } = place.token;
  if (expiresAt * 1000 <= wallMs()) {
    const at = new Date(expiresAt * 1000).toISOString();
    throw wrongToken(
      `the invitation expired at ${at}, by the clock of this node: make another on the vote server (quorate qnetd invite ${place.token.cluster})`,
    );
  }
  const found = await ask(place.token);
  if (!found.ok) throw wrongToken(found.reason);
  return [`The vote server of the invitation answers at ${found.value} port ${port}.`];
}

async function stateFor(
  { client }: DeviceRoutesSource,
  obstaclesOf: (state: ClusterState) => ReturnType<typeof setupObstacles>,
  verb: "setup" | "remove",
): Promise<ClusterState> {
  const state = await clusterState(client);
  const texts = obstaclesOf(state).map((each) => obstacleText(each, verb));
  if (texts.length > 0) throw new CommandFailure(texts.join("; "));
  return state;
}

/** Of quorum, once the device votes. */
function votesNote({ facts }: ClusterState, { device }: DeviceSetupFacts): string {
  const ofNodes = facts.nodes.reduce((sum, { votes }) => sum + votes, 0);
  const ofDevice = device.votes ?? ofNodes - 1;
  const all = ofNodes + ofDevice;
  const needed = Math.floor(all / 2) + 1;
  return `Then the cluster has ${all} votes, ${ofDevice} of them the arbiter's; ${needed} are needed instead of ${Math.floor(ofNodes / 2) + 1} of ${ofNodes}.`;
}

function shown(run: DryRun, notes: readonly string[]): ChangeAnswer {
  return { isDone: false, plan: dryRunText(run), ...run, notes };
}

function removalRoute({ client, start }: DeviceRoutesSource): Route {
  return route({
    method: "DELETE",
    path: "/device",
    isOurs: true,
    description: "Takes the quorum device out of the cluster's configuration.",
    permission: onlyRoot,
    needsQuorum: true,
    returns: changeAnswer,
    parameters: { ...dryRunParameter },
    handle: async ({ parameters, caller: { user } }) => {
      const state = await refusing(clusterState(client));
      const obstacles = removalObstacles(state);
      if (obstacles.some(({ kind }) => kind === "notConfigured")) {
        const note = `"${state.facts.clusterName}" has no quorum device: it is so already.`;
        return doneAlready([note]);
      }
      const [first] = obstacles.map((each) => obstacleText(each, "remove"));
      if (first !== undefined) throw new ApiError(409, first, { code: "obstacle" });
      const preview = await refusing(removalPreview(client, state.text));
      const notes = [withoutNote(state), serverHint(state.status).trim()];
      const answer = shown(
        preview,
        notes.filter((each) => each !== ""),
      );
      if (parameters["dry-run"] === true) return answer;
      return { upid: started(start(deviceRemovalPlan, {}, { id: "remove", user })), ...answer };
    },
  });
}

function withoutNote({ status, facts }: ClusterState): string {
  const here = status.quorum.voters
    .filter(({ state, nodeid }) => state === "member" && nodeid !== 0)
    .reduce((sum, voter) => sum + voter.votes, 0);
  const votes = facts.nodes.reduce((sum, each) => sum + each.votes, 0);
  return `Then the nodes have ${votes} vote${votes === 1 ? "" : "s"}, ${Math.floor(votes / 2) + 1} of them needed; ${here} are here.`;
}

function stateRoute({ device }: DeviceRoutesSource): Route {
  return route({
    method: "GET",
    path: "/nodes/{node}/device",
    isOurs: true,
    description: "The same as /device of any node of the cluster, which that node answers.",
    permission: mayAudit,
    returns: deviceAnswer,
    parameters: { node: parameter.nodeName() },
    handle: device,
  });
}

function checkRoute({ client, device, wallMs }: DeviceRoutesSource): Route {
  return route({
    method: "POST",
    path: "/nodes/{node}/device/check",
    isOurs: true,
    description:
      "Tries the quorum device from that node: is its server reached, is it the right one, has the node its vote. Nothing is changed.",
    permission: mayModify,
    returns: deviceChecks,
    parameters: { node: parameter.nodeName() },
    handle: async () => {
      const { device: known, fault } = await device();
      if (known === null) {
        const reason = fault === "" ? "no quorum device is configured" : fault;
        throw new ApiError(424, reason, { code: "noDevice" });
      }
      const { cluster } = await refusing(client.status());
      const identity = await identityOf(client);
      return checkDevice({
        cluster: cluster.name,
        device: known satisfies Device,
        identity,
        wallMs,
      });
    },
  });
}

async function identityOf(client: DeviceRoutesSource["client"]) {
  const { identity } = await refusing(storedFiles(client));
  if (identity === undefined) return success(undefined);
  const name = `/etc/pve/${treeIdentity}`;
  return identityOfPkcs12(identity, { name, password: "", authority: undefined });
}
