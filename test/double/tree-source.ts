// What the local API is made of when there is a tree and nothing else: whatever of a node is asked for besides fails the test.
import { expect } from "bun:test";
import type { ConfigurationTree } from "../../src/fs/fs.ts";
import type { ApiSource } from "../../src/shell/api/api.ts";

const never = (): never => expect.unreachable();

/** `given`: what the test has an answer for. */
export function treeSource(tree: ConfigurationTree, given: Partial<ApiSource>): ApiSource {
  return {
    ringMap: { map: undefined, groups: async () => [] },
    files: tree,
    lostTrees: tree.lostTrees,
    status: never,
    ring: never,
    setVotes: never,
    killNode: never,
    stopDevice: never,
    shutdown: never,
    setExpectedVotes: never,
    cancelWaitForAll: never,
    reload: never,
    restart: never,
    confProblem: never,
    logToCluster: never,
    ...given,
  };
}
