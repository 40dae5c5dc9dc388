// A member of the total order experiment on quorate's side of it: a process group given as a port, nothing of how it is
// carried. group-peer.ts gives it a real ring.
import type { RingCluster } from "../../src/node/thread/cluster.ts";
import type { GroupEvent } from "../../src/world.ts";
import {
  messageBytesMax,
  Messages,
  OrderRecorder,
  type OrderPlan,
  type OrderSummary,
} from "./order.ts";

/** The deadline passes without an event of ours. */
const deadlineCheckMs = 50;

/** Joins, sends and notes until all is seen, the deadline passes or the ring ends; writes the notes. */
export async function takePart(
  cluster: Pick<RingCluster, "groups" | "finished">,
  plan: OrderPlan,
): Promise<OrderSummary> {
  const messages = new Messages(plan.seed);
  const recorder = new OrderRecorder(plan, messages);
  const done = Promise.withResolvers<string>();
  const { groups } = cluster;
  const buffer = new Uint8Array(messageBytesMax);
  let joined = false;
  let isWaiting = false;
  let counter = 0;
  const pump = (): void => {
    if (recorder.complete) done.resolve("complete");
    if (recorder.isLate) done.resolve(`deadline, ${counter} sent`);
    joined ||= groups.request({ kind: "join", group: plan.group });
    if (isWaiting) return;
    while (recorder.everyoneHere && counter < plan.count) {
      const size = messages.write(groups.self.nodeid, counter, buffer);
      const message = buffer.slice(0, size);
      if (!groups.request({ kind: "send", group: plan.group, message })) {
        recorder.retries += 1;
        isWaiting = true;
        return groups.whenRoom(() => {
          isWaiting = false;
          pump();
        });
      }
      counter += 1;
    }
  };
  groups.listen((events) => {
    for (const event of events) {
      if (event.kind !== "stable" && event.group === plan.group) note(recorder, event);
    }
    pump();
  });
  void cluster.finished.then((end) => done.resolve(`the ring ended: ${end.reason}`));
  const ticker = setInterval(pump, deadlineCheckMs);
  const ended = await done.promise;
  clearInterval(ticker);
  return recorder.finish(groups.self.nodeid, ended);
}

function note(recorder: OrderRecorder, event: GroupEvent): void {
  if (event.kind === "delivered") return recorder.delivered(event.nodeid, event.message);
  const nodeids = (list: readonly { readonly nodeid: number }[]) => list.map((one) => one.nodeid);
  recorder.configured(nodeids(event.members), nodeids(event.left), nodeids(event.joined));
}
