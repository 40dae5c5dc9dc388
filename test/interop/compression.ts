// Compressed rings (knet.md §5): with each of knet's models two Debian nodes and a quorate node form one ring and see the same
// messages in the same order; and what cannot be opened for want of a library is refused at start and at reload.
//   bun test/interop/compression.ts [--only MODEL|missing] [--binary FILE]
import { readFile, realpath, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { reasonOf } from "../../src/result.ts";
import { exitConfiguration } from "../../src/shell/exit.ts";
import { type Finished, Lab, type LabNode, type NodeKind, runLabs } from "./lab.ts";
import { obstacleTo, skipped } from "./needs.ts";
import { nodeCommand, quorateProgram } from "./quorate.ts";
import { complaints, mixedScenarios, wholeRing } from "./scenarios.ts";

const models = ["zlib", "lz4", "lz4hc", "lzo2", "lzma", "bzip2", "zstd"] as const;

/** What each member sends. The slow ones (lzma: 80 ms a packet on a busy machine) would not end in time with as many as the others. */
const messages = { lzma: 100, bzip2: 150 } as const;
const messagesElse = 500;

interface Choice {
  readonly only: string | undefined;
  readonly binary: string | undefined;
}

async function labOf(kinds: readonly NodeKind[], model: string, choice: Choice): Promise<Lab> {
  return Lab.create({
    kinds,
    crypto: "none",
    // Debian's nodes compress in the thread of the token: lzma, on a busy machine, takes seconds.
    tokenMs: 4000,
    // Level 0, the default, is none to knet's bzip2: it then says so with every packet and sends it uncompressed.
    totemLines: [`knet_compression_model: ${model}`, "knet_compression_level: 1"],
    quorate: quorateProgram(choice.binary),
  });
}

/** The quorate node joins two that are quorate already: so it was found. */
async function ringOf(model: string, choice: Choice): Promise<string> {
  const lab = await labOf(["corosync", "corosync", "quorate"], model, choice);
  try {
    lab.startAll();
    await wholeRing(lab);
    const sameOrder = mixedScenarios.find(({ name }) => name === "sameOrder");
    if (sameOrder === undefined) throw new Error("there is no scenario sameOrder");
    const count = model === "lzma" || model === "bzip2" ? messages[model] : messagesElse;
    const remark = await sameOrder.run({ lab, long: false, seed: 1, messages: count });
    const [problem] = complaints(lab);
    if (problem !== undefined) throw new Error(problem);
    const ours = lab.node(3);
    const line = /.*cannot be opened.*/.exec(ours.log());
    if (line !== null) throw new Error(`${ours.name} complains: ${line[0].trim()}`);
    return `${await compressedPackets(lab.node(1))} packets compressed by n1; ${remark}`;
  } finally {
    await lab.close();
  }
}

/** Knet's own count: without it this would also pass in a ring that compresses nothing. */
async function compressedPackets(node: LabNode): Promise<number> {
  const key = "stats.knet.handle.tx_compressed_packets";
  const { stdout } = await node.exec(["corosync-cmapctl", "-m", "stats", "-g", key]);
  const count = Number(/= (\d+)/.exec(stdout)?.[1] ?? "0");
  if (count === 0) throw new Error(`${node.name} has compressed nothing: ${stdout}`);
  return count;
}

/** The libraries are covered by an empty file, as if their packages were not installed. */
async function missingLibraries(choice: Choice): Promise<string> {
  const lab = await labOf(["quorate"], "zlib", choice);
  try {
    const node = lab.node(1);
    for (const library of ["liblzma.so.5", "libbz2.so.1.0"]) await cover(node, library);
    node.start();
    await wholeRing(lab);
    for (const [model, library] of [
      ["lzma", "liblzma.so.5"],
      ["bzip2", "libbz2.so.1.0"],
    ] as const) {
      const conf = join(node.root, "etc/corosync/corosync.conf");
      const text = await readFile(conf, "utf8");
      await writeFile(conf, text.replace(/(knet_compression_model:) \w+/, `$1 ${model}`));
      const reload = await node.exec([...lab.options.quorate, "reload", "--root", node.root]);
      expectRefusal(`reload to ${model}`, reload, library);
      await node.stop();
      const words = nodeCommand(lab.options.quorate, node);
      const start = await node.exec(words);
      expectRefusal(`start with ${model}`, start, library);
      await writeFile(conf, text);
      node.start();
      await wholeRing(lab);
    }
    return "lzma and bzip2 are refused at reload and at start, with the library's name";
  } finally {
    await lab.close();
  }
}

function expectRefusal(what: string, { code, stderr }: Finished, library: string): void {
  if (code !== exitConfiguration) {
    throw new Error(`${what} ended with ${code}, not ${exitConfiguration}: ${stderr}`);
  }
  const wanted = `the library ${library} is missing (apt install `;
  if (!stderr.includes(wanted)) throw new Error(`${what} says "${stderr}", not "…${wanted}…"`);
}

async function cover(node: LabNode, library: string): Promise<void> {
  const { stdout } = await node.exec(["ldconfig", "-p"]);
  const path = stdout.split("\n").find((line) => line.trim().startsWith(`${library} `));
  const file = path?.split("=> ")[1];
  if (file === undefined) throw new Error(`${library} is not installed here`);
  const done = await node.exec(["mount", "--bind", "/dev/null", await realpath(file)]);
  if (done.code !== 0) throw new Error(`${library} could not be covered: ${done.stderr}`);
}

function choose(words: readonly string[]): Choice | undefined {
  const values = new Map<string, string>();
  for (let at = 0; at < words.length; at += 2) {
    const [word, value] = words.slice(at, at + 2);
    if (value === undefined || (word !== "--only" && word !== "--binary")) return undefined;
    values.set(word, value);
  }
  return { only: values.get("--only"), binary: values.get("--binary") };
}

async function main(): Promise<number> {
  const choice = choose(process.argv.slice(2));
  if (choice === undefined) {
    console.error(`usage: compression.ts [--only ${models.join("|")}|missing] [--binary FILE]`);
    return 2;
  }
  const obstacle = obstacleTo(["corosync"]);
  if (obstacle !== undefined) return skipped(obstacle);
  const trials = [
    ...models.map((model) => ({ name: model as string, run: () => ringOf(model, choice) })),
    { name: "missing", run: () => missingLibraries(choice) },
  ];
  let [passed, failed] = [0, 0];
  for (const { name, run } of trials) {
    if (choice.only !== undefined && choice.only !== name) continue;
    try {
      console.log(`ok    ${name.padEnd(8)} ${await run()}`);
      passed += 1;
    } catch (error) {
      console.log(`FAIL  ${name.padEnd(8)} ${reasonOf(error)}`);
      failed += 1;
    }
  }
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

await runLabs(main);
