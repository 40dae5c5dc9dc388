// How a node changes the ring's key (shell/key): its ports, its route, its plan for what an earlier daemon left.
import { readFileSync } from "node:fs";
import { byteString, bytesOf } from "../../../bytes.ts";
import { parseConf, entryAt } from "../../../conf.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import type { Route } from "../../api/route.ts";
import { CommandFailure } from "../../exit.ts";
import { reservationPath } from "../../join/reservation.ts";
import { encodeNextKey, nextKeyPath } from "../../key/key-record.ts";
import { rotateKeyPlan, type RotatePorts } from "../../key/rotate-plan.ts";
import { rotateRoute } from "../../key/rotate-route.ts";
import { type BoundPlan, bindPlan } from "../../operation/plan.ts";
import { changePorts } from "../node/change-ports.ts";
import { superuser, whenWritable } from "../node/changes.ts";
import type { NodeParts } from "../node/parts.ts";
import { ownKeys, toldKeys } from "./key-keeper.ts";

const keyBytes = 256;
/** For who offers it: longer than its plan. */
const offerS = 300;

export function keyRoutes(parts: NodeParts): readonly Route[] {
  const { tree, operations } = parts;
  return [
    rotateRoute({
      ports: (user) => clusterPorts(parts, user),
      surroundings: () => ({
        oldKey: presentKey(parts),
        isJoining: tree.stat(reservationPath).ok,
        told: toldKeys(parts),
      }),
      start: (facts, user) =>
        operations.start(
          { type: "clusterkey", id: "", user },
          rotateKeyPlan,
          rotatePorts(parts, user),
          facts,
        ),
    }),
  ];
}

export function keyPlans(parts: NodeParts): readonly BoundPlan[] {
  return [whenWritable(bindPlan(rotateKeyPlan, rotatePorts(parts, superuser)), parts)];
}

function clusterPorts({ tree, cluster }: NodeParts, user: string) {
  return changePorts({ tree, cluster, user, confProblem: async () => "" });
}

/** base64; undefined: the ring does not use the key in its usual place. */
function presentKey(parts: NodeParts): string | undefined {
  const { tree, options } = parts;
  const read = tree.read(corosyncConfPath);
  const conf = read.ok ? parseConf(byteString(read.value)) : undefined;
  const isElsewhere =
    conf?.ok !== true ||
    ["key", "keyfile"].some((name) => entryAt(conf.value, ["totem", name]) !== undefined);
  if (isElsewhere || ownKeys(parts) === undefined) return undefined;
  return readFileSync(options.paths.authkey).toString("base64");
}

function rotatePorts(parts: NodeParts, user: string): RotatePorts {
  const { tree, cluster } = parts;
  return {
    cluster: clusterPorts(parts, user).cluster,
    key: {
      random: async () => crypto.getRandomValues(new Uint8Array(keyBytes)).toBase64(),
      told: async () => toldKeys(parts),
      offer: async (key) => {
        for (const path of ["priv", "priv/quorate"]) {
          const made = await tree.mkdir(path);
          if (!made.ok && made.errno !== "EEXIST") throw new CommandFailure(made.reason);
        }
        const text = encodeNextKey(key, Math.floor(Date.now() / 1000) + offerS);
        const put = await tree.replace(nextKeyPath, bytesOf(text));
        if (!put.ok) throw new CommandFailure(`/etc/pve/${nextKeyPath}: ${put.reason}`);
      },
      withdraw: async () => {
        const removed = await tree.remove(nextKeyPath);
        if (!removed.ok && removed.errno !== "ENOENT")
          throw new CommandFailure(`/etc/pve/${nextKeyPath}: ${removed.reason}`);
      },
      reload: async () => {
        const outcome = await cluster.reload();
        if (!outcome.ok) throw new CommandFailure(outcome.reason);
      },
    },
  };
}
