// Three nodes with two links and a webhook, alone in a network namespace of their own (alert-cluster.test.ts): a node, a link, the sender and quorum go away and
// come back, and each is told exactly once. Says what it saw, and ends with 1 at the first thing that is not so.
import { deepStrictEqual as equal } from "node:assert/strict";
import * as v from "valibot";
import { alertsAnswer, alertTestAnswer } from "../../src/shell/answers/alerts.ts";
import { effectAnswer } from "../../src/shell/answers/change.ts";
import { LocalApi } from "../../src/shell/command/cluster/local-api.ts";
import { nodePaths } from "../../src/shell/paths.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { ReloadCluster } from "./reload-cluster.ts";

const nodes = [1, 2, 3] as const;
/** Longer than everything that could still be told: delay, end, the time in which alerts are gathered. */
const quietMs = 8000;
const told = v.object({
  sentBy: v.string(),
  isTest: v.boolean(),
  alerts: v.array(v.looseObject({ id: v.string(), state: v.string(), effect: v.string() })),
});

const requests: v.InferOutput<typeof told>[] = [];
const webhook = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: async (request) => {
    if (request.headers.get("x-token") !== "geheim")
      return new Response("who are you", { status: 403 });
    requests.push(v.parse(told, await request.json()));
    return new Response(null, { status: 204 });
  },
});

const cluster = new ReloadCluster();
const second = (nodeid: number): string => `127.10.0.${nodeid}`;

function conf(): string {
  return cluster
    .conf({ version: 1, nodes })
    .replace(
      /(nodeid: (\d)\n[^}]*ring0_addr: \S+)/g,
      (all, _, nodeid: string) => `${all}\n    ring1_addr: ${second(Number(nodeid))}`,
    );
}

const api = (nodeid: number): LocalApi => new LocalApi(nodePaths(cluster.root(nodeid)).socket);

/** "n1 node/3 open" of each alert that was told since, in order. */
function since(count: number): readonly string[] {
  return requests
    .slice(count)
    .flatMap(({ sentBy, alerts }) => alerts.map(({ id, state }) => `${sentBy} ${id} ${state}`));
}

/** Waits until as many were told, and for as long as nothing more may come. */
async function toldExactly(what: string, count: number, wanted: readonly string[]): Promise<void> {
  await until(
    async () => {
      const seen = since(count);
      return seen.length >= wanted.length ? ready(true) : pending(seen.join(", "));
    },
    90_000,
    what,
    200,
  );
  await Bun.sleep(quietMs);
  equal(since(count).toSorted(), wanted.toSorted(), what);
  process.stdout.write(`${what}: ${since(count).join(", ")}\n`);
}

async function nft(...rules: readonly string[]): Promise<void> {
  for (const rule of rules) {
    const child = Bun.spawn(["nft", ...rule.split(" ")], { stdout: "ignore", stderr: "pipe" });
    const words = await new Response(child.stderr).text();
    equal(await child.exited, 0, words);
  }
}

async function senderIs(sender: number, at: readonly number[]): Promise<void> {
  for (const nodeid of at) {
    await until(
      async () => {
        const answer = await api(nodeid).call(alertsAnswer, "GET", "/alerts");
        return answer.sender?.nodeid === sender
          ? ready(true)
          : pending(JSON.stringify(answer.sender));
      },
      60_000,
      `node ${nodeid} knows that ${sender} sends`,
      200,
    );
  }
}

const isWhole = (members: readonly number[]): boolean => members.length === nodes.length;

async function play(): Promise<void> {
  const text = conf();
  for (const nodeid of nodes) cluster.start(nodeid, text);
  await cluster.all(nodes, (s) => isWhole(s.ring.members) && s.tree.writable);
  for (const [name, value] of [
    ...[
      ["delay", "2"],
      ["clear", "2"],
      ["webhook-header", "X-Token: geheim"],
    ],
    ["webhook", `http://127.0.0.1:${webhook.port}/hook`],
  ] as const) {
    await api(1).call(effectAnswer, "PUT", `/alerts/settings/${name}`, { value });
  }
  await senderIs(1, nodes);

  const tested = await api(2).call(alertTestAnswer, "POST", "/alerts/test");
  equal(
    tested.results.map(({ channel, ok }) => [channel, ok]),
    [
      ["webhook", true],
      ["log", true],
    ],
  );
  equal(
    requests.map(({ sentBy, isTest }) => [sentBy, isTest]),
    [["n2", true]],
  );

  let count = requests.length;
  await cluster.kill(3);
  await toldExactly("a node is killed", count, ["n1 node/3 open"]);
  equal(requests.length - count, 1);
  count = requests.length;
  cluster.startAgain(3);
  await toldExactly("it is back", count, ["n1 node/3 over"]);

  count = requests.length;
  await nft(
    "add table ip cut",
    "add chain ip cut out { type filter hook output priority 0 ; }",
    `add rule ip cut out ip saddr ${second(1)} ip daddr ${second(2)} drop`,
    `add rule ip cut out ip saddr ${second(2)} ip daddr ${second(1)} drop`,
  );
  await toldExactly("a link is cut, which both its ends see", count, ["n1 link/1-2/1 open"]);
  equal(requests.length - count, 1);
  count = requests.length;
  await nft("delete table ip cut");
  await toldExactly("it is whole", count, ["n1 link/1-2/1 over"]);

  count = requests.length;
  await cluster.kill(1);
  await toldExactly("the sender is killed", count, ["n2 node/1 open"]);
  count = requests.length;
  await cluster.kill(3);
  await toldExactly("quorum is lost", count, ["n2 quorum/2 open"]);
  equal(requests.length - count, 1);
  equal(/read-only/.test(requests.at(-1)?.alerts[0]?.effect ?? ""), true);
  count = requests.length;
  cluster.startAgain(1);
  cluster.startAgain(3);
  await until(
    async () => (since(count).length >= 2 ? ready(true) : pending(since(count).join(", "))),
    90_000,
    "quorum is back",
    200,
  );
  await Bun.sleep(quietMs);
  // Who of the two is the sender by then depends on how fast the first one starts.
  equal(
    since(count)
      .map((line) => line.slice(3))
      .toSorted(),
    ["node/1 over", "quorum/2 over"],
  );
  process.stdout.write(`quorum is back: ${since(count).join(", ")}\n`);
  const { alerts } = await api(3).call(alertsAnswer, "GET", "/alerts");
  equal(
    alerts.filter(({ isOpen }) => isOpen),
    [],
  );
}

try {
  await play();
  process.stdout.write("all was told once\n");
} catch (error) {
  process.stdout.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.stdout.write(`told: ${JSON.stringify(requests)}\n`);
  for (const nodeid of nodes)
    process.stdout.write(`--- n${nodeid}\n${cluster.log(nodeid).slice(-4000)}\n`);
  process.exitCode = 1;
} finally {
  await cluster.close();
  await webhook.stop(true);
}
