// One rule of the product flipped at a time, and the named invariant that must break by it (mutants.test.ts). Each invariant that the
// simulator checks stands here at least once: a checker that sees nothing is no checker.
import type { VoteAlgorithm } from "./vote-cluster.ts";

/**
 * What the simulator checks (engineering.md §9), and K1: whatever key a node has just taken, it opens what the others send; T1: nobody keeps the
 * token for longer than he may; D1 to D4: deaths and refusals (refusals.ts).
 */
export const invariants = [
  ...["V1", "V2", "V3", "V4", "V5", "V6", "V8"],
  ...["Q1", "Q2", "Q3", "Q4"],
  ...["F1", "F2", "F3", "F4", "F5", "K1", "T1", "L1", "L3"],
  ...["D1", "D2", "D3", "D4"],
] as const;

export interface Mutant {
  /** The rule that is flipped. */
  readonly rule: string;
  readonly breaks: (typeof invariants)[number];
  readonly file: string;
  /** Stands exactly once in the file. */
  readonly find: string;
  readonly replace: string;
  /** The only faults are new keys. */
  readonly isCalm?: boolean;
  /** Seeds of refusals.ts, of so many simulated seconds. */
  readonly refusalSeconds?: number;
  /** Seeds with a vote server and this algorithm; without: the ring's and the tree's. */
  readonly votes?: VoteAlgorithm;
  /** The first seed to run, default 1: one that breaks early saves the time of those before it. */
  readonly from?: number;
  /** Simulated seconds of a seed of the ring. */
  readonly seconds?: number;
}

const ringMutants: readonly Mutant[] = [
  {
    rule: "a message is delivered once",
    breaks: "V1",
    file: "src/node/ring/deliver.ts",
    find: "for (const message of messages) out.push(",
    replace: "for (const message of [...messages, ...messages]) out.push(",
  },
  {
    rule: "the messages of a packet are delivered in the order of their sender on all nodes",
    breaks: "V2",
    file: "src/node/ring/deliver.ts",
    find: "for (const message of messages) out.push(",
    replace: "for (const message of state.nodeid % 2 ? messages : messages.toReversed()) out.push(",
    from: 2,
  },
  {
    rule: "a request for which there is no credit is refused, not lost",
    breaks: "V3",
    file: "src/node/thread/client.ts",
    find: "if (this.#waitingBytes > 0 && this.#waitingBytes + size > requestBytesMax) return false;",
    replace:
      "if (this.#waitingBytes > 0 && this.#waitingBytes + size > requestBytesMax) return true;",
  },
  {
    rule: "transitional members are all who come from the same ring",
    breaks: "V4",
    file: "src/node/ring/recovery.ts",
    find: "becomeRecovery(state, [...transitional.keys()]);",
    replace:
      "becomeRecovery(state, [...transitional.keys()].filter((nodeid) => nodeid >= state.nodeid));",
  },
  {
    rule: "old messages that are in order are handed up before the new ring",
    breaks: "V5",
    file: "src/node/ring/deliver.ts",
    find: '    state.highDelivered = seq;\n    state.upward.push({ kind: "stored", stored });\n  }\n}\n',
    replace: "    state.highDelivered = seq;\n  }\n}\n",
    seconds: 120,
  },
  {
    rule: "old messages that another member lacks are originated again in RECOVERY",
    breaks: "V5",
    file: "src/node/ring/recovery.ts",
    find: "if (stored !== undefined) state.originate.set(seq, stored.bytes);",
    replace: "void stored;",
    seconds: 120,
  },
  {
    rule: "a message is stable when the token has been with every member since",
    breaks: "V6",
    file: "src/node/ring/operational.ts",
    find: "const held = serialMin(token.aru, state.passedAru);",
    replace: "const held = token.aru;",
  },
  {
    rule: "only the node that lowered the token's aru raises it",
    breaks: "V6",
    file: "src/node/ring/operational.ts",
    find: "const isOurs = token.aruNode === state.nodeid || token.aruNode === 0;",
    replace: "const isOurs = state.nodeid > 0;",
  },
  {
    rule: "a token is kept for a caller so often in one visit at most",
    breaks: "T1",
    file: "src/node/ring/keep.ts",
    find: "visit.keeps >= keep.keepsMax || ",
    replace: "",
  },
  {
    rule: "a token that is kept goes on when its time is over",
    breaks: "T1",
    file: "src/node/ring/operational.ts",
    find: "if (fresh > 0 && mayKeep(state, visit, now))",
    replace: "if (visit.keeps < 100)",
  },
  {
    rule: "what is sent while the token is kept has numbers behind those before",
    breaks: "V3",
    file: "src/node/ring/operational.ts",
    find: "const fresh = originate(state, visit.queue, visit.seq, visit.allowed, out);",
    replace: "const fresh = originate(state, visit.queue, visit.token.seq, visit.allowed, out);",
  },
  {
    rule: "a token that is kept is forgotten when its ring breaks",
    breaks: "L1",
    file: "src/node/ring/transitions.ts",
    find: "  state.kept = undefined;\n  state.followed = undefined;\n",
    replace: "",
    from: 60,
  },
  {
    rule: "a restarted node never uses a ring sequence again",
    breaks: "V8",
    file: "src/node/ring/state.ts",
    find: "seq: options.storedRingSeq + 1",
    replace: "seq: 1",
  },
  {
    rule: "the ring sequence is stored before anything that follows is carried out",
    breaks: "V8",
    file: "src/node/thread/ring-host.ts",
    find: "return this.#store(() => this.#port.storage.storeRingSeq(action.ringSeq));",
    replace: "return queueMicrotask(() => this.#port.storage.storeRingSeq(action.ringSeq));",
  },
  {
    rule: "quorum is more than half of the votes",
    breaks: "Q1",
    file: "src/node/quorum/needed.ts",
    find: "Math.floor(votes / 2) + 1",
    replace: "Math.floor(votes / 2)",
  },
  {
    rule: "what is held is answered only when every member has received it",
    breaks: "F1",
    file: "src/fs/disk/acknowledgement.ts",
    find: "if (needs.stable && delivery > this.#stable) return false;",
    replace: "",
    from: 136,
    seconds: 120,
  },
  {
    rule: "what was only ordered is owed to whoever asks for more",
    breaks: "F2",
    file: "src/fs/answers.ts",
    find: 'if (promised !== "durable" && durability !== "strict") {',
    replace: 'if (promised === "held") {',
    from: 7,
    seconds: 120,
  },
  {
    rule: "a change is answered when it has come back, not when it is sent",
    breaks: "F5",
    file: "src/fs/callers.ts",
    find: "    this.#callers.set(this.#token, { answer: resolve, promised, executed });\n",
    replace:
      '    if (promised === "ordered") resolve({ ok: true, value: 0 });\n    else this.#callers.set(this.#token, { answer: resolve, promised, executed });\n',
  },
  {
    rule: "nothing is answered before the members have agreed on the epoch",
    breaks: "F5",
    file: "src/fs/disk/acknowledgement.ts",
    find: "if (!this.#isSynced || !this.#isQuorate || !this.#standing.isAgreed) return;",
    replace: "if (!this.#isSynced || !this.#isQuorate) return;",
  },
  {
    rule: "fsync waits until a majority's disks have what was only ordered before",
    breaks: "F2",
    file: "src/fs/answers.ts",
    find: "const needs = needsOf(promised, this.#options.durability);\n    // In",
    replace: 'const needs = needsOf("held", this.#options.durability);\n    // In',
    from: 7,
    seconds: 120,
  },
  {
    rule: "what is promised so is answered when a majority's disks have it",
    breaks: "F2",
    file: "src/fs/disk/acknowledgement.ts",
    find: "return !needs.majority || majority === undefined || version <= majority;",
    replace: "return true;",
    from: 24,
    seconds: 120,
  },
  {
    rule: "the tree of the newest epoch leads a state exchange, not the highest version",
    breaks: "F2",
    file: "src/fs/replica/dcdb.ts",
    find: 'ranks === "byVersion" ? 0 : (ranks[i] ?? 0) - (ranks[at] ?? 0)',
    replace: 'ranks === "byVersion" || i + at >= 0 ? 0 : 1',
    from: 32,
    seconds: 120,
  },
  {
    rule: "a disk is said to have what was flushed, not what is to be",
    breaks: "F2",
    file: "src/fs/epoch/epochs.ts",
    find: "const version = this.#durableVersion;",
    replace: "const version = Math.max(...component.awaited.values(), this.#durableVersion ?? 0);",
    from: 32,
    seconds: 120,
  },
  {
    rule: "a majority is more than half of the votes",
    breaks: "F2",
    file: "src/fs/epoch/votes-needed.ts",
    find: "Math.max(quorum, ofNodes - leastQuorate + 1)",
    replace: "Math.max(1, quorum - 1)",
    from: 32,
    seconds: 120,
  },
  {
    rule: "what a tree that is replaced had alone is kept and told",
    breaks: "F4",
    file: "src/fs/epoch/lost-changes.ts",
    find: "if (paths.length === 0) return undefined;",
    replace: "if (paths.length >= 0) return undefined;",
    from: 155,
    seconds: 120,
  },
  {
    rule: "an epoch that was never marked is counted to the next",
    breaks: "F4",
    file: "src/fs/epoch/epochs.ts",
    find: "isMarked ? version : Math.min(this.#followedFrom, version)",
    replace: "version",
    from: 64,
    seconds: 120,
  },
  {
    rule: "all nodes give a change the time of its sender",
    breaks: "F3",
    file: "src/fs/replica/dcdb.ts",
    find: "this.#tree.apply(operation.value, sender.nodeid, timeS)",
    replace: "this.#tree.apply(operation.value, sender.nodeid, timeS + Math.floor(now / 1000) % 2)",
  },
  {
    rule: "a ring that hears of another one forms one with it",
    breaks: "L1",
    file: "src/node/ring/gather.ts",
    find: 'if (!isGather && state.phase !== "operational") return;',
    replace: "if (!isGather) return;",
  },
  {
    rule: "a key is retired only when all send with the new one",
    breaks: "K1",
    isCalm: true,
    file: "src/node/thread/ring-host.ts",
    find: "return action.phase === 1 ? this.#switchKey() : this.#retireKey();",
    replace: "if (action.phase === 1) this.#switchKey();\n        return this.#retireKey();",
  },
  {
    rule: "credit for a request that the ring has taken is given back",
    breaks: "L1",
    file: "src/node/thread/client.ts",
    find: "this.#waitingBytes -= taken;",
    replace: "",
    seconds: 120,
  },
];

const voteMutants: readonly Mutant[] = [
  {
    rule: "the vote for one ring is never polled for the next",
    breaks: "Q2",
    file: "src/node/device/client.ts",
    find: "    this.#voting.ringChanged(ring);\n",
    replace:
      "    this.#voting.ringChanged(ring);\n    if (this.#voting.vote === 'ack') { this.#voting.resume(); this.#voting.set('ack', ring, now, out); }\n",
    votes: "ffsplit",
  },
  {
    rule: "no ACK leaves before every NACK of the round is confirmed",
    breaks: "Q3",
    file: "src/qnetd/vote/ffsplit.ts",
    find: "if (unconfirmed.length > 0) {",
    replace: "if (unconfirmed.length > 1000) {",
    votes: "ffsplit",
    from: 18,
  },
  {
    rule: "only the chosen partition gets the vote",
    breaks: "Q3",
    file: "src/qnetd/vote/ffsplit.ts",
    find: 'const vote = choice.partition.has(client.nodeId) ? "ack" : "nack";',
    replace: 'const vote = choice.partition.size > 0 ? "ack" : "nack";',
    votes: "ffsplit",
  },
  {
    rule: "the vote of a node lost in silence is not given away before that node gives it up",
    breaks: "Q3",
    file: "src/qnetd/vote/outstanding-votes.ts",
    find: "if (until <= now || !members.isDisjointFrom(partition)) continue;",
    replace: "if (until >= 0 || members.isDisjointFrom(partition)) continue;",
    votes: "lms",
    from: 72,
  },
  {
    rule: "a vote that is taken back is gone at once, not when the ring has heard of it",
    breaks: "Q4",
    file: "src/node/quorum/device.ts",
    find: "if (!castsVote && (before & voterFlags.deviceCastVote) !== 0) call.recount();",
    replace: "",
    votes: "ffsplit",
    from: 294,
  },
  {
    rule: "a client has no vote without its server",
    breaks: "Q4",
    file: "src/node/device/client.ts",
    find: "if (!this.#standsAlone() || !this.#voting.isSettled) this.#voting.refuse(now, out);",
    replace: "if (!this.#voting.isSettled) this.#voting.refuse(now, out);",
    votes: "ffsplit",
  },
  {
    rule: "a client that has lost its server connects again",
    breaks: "L3",
    file: "src/node/device/client.ts",
    find: "    const delayMs = fault.mayRetrySoon ? this.#random.below(longestMs) : refusedRetryMs;\n",
    replace:
      "    if (fault.mayRetrySoon) return;\n    const delayMs = refusedRetryMs + longestMs;\n",
    votes: "ffsplit",
  },
];

const deathMutants: readonly Mutant[] = [
  {
    rule: "whoever is heard lives, whatever was refused",
    breaks: "D2",
    file: "src/node/link/links.ts",
    find: "    this.#deaths.heard(peer.nodeid, out);\n",
    replace: "",
    refusalSeconds: 1200,
  },
  {
    rule: "a member is failed on evidence only when every other has found it too",
    breaks: "D1",
    file: "src/node/ring/deaths.ts",
    find: "if (!members.includes(nodeid) || !agrees(state, nodeid, ended)) return false;",
    replace: "if (!members.includes(nodeid)) return false;",
    refusalSeconds: 1200,
  },
  {
    rule: "a death starts a membership at once",
    breaks: "D2",
    file: "src/node/ring/deaths.ts",
    find: "  return ended.length > 0;\n",
    replace: "  return ended.length > state.members.length;\n",
    refusalSeconds: 1200,
  },
  {
    rule: "peers are asked also where there is no traffic",
    breaks: "D2",
    file: "src/node/link/links.ts",
    find: "const isSought = link.heartbeat.isUp && this.#deaths.isSought(peer.nodeid);",
    replace: "const isSought = false;",
    refusalSeconds: 1200,
  },
  {
    rule: "evidence against a member that it was wrong about counts for nothing for a while",
    breaks: "D3",
    file: "src/node/ring/deaths.ts",
    find: "until: now + quietMs",
    replace: "until: now",
    refusalSeconds: 3600,
  },
  {
    rule: "one refusal shows nothing",
    breaks: "D4",
    file: "src/node/link/evidence.ts",
    find: "const refusalsMin = 2;",
    replace: "const refusalsMin = 1;",
    refusalSeconds: 1200,
  },
];

export const mutants: readonly Mutant[] = [...ringMutants, ...voteMutants, ...deathMutants];
