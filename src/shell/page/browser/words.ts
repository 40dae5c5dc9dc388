// All English of the page, so that another language is another file of this form; what one screen alone says is beside it in words/. Sentences with numbers
// are functions: languages differ in them.
import { arbiterWords } from "./words/arbiter.ts";
import { effects } from "./words/emergency.ts";
import { joinCheckWords } from "./words/joining.ts";
import { removal } from "./words/removal.ts";

export const title = "quorate";

const numbers = ["No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];

function many(count: number, one: string, more = `${one}s`): string {
  return `${count} ${count === 1 ? one : more}`;
}

export const words = {
  ...{ removal, arbiterScreen: arbiterWords, checking: joinCheckWords, effects },

  // Everywhere.
  noName: "(no name)",
  unknown: "unknown",
  days: (count: number) => many(count, "day"),
  ago: (what: string) => `${what} ago`,
  here: "this node",
  copy: "Copy",
  copied: "Copied",
  notCopied: "Select it and copy it yourself",
  close: "Close",
  cancel: "Cancel",
  back: "Back",
  next: "Next",
  loading: "Reading …",
  busy: "Working …",
  again: "Try again",
  skip: "Skip to the content",

  // Answers of the node.
  notReachable:
    "This node does not answer. It may be restarting, or show another certificate since: then load this page anew",
  tooLate: "The node has not answered within 30 seconds",
  strangeAnswer:
    "The answer is not what this page knows: load the page anew, the node may run another version",
  refusedWith: (status: number) => `The node refused it (${status})`,
  noRight: "You may not see this: it needs the privilege Sys.Audit on /",
  noRightChange: "This is for root@pam alone.",
  noAnswer: "No answer",
  notRead: "Not read",
  lastRead: (time: string) => `last read ${time}`,
  stale: (age: string) => `What you see is ${age} old`,

  // Frame.
  screens: {
    first: "Begin",
    overview: "Overview",
    nodes: "Nodes",
    links: "Links",
    joining: "Join information",
    remove: "Remove a node",
    arbiter: "Arbiter",
    log: "Log and tasks",
    alerts: "Alerts",
    configuration: "Configuration",
    files: "Files",
    emergency: "Emergency",
  },
  menu: "Screens",
  logOut: "Log out",
  loggedInAs: (user: string) => `Logged in as ${user}`,
  theme: "Colours",
  themes: { auto: "as the system", light: "light", dark: "dark" },
  live: "live",
  notLive: "every 5 s",
  liveHint: "Changes are shown as they happen",
  notLiveHint: "The node's events do not come: it is asked every 5 seconds",
  node: "Node",

  // Login.
  logIn: "Log in",
  user: "User",
  userHint: "With its realm, as root@pam",
  password: "Password",
  code: "Code",
  codeKinds: {
    totp: "Code of the authenticator app",
    recovery: "Recovery key",
    yubico: "Yubico code",
  },
  codeNeeded: "A second factor is wanted.",
  loginFailed:
    "That is not right, or too old. Look at user, realm, password and the clock of the code.",
  loginEnded: "The session has ended: log in again.",
  loginJoining: (cluster: string) =>
    `This node is joining ${cluster}, or has joined it: log in as on its other nodes.`,
  aCluster: "a cluster",
  emptyField: "This is needed",

  // Verdict.
  quorate: "Quorate",
  notQuorate: "Not quorate",
  standalone: "Standalone",
  standaloneSentence: "Standalone: this node is in no cluster and needs no other.",
  votesHave: (have: number, expected: number, needed: number) =>
    `${have} of ${many(expected, "vote")}, ${needed} needed.`,
  mayFail: (count: number) => {
    if (count === 0) return "No further node may fail.";
    return `${numbers[count] ?? count} more ${count === 1 ? "node" : "nodes"} may fail.`;
  },
  waitsForAll: "It waits until all nodes were seen once; changes are refused until then.",
  votesMissing: (count: number) =>
    `${many(count, "more is", "more are")} needed. Reading works, changes are refused.`,

  // Overview.
  votes: "Votes",
  votesCount: (count: number) => many(count, "vote"),
  present: "present",
  absent: "absent",
  needed: (count: number) => `${count} needed`,
  arbiter: "arbiter",
  noVotes: "This cluster counts no votes.",
  warnings: "What to do",
  noWarnings: "Nothing needs attention.",
  nodes: "Nodes",
  nodesOnline: (online: number, all: number) => `${online} of ${all} online`,
  links: "Links",
  noLinks: "no other node",
  linkGood: (count: number) => `${many(count, "link")}, all connected`,
  linkWorst: (name: string, link: number) => `${name}, link ${link}`,
  arbiterTitle: "Arbiter",
  arbiterNone: "none",
  arbiterVotes: "has its vote here",
  arbiterNoVote: "gives no vote here",
  arbiterWaits: "its answer is awaited",
  heartbeat: (age: string) => `heard ${age} ago`,
  configuration: "Configuration",
  configurationVersion: (version: number) => `version ${version}`,
  configurationSame: "all nodes run it",
  configurationSameHere: "all that answer run it",
  configurationDiffers: "not all nodes run it",
  certificates: "Certificates",
  certificateDays: (days: number) => `${words.days(Math.floor(days))} left`,
  noCertificates: "none yet",
  operation: "Under way",
  operationStep: (kind: string, step: string) => `${kind}: ${step}`,
  do: {
    go: (screen: string) => `Go to ${screen}`,
    type: "Type on a node:",
  },

  // Nodes.
  name: "Name",
  state: "State",
  id: "Id",
  addresses: "Addresses",
  online: "online",
  offline: "offline",
  unreachable: "in reach, not a member",
  version: "Version",
  link: (number: number) => `Link ${number}`,

  votesNow: (votes: number) => `(${votes} now)`,
  uptime: "Runs",
  runsSince: (time: string, since: string) => `for ${time}, since ${since}`,
  certificateEnd: (days: number, date: string) =>
    days < 0 ? `expired on ${date}` : `until ${date}, ${words.days(days)}`,
  lacks: "What it lacks",
  lacksNothing: "It lacks nothing",
  lacksTree: (reason: string) => `Its tree cannot be changed: ${reason}`,
  lacksVersion: (its: number, ours: number) =>
    `It runs version ${its} of corosync.conf, this node version ${ours}`,
  of: (name: string) => `of ${name}`,
  change: { votes: "Change votes", addresses: "Change addresses", name: "Change the name" },
  changeNow: "Change it",
  votesOf: "Votes",
  votesOfHint: "For good, in corosync.conf of all nodes; 0: it counts for nothing",
  addressOf: (link: number) => `Address on link ${link}`,
  addressOfHint: (now: string) => `Now ${now}; the node must have the new one already`,
  nameOf: "Name",
  nameOfHint: "In corosync.conf and in the tree; the machine itself is renamed by hand afterwards",

  // Changes of links.
  linkChange: {
    title: "Change links",
    text: "On all nodes at once, while the others carry the ring; what does not come up is taken back.",
    priority: (link: number) => `Priority of link ${link}`,
    remove: (link: number) => `Remove link ${link}`,
    addressOf: "Address of",
    addressHint: "In a network of its own; the node must have the address already",
    priorityField: "Priority",
    priorityHint: "0 to 255; of the links that work the one with the highest carries the ring",
  },

  // Charts.
  chart: {
    overTime: "Over time",
    span: "How long",
    spans: { hour: "Hour", day: "Day", month: "Month" },
    moment: (chart: string) => `Moment of: ${chart}`,
    figures: (lowest: string, median: string, highest: string) =>
      `lowest ${lowest}, median ${median}, highest ${highest}`,
    ends: (lowest: string, highest: string) => `lowest ${lowest}, highest ${highest}`,
    between: (low: string, high: string) => `${low} to ${high}`,
    range: (value: string, low: string, high: string) => `${value} (${low} to ${high})`,
    nothing: "Nothing is recorded yet.",
    asTable: "As a table",
    from: "From",
    needed: "needed",
    members: "Members",
    writes: "Changes of the tree",
    perSecond: (count: number) => `${Number(count.toPrecision(2))} /s`,
    latency: "Latency",
    loss: "Loss",
    show: "Over time",
    pairHint:
      "The line is the median of a minute's pings, the area from the fastest to the slowest.",
  },

  // Links.
  matrix: "From each node to each other",
  matrixHint:
    "Latency is the median of the last minute's pings, loss their share without an answer.",
  from: "From",
  to: (name: string) => `to ${name}`,
  itself: "itself",
  connected: "connected",
  disconnected: "not connected",
  disabled: "off",
  loss: (text: string) => `${text} lost`,
  mtu: (bytes: number) => `MTU ${bytes}`,
  changed: (what: string, age: string) => `${what} ${age} ago`,
  up: "up",
  down: "down",
  notAsked: "not a member: it is not asked",
  faults: "Faults",

  // Tasks.
  taskRuns: "runs",
  taskDone: "done",
  taskFailed: (why: string) => `failed: ${why}`,
  taskLog: "Log of the task",
  taskSilence:
    "A node that joins takes the cluster's certificate and logins: load this page anew, and log in as there.",
  reloadPage: "Load this page anew",
  hide: "Hide it (it goes on)",

  // First screen.
  welcome: (node: string) => `${node}: what shall it be?`,
  createTitle: "Create a cluster",
  createText: "This node becomes the first of a new cluster; others join it afterwards.",
  joinTitle: "Join a cluster",
  joinText:
    "This node becomes a member of a cluster that is there: by a one-time token, or by a member's password.",
  clusterName: "Name of the cluster",
  clusterNameHint: "Up to 15 letters, digits and dashes; it stays for good",
  linkAddress: (link: number) => `Address of this node, link ${link}`,
  linkHintFirst: "Empty: the address that this node's name has",
  linkHint: "In another network: it takes over when the first fails",
  addLink: "Add a link",
  removeLink: (link: number) => `Without link ${link}`,
  check: "Check",
  checkAgain: "Check again",
  createNow: (name: string) => `Create ${name}`,
  plan: "What will be done",
  planFiles: "The files, before and after",
  pasted: "Join token, or join information",
  pastedHint: "Made on a member: screen Join information, or quorate join-token there",
  members: "Members to ask",
  fingerprint: "Fingerprint of the member's certificate",
  fingerprintAuthority: "Fingerprint of the cluster's authority",
  goodUntil: "Good until",
  expired: "expired: make a new one",
  ownAddresses: "Addresses of this node",
  ownAddressHint: "Empty: the one in the network of the members",
  checks: "Checks",
  checksGood: "Nothing stands against it",
  joinNow: (name: string) => `Join ${name}`,
  peerPassword: "Password of root@pam on that member",
  peerPasswordHint: "With a second factor there, use a join token instead",

  // Join information.
  joiningText:
    "Give one of these to a machine that runs a standalone node; its page asks for it under Join a cluster.",
  tokens: "One-time tokens",
  tokensText: "A token lets one machine in, once, without any password.",
  lifetime: "Good for",
  lifetimes: (seconds: number) =>
    seconds < 3600
      ? `${seconds / 60} minutes`
      : seconds === 3600
        ? "1 hour"
        : `${seconds / 3600} hours`,
  newToken: "New token",
  tokenSecret: (until: string) =>
    `Keep it to yourself: whoever has it joins the cluster, until ${until}. It is not shown again.`,
  tokenLabel: "Join token",
  tokenOrType: "Or type on that machine, as root:",
  tokenCommand: "Command that joins",
  tokenQr: "The token as a QR code",
  noTokens: "There is none.",
  createdBy: "Made by",
  revoke: "Revoke",
  tokenOpen: "open",
  tokenUsed: "used",
  information: "Join information",
  informationText:
    "It holds no secret: whoever joins with it types the password of root@pam of this node.",
  address: "Address",

  // Alerts.
  alertsOpen: "Open",
  alertsOver: "Over lately",
  alertsNone: "No alert is open.",
  since: "Since",
  alertEffect: "Effect",
  alertNext: "Next step",
  alertTold: "Told",
  alertMuted: (until: string) => `muted until ${until}`,
  alertWaits: (channels: string) => `not yet by ${channels}`,
  alertToldNobody: "to nobody",
  alertSent: (node: string, at: string) => `by ${node}, ${at}`,
  mute: (time: string) => `Mute for ${time}`,
  unmute: "Send it again",
  alertChannels: "Who is told",
  alertSender: "One member sends for all, now",
  alertNoSender: "Nobody is ready to send yet.",
  alertNobody: "Nobody is told: set webhook or mail-to below.",
  alertChannel: { webhook: "webhook", mail: "mail", log: "log" },
  alertQuietNow: "It is a quiet time: only what is urgent is sent.",
  alertTest: "Send a test",
  alertSettings: "Settings",
  alertSettingsText:
    "They hold for the whole cluster. Secrets are kept where only root reads them, and are not shown again.",
  alertSettingsRoot: "Settings are for root@pam alone.",
  alertSecretSet: (what: string) => `set: ${what}`,
  save: "Save",
  takeAway: "Take away",

  // Log and tasks.
  entryKinds: { log: "log", task: "task", event: "event" },
  taskEntry: (name: string, state: string) => `${name}: ${state}`,
  filter: "Filter",
  all: "all",
  kind: "Kind",
  search: "Text",
  onlyTrouble: "warnings and errors only",
  export: (count: number) => `Save ${many(count, "line")}`,
  timeZone: (zone: string) => `Times are of ${zone}`,
  nothingFound: "Nothing is to be shown.",
  more: (count: number) => `${count} more`,

  // Configuration.
  confText: "The corosync.conf that all nodes have; a change reaches them within a moment.",
  confUnreadable: "This is no corosync.conf that could be read",
  key: "Key",
  value: "Value",
  meaning: "What it does",
  edit: "Edit",
  editConfHint:
    "Each state is checked by this node as you type; config_version is raised by itself",
  editHint: "Each state is checked by this node as you type",
  editNoText: "It is no text: it cannot be edited here.",
  editTooLong: "It is too long to be edited here; /etc/pve on any node takes it.",
  editReturns:
    "Its lines end in carriage returns, which a browser would lose: edit it below /etc/pve on any node.",
  fileGood: "The node would take it",
  written: "It is written: the cluster has it.",
  difference: "What would change",
  confGood: "All nodes could use it",
  saveConf: "Write it",
  confKeys: {
    "totem.version": "The form of this file; always 2",
    "totem.cluster_name": "The name of the cluster; part of its certificates",
    "totem.config_version": "Counts the changes: nodes take the file with the higher one",
    "totem.transport": "How nodes reach each other: knet has several links and encryption",
    "totem.secauth": "on: all packets are encrypted and authenticated",
    "totem.crypto_cipher": "How packets are encrypted",
    "totem.crypto_hash": "How packets are authenticated",
    "totem.ip_version": "Which address a name gives when it has both kinds",
    "totem.link_mode": "passive: one link carries all, the others stand by",
    "totem.token": "Milliseconds without the token until a node is missed",
    "totem.token_coefficient": "Milliseconds more for each node beyond two",
    "totem.interface.linknumber": "Which link the section is about",
    "totem.interface.knet_link_priority":
      "Of several links the one with the highest carries the ring",
    "totem.interface.mcastport": "The UDP port of this link",
    "nodelist.node.name": "The node's name; its directory below /etc/pve/nodes",
    "nodelist.node.nodeid": "The node's number: in the ring and in votes",
    "nodelist.node.quorum_votes": "How much this node counts",
    "nodelist.node.ringN_addr": "Where this node is on that link",
    "quorum.provider": "Who counts the votes",
    "quorum.expected_votes": "Votes in all, where nodes do not say theirs",
    "quorum.two_node": "1: of two nodes each may go on alone",
    "quorum.wait_for_all": "1: after a start it waits until all nodes were seen once",
    "quorum.device.model": "The kind of arbiter: net is a vote server",
    "quorum.device.votes": "How much the arbiter counts",
    "quorum.device.net.host": "Where the vote server is",
    "quorum.device.net.algorithm": "ffsplit: one half gets the vote; lms: the last one standing",
    "quorum.device.net.tls": "Whether the vote server must show a certificate",
    "logging.debug": "on: many more lines in the log",
    "logging.to_syslog": "Whether corosync logs to the system's log",
  },

  // Files.
  place: "Place",
  size: "Size",
  changedAt: "Changed",
  treeVersion: "Version",
  treeVersionOf: (version: number) => `changed in version ${version} of the tree`,
  emptyFolder: "Nothing is in it.",
  generated: "made by the node",
  content: "Content",
  secret: "This is secret: a key, or for root alone.",
  showSecret: "Show it all the same",
  base64: "It is no text; this is its base64.",
  ofLargest: "Of the largest file that the tree takes, 1 MiB",

  // Emergency.
  optionWait: "1. Wait",
  optionWaitText:
    "A node that restarts, or a network that comes back, brings quorum by itself. This page shows it as it happens.",
  optionStart: "2. Start the missing nodes",
  optionStartText: "Look at their power, their network, and the service quorate-node on them:",
  missingSince: (age: string) => `missing for ${age}`,
  optionArbiter: "3. Use the arbiter",
  optionArbiterNone:
    "There is none. It can be set up only while the cluster is quorate: think of it afterwards.",
  optionWaitForAll: "4. Wait for nobody any more",
  optionWaitForAllText:
    "The votes would be enough; it waits for all nodes because it has just started. Whoever does not wait must be sure that the others are off.",
  waitForAllNow: "The others are off: do not wait",
  optionOverride: "4. Override the votes",
  optionOverrideText: (votes: number) =>
    `With ${many(votes, "expected vote")} this part becomes quorate. If the missing nodes run on, apart from here, both sides change the tree and start the same guests: data are lost. It ends by itself when their votes return, at the next change of corosync.conf, or when this node restarts, and stands in the log.`,
  overrideType: "Type this sentence",
  overrideSentence: "the other nodes are off",
  overrideNow: "Override the votes",
  showEffect: "Show what it would do",
  optionSeparate: "5. Separate this node",
  optionSeparateText:
    "This node forgets the cluster and goes on alone with a copy of the tree; it can only join anew afterwards. On this node, as root:",

  // Warnings.
  warnNoQuorum:
    "The cluster is not quorate: what is possible now is in the order of safety on the next screen.",
  warnTree: (node: string, reason: string) => `The tree cannot be changed on ${node}: ${reason}`,
  warnGoingBack: (kind: string) => `The change "${kind}" did not succeed and is being undone.`,
  warnLeftover: (kind: string, left: string) =>
    `The change "${kind}" left something to be done by hand: ${left}`,
  warnNodeFault: (name: string, fault: string) => `${name}: ${fault}`,
  warnAway: (name: string) => `${name} is not in the cluster: see when it went, and start it.`,
  warnVersions: (name: string, its: number, ours: number) =>
    `${name} runs version ${its} of corosync.conf, this node version ${ours}.`,
  warnOneLink:
    "There is one link only: when its network fails, every node is alone. A second network helps.",
  warnEven: (count: number) =>
    `With ${count} voting nodes no more may fail than with ${count - 1}: a vote server on a third machine gives one half its vote.`,
  warnOdd: (count: number) =>
    `${count} voting nodes decide by themselves: the arbiter adds a machine on which too much depends.`,
  warnDevice: (problem: string) => `The arbiter: ${problem}`,
  warnCertificate: (file: string, days: number) =>
    days <= 0
      ? `The certificate ${file} has expired.`
      : `The certificate ${file} expires in ${words.days(Math.floor(days))}.`,
} as const;
