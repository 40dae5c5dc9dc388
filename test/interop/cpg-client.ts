// A member of the total order experiment on a Debian node: joins through libcpg, sends its plan as fast as corosync takes it,
// notes every delivery. Runs inside the node's namespaces: bun cpg-client.ts GROUP SEED MEMBERS COUNT DEADLINE_MS OUT
import { CpgConnection } from "./cpg-library.ts";
import { messageBytesMax, Messages, OrderRecorder, planFromWords } from "./order.ts";

/** Callbacks carried out before the next attempt to send. */
const dispatchMax = 64;

function main(): void {
  const plan = planFromWords(process.argv.slice(2));
  const messages = new Messages(plan.seed);
  const recorder = new OrderRecorder(plan, messages);
  const connection = new CpgConnection({
    delivered: (nodeid, _pid, message) => recorder.delivered(nodeid, message),
    configured: (members, left, joined) => recorder.configured(members, left, joined),
  });
  const nodeid = connection.nodeid();
  const buffer = new Uint8Array(messageBytesMax);
  let joined = false;
  let counter = 0;
  let size = 0; // of the message in the buffer; 0: none is waiting there
  while (!recorder.complete && !recorder.isLate) {
    if (!joined) joined = connection.join(plan.group);
    const dispatched = connection.dispatch(dispatchMax);
    if (!recorder.everyoneHere || counter === plan.count) {
      if (dispatched === 0) connection.wait(20);
      continue;
    }
    if (size === 0) size = messages.write(nodeid, counter, buffer);
    if (connection.send(buffer, size)) {
      counter += 1;
      size = 0;
    } else {
      recorder.retries += 1;
      // Full, or a sync is going on: room comes back with the token, seldom with an event of ours.
      if (dispatched === 0) connection.wait(1);
    }
  }
  const reason = `deadline, ${counter} sent`;
  const summary = recorder.finish(nodeid, recorder.complete ? "complete" : reason);
  console.log(JSON.stringify(summary));
  connection.close();
  process.exit(summary.ended === "complete" ? 0 : 1);
}

main();
