// Calls the node at each address of its command line, and says why there is no answer: for tests that run it in a network of their own.
import * as v from "valibot";
import { RemoteNode } from "../../src/shell/remote/remote-node.ts";
import { trustFingerprint } from "../../src/shell/remote/trust.ts";

for (const host of process.argv.slice(2)) {
  const node = new RemoteNode({ host, trust: trustFingerprint(new Uint8Array(32)) });
  const answer = await node.get("/api2/json/version", {}, v.unknown());
  console.log(answer.ok ? `${host} answers` : answer.reason);
}
