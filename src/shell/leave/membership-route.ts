// POST /cluster/membership: a node that lacks others asks them whether it is a member still. Nobody reads its packets once it was removed, so it comes
// without a login; strangers learn no more than whether a name is in the nodelist.
import { createHmac, timingSafeEqual } from "node:crypto";
import type { Files } from "../../fs/tree/files.ts";
import { corosyncConfPath } from "../../fs/tree/rules.ts";
import type { Result } from "../../result.ts";
import { membershipAnswer } from "../answers/membership.ts";
import * as parameter from "../api/parameters.ts";
import { anybody, ApiError, type Route, route } from "../api/route.ts";
import { formerMembersPath, readFormer } from "../change/former-members.ts";
import { readClusterConf } from "../conf/cluster-conf.ts";

export interface MembershipSource {
  readonly files: Files;
  /** Of this node. */
  readonly nodeName: string;
  /** This node is quorate, and its tree is the cluster's. */
  readonly isCertain: () => boolean;
  /** The cluster's key. */
  readonly readKey: () => Result<Uint8Array>;
}

/** Shows that who asks has the cluster's key, hex: without it nobody is told when a node was removed, and by whom. */
export function membershipProof(key: Uint8Array, node: string, nodeid: number): string {
  return createHmac("sha256", key).update(`quorate former member ${nodeid} ${node}`).digest("hex");
}

export function membershipRoute({ files, nodeName, isCertain, readKey }: MembershipSource): Route {
  return route({
    method: "POST",
    path: "/cluster/membership",
    isOurs: true,
    description: "Whether a node is a member; asked by one that lacks whom it asks.",
    permission: anybody,
    returns: membershipAnswer,
    parameters: {
      node: parameter.nodeName(),
      nodeid: parameter.integer({ min: 1 }),
      proof: parameter.formatted(64, /^[0-9a-f]{64}$/, "invalid format - not hex"),
    },
    handle: ({ parameters: { node, nodeid, proof } }) => {
      const conf = textOf(files, corosyncConfPath);
      if (conf === undefined) {
        throw new ApiError(424, "this node is in no cluster", { code: "standalone" });
      }
      const read = readClusterConf(conf);
      if (!read.ok) throw new ApiError(500, read.reason);
      const isMember = read.value.nodes.some(
        (each) => each.name === node && each.nodeid === nodeid,
      );
      const key = readKey();
      const isProven =
        key.ok &&
        timingSafeEqual(Buffer.from(proof), Buffer.from(membershipProof(key.value, node, nodeid)));
      const former =
        isMember || !isProven
          ? undefined
          : readFormer(textOf(files, formerMembersPath)).find(
              (each) => each.name === node && each.nodeid === nodeid,
            );
      return {
        ...{ node: nodeName, isCertain: isCertain(), isMember },
        ...(former === undefined
          ? {}
          : { former: { at: former.at, by: former.by, how: former.how } }),
      };
    },
  });
}

/** One character a byte; undefined: there is no such file. */
function textOf(files: Files, path: string): string | undefined {
  const read = files.read(path);
  return read.ok ? Buffer.from(read.value).toString("latin1") : undefined;
}
