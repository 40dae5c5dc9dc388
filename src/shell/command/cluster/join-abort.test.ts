import { expect, test } from "bun:test";
import type { NodeStatus } from "../../api/status.ts";
import { joinAbortCommand, type JoinAbortNode } from "./join-abort.ts";

type State = Awaited<ReturnType<JoinAbortNode["status"]>>;
const cluster = { name: "prod", configVersion: 4, encrypted: true };
const standalone: State = { mode: "standalone", cluster: { ...cluster, name: "" } };
const member: State = { mode: "cluster", cluster };
const operation: NonNullable<NodeStatus["operation"]> = {
  ...{ kind: "join", id: "UPID:x", beganAtMs: 1, step: "wait", isGoingBack: false },
};

/** A node whose task heeds the request number `heeds`; then it is in the state `after`. */
function nodeOf(before: State, after: State, heeds = 1) {
  const gate = Promise.withResolvers<string>();
  let asked = 0;
  let isOver = false;
  const node: JoinAbortNode = {
    status: async () => (isOver ? after : before),
    stop: async () => {
      asked += 1;
      if (asked < heeds) throw new Error("the node is away");
      isOver = true;
      gate.resolve("received interrupt");
    },
    follow: async (_, write) => {
      const status = await gate.promise;
      write(`${status}; what was done is undone`);
      return status;
    },
    pause: async () => undefined,
  };
  return { node, asked: () => asked };
}

function run(node: JoinAbortNode) {
  let text = "";
  const write = (piece: string): void => void (text += piece);
  return joinAbortCommand({ root: "/", json: false, write, note: write }, node).then(
    (code) => `${code} ${text}`,
    (error: unknown) => (error instanceof Error ? error.message : "no error"),
  );
}

test("a join under way is asked to stop, again after a start that has forgotten it, and followed", async () => {
  const { node, asked } = nodeOf({ ...member, operation }, standalone, 3);
  expect(await run(node)).toBe(
    "0 received interrupt; what was done is undone\nThe join is given up: this node is standalone, as before.\n",
  );
  expect(asked()).toBe(3);
});

test("one that the cluster confirmed meanwhile is said to be complete", async () => {
  const { node } = nodeOf({ ...member, operation }, member);
  expect(await run(node)).toBe(
    "the join could not be given up (received interrupt): this node is a member of the cluster 'prod' already. `quorate leave` takes it out of it again",
  );
});

test("without one a standalone node is as it shall be, and a member is told how to leave", async () => {
  expect(await run(nodeOf(standalone, standalone).node)).toBe(
    "0 No join is under way: this node is standalone.\n",
  );
  const leaving = { ...standalone, operation: { ...operation, kind: "leave" } };
  expect(await run(nodeOf(leaving, standalone).node)).toStartWith("0 No join");
  expect(await run(nodeOf(member, member).node)).toStartWith("there is no join under way: ");
});
