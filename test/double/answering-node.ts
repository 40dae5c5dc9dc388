// A node, standalone unless the test says otherwise, that is a server of the test's own at the local socket of `root`: its status is whole, as a node makes it, tasks have an empty log
// and end as the test says, and all else is the test's.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { nodeStatus } from "../../src/shell/api/status.ts";
import { StandaloneCluster } from "../../src/shell/daemon/node/standalone.ts";
import { nodePaths } from "../../src/shell/paths.ts";

export interface AnsweringNode {
  readonly root: string;
  /** The status of a task's end, by its UPID. */
  readonly ends: (upid: string) => string;
  /** Of the cluster that it is in; "": none. */
  readonly clusterName?: () => string;
  /** Why it is no member of its cluster any more. */
  readonly membershipFault?: () => string;
  readonly answer: (request: Request, path: string) => Promise<Response>;
}

/** To be stopped by the test. */
export function serveAnswers({
  root,
  ends,
  answer,
  clusterName = () => "",
  membershipFault = () => "",
}: AnsweringNode): Bun.Server<undefined> {
  const { socket } = nodePaths(root);
  mkdirSync(dirname(socket), { recursive: true });
  return Bun.serve({
    unix: socket,
    fetch: async (request) => {
      const path = new URL(request.url).pathname;
      if (path === "/v1/status") {
        const status = await standaloneStatus(membershipFault);
        return Response.json({ ...status, cluster: { ...status.cluster, name: clusterName() } });
      }
      const [, upid, what] = /\/tasks\/([^/]+)\/(status|log)$/.exec(path) ?? [];
      if (upid === undefined) return answer(request, path);
      if (what === "log") return Response.json({ data: [], total: 0 });
      const exitstatus = ends(decodeURIComponent(upid));
      return Response.json({ data: { status: "stopped", exitstatus } });
    },
  });
}

function standaloneStatus(membershipFault: () => string) {
  return nodeStatus({
    ...{ version: "1.2.3", mode: "standalone", pid: 7, startedAt: 1 },
    cluster: new StandaloneCluster("n1", () => 1),
    tree: () => ({
      ...{ mode: "local", writable: true, reason: "", version: 1, entries: 1, bytes: 0 },
      ...{ digest: "", writes: 0, members: [] },
    }),
    confWarning: async () => "",
    networkFaults: () => [],
    membershipFault,
    upgrade: () => undefined,
    mount: () => ({ target: "", reason: "" }),
    operations: () => ({ faults: [] }),
  });
}
