// Our vote server with Debian's corosync and corosync-qdevice: certificates by the original's tool, votes at connect, split, heal and
// restart, TLS off and required; and the take-over of an original server. One line a scenario, a closing line "N passed, N failed".
//   bun test/interop/qnetd/run.ts [--only off|required|takeover] [--binary FILE]
// Without root or Debian's programs it says "skipped: …" and exits 0; with QUORATE_CI=1 that is a failure.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { closeAll } from "../lab.ts";
import { pending, ready, until } from "../wait.ts";
import { type TlsMode, VoteLab } from "./vote-lab.ts";

const needed = [
  "corosync",
  "corosync-qdevice",
  "corosync-qdevice-net-certutil",
  "corosync-qnetd-tool",
  "certutil",
  "nft",
  "ip",
  "unshare",
  "nsenter",
  "setpriv",
];

/** The whole story with TLS off or required, or an original server that is taken over. */
const storyNames = ["off", "required", "takeover"] as const;
type StoryName = (typeof storyNames)[number];

interface Choice {
  readonly stories: readonly StoryName[];
  readonly program: readonly string[];
}

function choose(words: readonly string[]): Choice | string {
  const usage = `usage: run.ts [--only ${storyNames.join("|")}] [--binary FILE]`;
  let stories: readonly StoryName[] = storyNames;
  let program = [process.execPath, join(import.meta.dir, "program.ts")];
  for (let at = 0; at < words.length; at += 2) {
    const value = words[at + 1];
    if (value === undefined) return usage;
    const story = storyNames.find((name) => name === value);
    if (words[at] === "--only" && story !== undefined) stories = [story];
    else if (words[at] === "--binary") program = [value];
    else return usage;
  }
  return { stories, program };
}

function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const missing = needed.find((tool) => Bun.which(tool) === null);
  return missing === undefined ? undefined : `${missing} not installed`;
}

/** One story: from certificates to a restarted server. Answers a remark. */
async function wholeStory(
  votes: VoteLab,
  tls: TlsMode,
  step: (name: string) => void,
): Promise<void> {
  if (tls === "required") {
    await votes.makeCertificates("ours");
    step("certificates");
  }
  votes.startServer();
  votes.startNodes();
  const [first, second] = votes.nodes;
  await votes.untilVotes([2, 2], "a ring of two without the device");
  votes.startDevices();
  await votes.untilVotes([3, 3], "both nodes count the device");
  step("connect");
  await sameTexts(votes, tls);
  step("tool texts");
  await votes.lab.cut([first], [second]);
  await votes.untilVotes([2, 1], "after the split the lowest node has the vote");
  step("split");
  await votes.lab.heal();
  await votes.untilVotes([3, 3], "both nodes count the device again");
  step("heal");
  await votes.killServer();
  await votes.untilVotes([2, 2], "without the server two votes are left");
  votes.startServer();
  await votes.untilVotes([3, 3], "the restarted server gives its vote again");
  step("restart");
  await votes.killDevice(second);
  await second.kill();
  await until(
    async () => {
      const seen = await votes.votes(first);
      const isAlone = typeof seen !== "string" && seen.total === 2 && seen.isQuorate;
      return isAlone ? ready(undefined) : pending(JSON.stringify(seen));
    },
    30_000,
    "the survivor of a killed node has the vote",
  );
  step("kill");
}

/** A running cluster of Debian's server, taken over with its certificates by ours: the nodes are told nothing. */
async function takeover(votes: VoteLab, step: (name: string) => void): Promise<void> {
  await votes.makeCertificates("original");
  votes.startServer("original");
  votes.startNodes();
  await votes.untilVotes([2, 2], "a ring of two without the device");
  votes.startDevices();
  await votes.untilVotes([3, 3], "both nodes count the original's device");
  await sameTexts(votes, "required");
  step("original");
  await votes.tool("ours", "-H");
  await votes.untilVotes([2, 2], "the original was stopped by our tool");
  votes.startServer();
  await votes.untilVotes([3, 3], "our server gives its vote");
  await sameTexts(votes, "required");
  step("takeover");
}

/** The original's tool and ours say the same of the running server, and what it says is right. */
async function sameTexts(votes: VoteLab, tls: TlsMode): Promise<void> {
  for (const args of [["-s"], ["-s", "-v"], ["-l"], ["-l", "-v"], ["-l", "-c", "none"]]) {
    const [ours, theirs] = [
      await votes.tool("ours", ...args),
      await votes.tool("original", ...args),
    ];
    if (ours !== theirs) throw new Error(`${args.join(" ")}: ours\n${ours}theirs\n${theirs}`);
  }
  const list = await votes.tool("original", "-l", "-v");
  const active = tls === "required" ? "Yes (client certificate verified)" : "No";
  for (const line of [
    'Cluster "interop":',
    "    Algorithm:\t\tFifty-Fifty split (KAP Tie-breaker)",
    "        Configured node list:\t1, 2",
    "        Membership node list:\t1, 2",
    `        TLS active:\t\t${active}`,
  ]) {
    if (!list.includes(`${line}\n`)) throw new Error(`-l -v does not say "${line}":\n${list}`);
  }
}

async function run(name: StoryName, program: readonly string[]): Promise<boolean> {
  const tls: TlsMode = name === "off" ? "off" : "required";
  const votes = await VoteLab.create(tls, program);
  let begun = performance.now();
  let passed = "";
  try {
    const step = (what: string): void => {
      const seconds = ((performance.now() - begun) / 1000).toFixed(1);
      console.log(`ok    ${name.padEnd(8)} ${what.padEnd(14)} ${seconds.padStart(6)} s`);
      begun = performance.now();
      passed = what;
    };
    await (name === "takeover" ? takeover(votes, step) : wholeStory(votes, tls, step));
    const status = readFileSync(`/proc/${votes.serverPid}/status`, "latin1");
    console.log(`      server's memory: ${/VmRSS:\s+(.*)/.exec(status)?.[1] ?? "unknown"}`);
    return true;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.log(`FAIL  ${name} after "${passed}": ${reason}\n${votes.logs()}`);
    return false;
  } finally {
    await votes.close();
  }
}

async function main(): Promise<number> {
  const choice = choose(process.argv.slice(2));
  if (typeof choice === "string") {
    console.error(choice);
    return 2;
  }
  const missing = obstacle();
  if (missing !== undefined) {
    console.log(`skipped: ${missing}`);
    if (process.env["QUORATE_CI"] !== "1") return 0;
    console.log("0 passed, 1 failed");
    return 1;
  }
  let passed = 0;
  for (const name of choice.stories) if (await run(name, choice.program)) passed += 1;
  const failed = choice.stories.length - passed;
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => {
    void closeAll().then(() => process.exit(130));
  });
}

try {
  process.exitCode = await main();
} finally {
  await closeAll();
}
