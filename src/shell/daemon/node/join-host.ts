// The join of this node as its daemon carries it out: ports of the plan, and how it is begun (join/join-plan.ts).
import { randomBytes } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import { type Result, failure, reasonOf, success } from "../../../result.ts";
import { ClusterSide, type Introduction } from "../../join/cluster-side.ts";
import {
  introductionOf,
  type JoinFacts,
  joinPlan,
  type JoinPorts,
  type JoinProgress,
  wishOf,
} from "../../join/join-plan.ts";
import { faultChecks } from "../../join/join-checks.ts";
import type {
  BegunJoin,
  JoinChecksText,
  JoinInput,
  JoinReportText,
} from "../../join/start-routes.ts";
import { entryOf } from "../../join/place-edits.ts";
import { reservationPath, decodeReservation } from "../../join/reservation.ts";
import type { Remote } from "../../remote/remote-answer.ts";
import { RemoteNode, type Session } from "../../remote/remote-node.ts";
import { trustFingerprint } from "../../remote/trust.ts";
import { Changeover } from "../changeover.ts";
import { checkJoin, type JoinReport, lookAtJoin } from "./join-check.ts";
import type { NodeParts } from "./parts.ts";
import { ensureNodeDirectories } from "./tree.ts";

/** The task's UPID and its steps, or why nothing was begun. */
export function startJoin(parts: NodeParts, input: JoinInput): Result<BegunJoin> {
  const possible = mayJoin(parts);
  if (!possible.ok) return possible;
  const known = factsOf(parts, input);
  const ports = joinPorts(parts, (begun, tell) => prepared(parts, input, begun, tell));
  const spec = { type: "clusterjoin", id: "", user: input.user };
  const started = parts.operations.start(spec, joinPlan, ports, known);
  if (!started.ok) return started;
  return success({ upid: started.value, steps: joinPlan.steps.map(({ text }) => text(known)) });
}

/** All that would be looked at, each with what was found; nothing is changed. */
export async function joinChecksOf(
  parts: NodeParts,
  input: JoinInput,
): Promise<Result<JoinChecksText>> {
  const possible = mayJoin(parts);
  if (!possible.ok) return possible;
  const known = factsOf(parts, input);
  const nobody = (): void => undefined;
  const { introduction, password } = input;
  let session: Session | undefined;
  if (password !== undefined) {
    const login = await logIn(introduction, password);
    if (!login.ok) return success({ checks: [...faultChecks(login, login.reason)] });
    session = login.value;
  }
  const asked = session === undefined ? known : { ...known, session: { ...session } };
  const { checks, report } = await lookAtJoin(parts, asked, nobody);
  const isBad = checks.some(({ state }) => state === "bad");
  if (report === undefined || isBad) return success({ checks });
  return success({ checks, report: textOf(report) });
}

function textOf({ facts, effect, notes, before, after }: JoinReport): JoinReportText {
  const { cluster, links } = facts;
  return { cluster, links, effect, notes, before, after };
}

/** What would be done; nothing is changed. */
export async function reportJoin(
  parts: NodeParts,
  input: JoinInput,
): Promise<Result<JoinReportText>> {
  const possible = mayJoin(parts);
  if (!possible.ok) return possible;
  try {
    const report = await prepared(parts, input, factsOf(parts, input), () => undefined);
    return success(textOf(report));
  } catch (error) {
    return failure(reasonOf(error));
  }
}

function mayJoin({ mode, cluster }: NodeParts): Result<undefined> {
  if (mode === "standalone") return success(undefined);
  return failure(
    `this node is a member of the cluster '${cluster.settings.clusterName}' already: leave that one first (quorate leave)`,
  );
}

function factsOf({ cluster }: NodeParts, input: JoinInput): JoinFacts {
  const { introduction, nodeid, votes, links, isForced } = input;
  const { hosts, port, trust, session, token } = introduction;
  return {
    cluster: "",
    hosts: [...hosts],
    ...(port === undefined ? {} : { port }),
    trust: { ...trust },
    ...(session === undefined ? {} : { session: { ...session } }),
    ...(token === undefined ? {} : { token }),
    isOriginal: false,
    node: cluster.settings.name,
    ...(nodeid === undefined ? {} : { nodeid }),
    ...{ votes, isForced },
    links: Object.fromEntries(links),
    secret: randomBytes(16).toString("hex"),
    stamp: Math.floor(Date.now() / 1000),
  };
}

/** Logs in where that is to be done here, then looks. */
async function prepared(
  parts: NodeParts,
  { introduction, password }: JoinInput,
  known: JoinFacts,
  tell: (text: string) => void,
): Promise<JoinReport> {
  const [host = ""] = introduction.hosts;
  tell(`Establishing API connection with host '${host}'`);
  if (password === undefined) return checkJoin(parts, known, tell);
  const session = await loggedIn(introduction, password);
  tell("Login succeeded.");
  return checkJoin(parts, { ...known, session: { ...session } }, tell);
}

async function loggedIn(introduction: Introduction, password: string): Promise<Session> {
  const login = await logIn(introduction, password);
  if (!login.ok) throw new Error(login.reason);
  return login.value;
}

async function logIn(
  { hosts, port, trust }: Introduction,
  password: string,
): Promise<Remote<Session>> {
  const [host = ""] = hosts;
  const fingerprint = new Uint8Array(Buffer.from(trust.fingerprint.replaceAll(":", ""), "hex"));
  const node = new RemoteNode({
    host,
    trust: trustFingerprint(fingerprint),
    ...(port === undefined ? {} : { port }),
  });
  const login = await node.login({ user: "root@pam", password });
  if (!login.ok) return login;
  const { session } = node;
  if (session === undefined) throw new Error("invariant broken: a login gives a session");
  return { ok: true, value: session };
}

/** For a plan that an earlier daemon left. */
export function resumedJoinPorts(parts: NodeParts): JoinPorts {
  return joinPorts(parts, () =>
    Promise.reject(
      new Error("the join was interrupted before anything was changed: begin it again"),
    ),
  );
}

function joinPorts(
  parts: NodeParts,
  check: (known: JoinFacts, tell: (text: string) => void) => Promise<JoinReport>,
): JoinPorts {
  const { options, ending, tree, directoryName } = parts;
  const changeover = new Changeover(options.paths, (text) => parts.log("notice", text, "JOIN"));
  const side = (known: JoinFacts) => new ClusterSide(introductionOf(known), known.isOriginal);
  return {
    check: async (known, tell) => {
      const { facts, effect, notes } = await check(known, tell);
      for (const note of notes) tell(`note: ${note}`);
      tell(effect);
      return facts;
    },
    cluster: {
      reserve: (known) => side(known).reserve(wishOf(known), known.secret),
      cancel: (known) =>
        side(known).cancel(known.node, known.place?.nodeid ?? known.nodeid ?? 1, known.secret),
    },
    changeover: {
      state: async () => changeover.state,
      order: async ({ conf, key, nodeid, stamp }) =>
        changeover.order({
          conf: Buffer.from(conf, "base64").toString("latin1"),
          key: new Uint8Array(Buffer.from(key, "base64")),
          ...{ nodeid, stamp },
        }),
      orderBack: async (reason) => changeover.orderBack(reason),
      settle: async () => changeover.settle(),
      backup: async () => changeover.backup,
    },
    restart: (reason) =>
      new Promise((_, reject) => {
        ending.addEventListener("abort", () => reject(new Error(reason)), { once: true });
        parts.restart(reason);
      }),
    isEnding: async () => ending.aborted,
    progress: async (known) => progressOf(parts, known),
    changed: async (waitMs, signal) => {
      // A cancellation is looked at by who waits.
      await pause(waitMs, undefined, { signal: AbortSignal.any([signal, ending]) }).catch(
        () => undefined,
      );
    },
    finish: async () => {
      const made = await ensureNodeDirectories(tree, directoryName);
      if (!made.ok) throw new Error(made.reason);
    },
    wallMs: async () => Date.now(),
  };
}

function progressOf({ mode, cluster, tree }: NodeParts, known: JoinFacts): JoinProgress {
  const isMember = mode === "cluster";
  const members = cluster.quorum?.members ?? [];
  const isQuorate = isMember && cluster.quorum?.quorate === true;
  const isSynced = isMember && tree.synced.length > 1;
  const conf = tree.read(corosyncConfPath);
  const entry = conf.ok
    ? entryOf(Buffer.from(conf.value).toString("latin1"), known.node)
    : undefined;
  const file = tree.read(reservationPath);
  const reservation = file.ok ? decodeReservation(file.value) : undefined;
  const isListed = entry !== undefined && entry.nodeid === known.place?.nodeid;
  return {
    hasMet: isMember && members.length > 1,
    isQuorate,
    isSynced,
    isConfirmed: isQuorate && isSynced && isListed && reservation?.node !== known.node,
  };
}
