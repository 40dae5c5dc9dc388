// The demo's transcript (`npm run demo -- --check`): each step is awaited with a deadline and checked on real nodes.
import { reasonOf } from "../../src/result.ts";
import type { NodeStatus } from "../../src/shell/api/status.ts";
import { databaseDigest, until, type DemoNode } from "./cluster.ts";

/** token + consensus with three nodes is 8.03 s; doubled for a busy machine. */
const reformMs = 20_000;
const startMs = 30_000;
/** A shell that the mount does not answer is ended, and the step fails. */
const shellMsMax = 30_000;

const vmPath = "nodes/pve1/qemu-server/900.conf";
const vmConf = "cores: 2\nmemory: 2048\nname: demo\n";

class Transcript {
  #steps = 0;
  readonly #start = performance.now();

  async step(what: string, act: () => Promise<string>): Promise<void> {
    this.#steps += 1;
    const detail = await act();
    const seconds = ((performance.now() - this.#start) / 1000).toFixed(1).padStart(5);
    console.log(`${seconds} s  ok  ${this.#steps}. ${what}${detail === "" ? "" : `: ${detail}`}`);
  }
}

/** Plays the transcript; 0 when every step holds, otherwise it throws with the step that did not. */
export async function checkTranscript(
  nodes: readonly DemoNode[],
  mounted: boolean,
): Promise<number> {
  const [one, two, three] = nodes;
  if (one === undefined || two === undefined || three === undefined)
    throw new Error("three nodes needed");
  const all = [one, two, three];
  const transcript = new Transcript();
  await transcript.step("three nodes are quorate on one ring", () => quorateTogether(all, startMs));
  await transcript.step("the sample tree is on all three nodes", () => equalTrees(all));
  await transcript.step(
    "a VM configuration written through node 1 is on nodes 2 and 3",
    async () => {
      await write(one, vmPath, vmConf, mounted);
      await readBack([two, three], vmPath, vmConf, mounted);
      return vmPath;
    },
  );
  await transcript.step("node 3 is killed: still quorate, writes go on", async () => {
    await three.end("SIGKILL");
    await quorateTogether([one, two], reformMs);
    await write(two, vmPath, `${vmConf}onboot: 1\n`, mounted);
    await readBack([one], vmPath, `${vmConf}onboot: 1\n`, mounted);
    return "2 of 3 votes";
  });
  await transcript.step("node 2 is killed: node 1 reads, and refuses to write", async () => {
    await two.end("SIGKILL");
    await until("node 1 has lost quorum", reformMs, async () => {
      const status = await one.status();
      return status !== undefined && !status.quorum.quorate ? status : undefined;
    });
    await readBack([one], vmPath, `${vmConf}onboot: 1\n`, mounted);
    return refused(one, mounted);
  });
  await transcript.step("both are back: quorate, trees equal", async () => {
    two.start();
    three.start();
    await quorateTogether(all, startMs);
    return equalTrees(all);
  });
  await transcript.step("a graceful stop of all three ends with exit code 0", async () => {
    const codes = await Promise.all(all.map((node) => node.end("SIGTERM")));
    if (codes.some((code) => code !== 0)) throw new Error(`exit codes ${codes.join(", ")}`);
    return "";
  });
  await transcript.step(
    "the three config.db files hold the same tree for plain SQLite",
    async () => {
      const digests = new Set(all.map((node) => databaseDigest(`${node.paths.treeDir}/config.db`)));
      if (digests.size !== 1) throw new Error(`different rows: ${[...digests].join(" ")}`);
      return [...digests].join("").slice(0, 16);
    },
  );
  return 0;
}

async function quorateTogether(nodes: readonly DemoNode[], deadlineMs: number): Promise<string> {
  const settled = await until(`${nodes.length} nodes quorate on one ring`, deadlineMs, async () => {
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    const present = statuses.filter((status): status is NodeStatus => status !== undefined);
    if (present.length !== nodes.length) return undefined;
    const rings = new Set(present.map((status) => status.ring.id));
    const good = present.every(
      (status) =>
        status.quorum.quorate &&
        status.ring.members.length === nodes.length &&
        status.tree.writable &&
        !status.ring.synchronising,
    );
    return good && rings.size === 1 ? present[0] : undefined;
  });
  return `ring ${settled.ring.id}, ${settled.quorum.totalVotes} of ${settled.quorum.expectedVotes} votes`;
}

async function equalTrees(nodes: readonly DemoNode[]): Promise<string> {
  return until("equal trees", reformMs, async () => {
    const statuses = await Promise.all(nodes.map((node) => node.status()));
    const digests = new Set(statuses.map((status) => status?.tree.digest));
    const [digest] = digests;
    const entries = statuses[0]?.tree.entries ?? 0;
    return digests.size === 1 && digest !== undefined
      ? `${entries} objects, digest ${digest.slice(0, 16)}`
      : undefined;
  });
}

/** A shell of its own: a process must never wait for the mount that it serves, and this is how people write. */
async function shell(
  script: string,
  input = "",
): Promise<{ code: number; out: string; error: string }> {
  const child = Bun.spawn(["sh", "-c", script], {
    stdin: new Blob([input]),
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, LC_ALL: "C" },
    timeout: shellMsMax,
    killSignal: "SIGKILL",
  });
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { code, out, error };
}

const quoted = (path: string): string => `'${path.replaceAll("'", `'\\''`)}'`;

async function write(node: DemoNode, path: string, text: string, mounted: boolean): Promise<void> {
  if (!mounted) return node.client.put(path, new TextEncoder().encode(text));
  const result = await shell(`cat > ${quoted(`${node.paths.mount}/${path}`)}`, text);
  if (result.code !== 0) throw new Error(`writing ${path} through ${node.name}: ${result.error}`);
}

async function readBack(
  nodes: readonly DemoNode[],
  path: string,
  text: string,
  mounted: boolean,
): Promise<void> {
  for (const node of nodes) {
    await until(`${path} on ${node.name}`, reformMs, async () => {
      const content = mounted
        ? (await shell(`cat ${quoted(`${node.paths.mount}/${path}`)}`)).out
        : new TextDecoder().decode(await node.client.read(path));
      return content === text ? true : undefined;
    });
  }
}

/** Without quorum: EACCES through the mount as the original; a sentence with the votes that are needed from `quorate fs`. */
async function refused(node: DemoNode, mounted: boolean): Promise<string> {
  if (mounted) {
    const result = await shell(`echo x > ${quoted(`${node.paths.mount}/${vmPath}`)}`);
    if (result.code === 0) throw new Error("a write through the mount succeeded without quorum");
    if (!result.error.includes("Permission denied")) {
      throw new Error(`the mount refused with another error than EACCES: ${result.error}`);
    }
  }
  try {
    await node.client.put(vmPath, new TextEncoder().encode("x"));
  } catch (error) {
    const sentence = reasonOf(error);
    if (!/\d more (?:is|are) needed/.test(sentence) || !/EACCES/.test(sentence)) {
      throw new Error(`the refusal does not say how many votes are needed: ${sentence}`, {
        cause: error,
      });
    }
    return `"${sentence}"`;
  }
  throw new Error("a write through quorate fs succeeded without quorum");
}
