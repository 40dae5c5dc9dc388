// Three nodes on loopback, encrypted, with a writer that keeps the token moving; what the token takes and the first node uses while something is done
// to it, a phase each. `--seconds N` on the command line: of a phase.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { Agent, request as httpsRequest } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { type DemoNode, demoNodes, expectNoneRuns, form, prepare, until } from "../demo/cluster.ts";

const main = join(import.meta.dir, "../../src/main.ts");
const at = process.argv.indexOf("--seconds");
const phaseS = at < 0 ? 60 : Number(process.argv[at + 1]);
const writesPerSecond = 20;
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";

export interface Asked {
  readonly status: number;
  readonly ms: number;
  readonly body: string;
}

/** One request at the network API of a node, whose certificate is not judged. */
export function ask(
  node: DemoNode,
  options: {
    readonly path: string;
    readonly agent: Agent;
    readonly method?: string;
    readonly body?: string;
    readonly headers?: Record<string, string>;
  },
): Promise<Asked> {
  const { path, agent, method = "GET", body = "", headers = {} } = options;
  const begun = performance.now();
  const { promise, resolve, reject } = Promise.withResolvers<Asked>();
  const type = body === "" ? {} : { "content-type": "application/x-www-form-urlencoded" };
  const length = body === "" ? {} : { "content-length": String(body.length) };
  const sent = httpsRequest(
    {
      ...{ host: node.address, port: 8006, path, method, agent, rejectUnauthorized: false },
      headers: { ...headers, ...type, ...length },
    },
    (answer) => {
      let text = "";
      answer.on("data", (bytes: Uint8Array) => (text += new TextDecoder().decode(bytes)));
      answer.on("end", () =>
        resolve({ status: answer.statusCode ?? 0, ms: performance.now() - begun, body: text }),
      );
      answer.on("error", reject);
    },
  );
  sent.on("error", reject);
  sent.end(body);
  return promise;
}

/** Of root, logged in there. */
export async function cookieOf(node: DemoNode): Promise<Record<string, string>> {
  const agent = new Agent({ keepAlive: false });
  const path = "/api2/json/access/ticket";
  const body = "username=root%40pam&password=secret";
  const { body: text, status } = await ask(node, { path, agent, method: "POST", body });
  if (status !== 200) throw new Error(`the login was answered ${status}: ${text}`);
  const ticket = /"ticket":"([^"]+)"/.exec(text)?.[1] ?? "";
  return { cookie: `PVEAuthCookie=${encodeURIComponent(ticket)}` };
}

/** Of the first node. */
export interface Result {
  readonly p50: number;
  readonly p99: number;
  readonly rssMb: number;
  readonly lost: number;
  readonly cpuPercent: number;
}

export type Work = (node: DemoNode, endAt: number) => Promise<string>;

async function whole(nodes: readonly DemoNode[]): Promise<void> {
  await until("three nodes quorate", 120_000, async () => {
    const all = await Promise.all(nodes.map((node) => node.status()));
    const isGood = all.every(
      (status) => status?.tree.writable === true && status.ring.members.length === 3,
    );
    return isGood ? true : undefined;
  });
}

/** On a node that has just begun, so that the samples of the token are of this phase alone; `before` is not measured. */
export async function phase(
  nodes: readonly DemoNode[],
  name: string,
  work: Work,
  before: (node: DemoNode) => Promise<void> = async () => undefined,
): Promise<Result> {
  const [one, two] = nodes;
  if (one === undefined || two === undefined) throw new Error("three nodes");
  await one.end("SIGTERM");
  one.start();
  await whole(nodes);
  await until("HTTPS", 60_000, () => cookieOf(one));
  await before(one);
  // What forming the ring took is none of it.
  await write(two, performance.now() + 5000);
  const lostBefore = (await one.client.ring()).ring.counters.tokenLost.operational;
  const endAt = performance.now() + phaseS * 1000;
  const cpuBefore = await cpuOf(one);
  const [text] = await Promise.all([work(one, endAt), write(two, endAt)]);
  const cpuPercent = (((await cpuOf(one)) - cpuBefore) / phaseS) * 100;
  const { node, ring } = await one.client.status();
  const { p50, p99 } = ring.rotationUs;
  const lost = ring.counters.tokenLost.operational - lostBefore;
  const rssMb = node.rssBytes / 1e6;
  console.log(
    `${name}: token p50 ${p50} µs, p99 ${p99} µs, lost ${lost}; node ${rssMb.toFixed(0)} MB, ${cpuPercent.toFixed(1)} % of a processor. ${text}`,
  );
  return { p50, p99, rssMb, lost, cpuPercent };
}

async function cpuOf(node: DemoNode): Promise<number> {
  const text = await node.run("metrics");
  return Number(/^quorate_process_cpu_seconds_total (\S+)$/m.exec(text)?.[1] ?? 0);
}

async function write(node: DemoNode, endAt: number): Promise<void> {
  await node.client.put("load", new Uint8Array(100));
  for (let count = 1; performance.now() < endAt; count += 1) {
    await node.client.setMtime("load", count);
    await wait(1000 / writesPerSecond);
  }
}

/** Nothing of the nodes outlives this. */
export async function withCluster(
  measure: (nodes: readonly DemoNode[]) => Promise<void>,
): Promise<void> {
  const directory = mkdtempSync(`${tmpdir()}/quorate-load-`);
  const nodes = demoNodes({ command: [process.execPath, main], directory, mount: false });
  await expectNoneRuns(nodes);
  prepare(nodes);
  for (const { paths } of nodes) {
    mkdirSync(dirname(paths.shadow), { recursive: true });
    writeFileSync(paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
  }
  try {
    for (const node of nodes) node.start();
    await form(nodes, (text) => console.log(text));
    await whole(nodes);
    await measure(nodes);
  } finally {
    await Promise.all(nodes.map((node) => node.end("SIGKILL")));
    rmSync(directory, { recursive: true, force: true });
  }
}
