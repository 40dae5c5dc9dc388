// What the arbiter's screen says.
import type { deviceCheckNames } from "../../../answers/device.ts";

const checkNames: Readonly<Record<(typeof deviceCheckNames)[number], string>> = {
  reach: "Is it reached?",
  server: "Is it a vote server?",
  tls: "Is it the right one?",
  vote: "Has the node its vote?",
};

export const arbiterWords = {
  title: "Arbiter",
  text: "A vote server on a machine that is no node. It holds no data of the cluster, and needs little: with an even number of nodes it gives one half its vote when the other is lost.",
  none: "There is no arbiter.",
  fits: (nodes: number) =>
    `With ${nodes} voting nodes an arbiter lets one more fail, or one half go on.`,
  odd: (nodes: number) =>
    `${nodes} voting nodes decide by themselves. An arbiter would have ${nodes - 1} votes: then the last node with it carries on, and without it no node may be lost.`,
  oddSure: "Set it up all the same",

  // As it is.
  state: "As this node sees it",
  where: "Where",
  algorithm: "Algorithm",
  algorithms: {
    ffsplit: "ffsplit: of two halves one gets the vote",
    lms: "lms: the last one standing carries on",
  } as Readonly<Record<string, string>>,
  tieBreaker: "Of two equal halves",
  tieBreakers: {
    lowest: "the one with the lowest node id",
    highest: "the one with the highest node id",
  } as Readonly<Record<string, string>>,
  votes: "Votes",
  tls: "TLS",
  tlsActive: (mode: string) => `on (${mode})`,
  tlsOff: "off",
  tlsAway: (mode: string) => `${mode}, not connected`,
  tlsUnused: "on, but this connection has none",
  connected: "Connected",
  connectedFor: (age: string) => `for ${age}`,
  client: "Client",
  vote: "Vote",
  heard: "Last heard",
  heardNotYet: "not yet",
  heardAway: "not connected",
  hasVote: "votes",
  noVote: "no vote here",
  waits: "awaited",
  notMember: "not in the cluster",
  notAsked: "does not say",
  notRunning: "runs none",
  nodes: "Nodes and their votes",
  parityTitle: "Does it fit the number of nodes?",

  // Test.
  test: "Test now",
  testText:
    "Every node that is here connects to the vote server, as its client does, and takes the connection away again. No vote changes. The protocol tells no version of the server.",
  testing: "Testing …",
  tested: (node: string, where: string) => `From ${node} to ${where}`,
  checks: checkNames,
  skipped: "not tried",

  // Set-up.
  setUp: "Set it up",
  step1: "1. On the arbiter's machine",
  step1Text:
    "As root there, for the invitation is made with the key of its authority, which no other machine has. It needs 5403/tcp open for all nodes.",
  step1Install: "Where no vote server runs yet, with the file of quorate on it:",
  step1InstallCommand: "Command that installs the vote server",
  step1Invite:
    "Then an invitation for this cluster; add --address ADDRESS if nodes reach it by another one:",
  step1InviteCommand: "Command that makes the invitation",
  step2: "2. Here",
  token: "Token of the invitation",
  tokenHint: "The word that begins with quorate1. – good once, for an hour",
  check: "Check",
  setUpNow: "Set the arbiter up",
  setUpTitle: "The arbiter is being set up",
  plain: "Without TLS, by its address",
  plainText:
    "For an original corosync-qnetd without TLS. With TLS an original needs its certificate: pvecm qdevice setup ADDRESS on a node, by root's ssh.",
  host: "Address of the vote server",
  port: "Port",
  goes: "Its steps are above.",

  // Away with it.
  remove: "Take it away",
  removeText:
    "The vote goes on all nodes; nothing else changes. To replace it, take it away, then set the other one up.",
  removeCheck: "Show what it would do",
  removeNow: "Remove the arbiter",
  removeTitle: "The arbiter is being removed",
  removeParity:
    "Remove the arbiter before a node goes for good, and set it up again when the number of nodes is even.",
} as const;
