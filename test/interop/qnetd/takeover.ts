// A running cluster of Debian's vote server, taken over with its certificates by ours: the nodes are told nothing, and every text stays.
// Then one node vanishes, and the log says so.
import { reasonOf } from "../../../src/result.ts";
import { pending, ready, until } from "../wait.ts";
import { difference, textsOf } from "./records.ts";
import { originalProgram, type ServerProgram } from "./server-program.ts";
import { untilVotes } from "./both-servers.ts";
import { VoteLab } from "./vote-lab.ts";

const textsMsMax = 20_000;

/** Prints its line; false when it failed. */
export async function takeover(program: ServerProgram): Promise<boolean> {
  const begun = performance.now();
  const votes = await VoteLab.create({
    tls: "required",
    clusters: [{ name: "interop", nodes: 2, algorithm: "ffsplit" }],
    server: originalProgram,
  });
  try {
    await votes.makeCertificates();
    await votes.startServer();
    for (const node of votes.nodes) node.machine.start();
    await untilVotes(votes, [[2, 2]], "a ring of two without the device");
    for (const node of votes.nodes) node.startDevice();
    await untilVotes(votes, [[3, 3]], "both nodes count the original's device");
    let before = await textsOf(votes);
    await until(
      async () => {
        const now = await textsOf(votes);
        const differing = difference(now, before);
        before = now;
        return differing === undefined ? ready(undefined) : pending(differing);
      },
      textsMsMax,
      "the original's texts have settled",
      500,
    );
    const stopped = await votes.tool(program, "-H");
    if (stopped !== "exit 0\n") throw new Error(`our tool could not stop the original: ${stopped}`);
    await untilVotes(votes, [[2, 2]], "the original was stopped by our tool");
    await votes.startServer(program);
    await untilVotes(votes, [[3, 3]], "our server gives its vote");
    await until(
      async () => {
        const differing = difference(await textsOf(votes), before);
        return differing === undefined ? ready(undefined) : pending(differing);
      },
      textsMsMax,
      "every text is as it was with the original",
    );
    await votes.powerLoss(votes.node(2));
    const lost = "node 2 is not connected any more; connected: node 1";
    const alone = "Node 1 has the vote: partition {1} is the only half";
    await until(
      async () => {
        const log = votes.server.log();
        return log.includes(lost) && log.includes(alone)
          ? ready(undefined)
          : pending(log.slice(-500));
      },
      textsMsMax,
      "the log names the lost node and who has the vote now",
      500,
    );
    const seconds = ((performance.now() - begun) / 1000).toFixed(1);
    console.log(`ok    takeover     of an original server with its certificates  ${seconds} s`);
    return true;
  } catch (error) {
    const reason = reasonOf(error);
    console.log(`FAIL  takeover: ${reason}\n${votes.logs()}`);
    return false;
  } finally {
    await votes.close();
  }
}
