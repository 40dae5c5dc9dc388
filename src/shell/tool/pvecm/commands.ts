// What pvecm's commands take, as data (pvecm.md §1.1 to §1.13): parsing, usage and help come from it.
import { clusterNameLengthMax } from "../../conf/fresh.ts";
import { linksMax } from "../../conf/cluster-conf.ts";
import { looksLikeToken } from "../../../qnetd/enrol/enrolment-token.ts";
import {
  boolean,
  cidr,
  formatted,
  integer,
  ip,
  link,
  nodeName,
  patterned,
  type PvecmCommand,
  type PvecmOption,
  string,
  usageOf,
} from "./words.ts";

const links: Readonly<Record<string, PvecmOption>> = Object.fromEntries(
  Array.from({ length: linksMax }, (_, number) => [`link${number}`, link(number)]),
);
const nodeid = integer(1, "Node id for this node.");
const votes = integer(0, "Number of votes for this node.");
const node = formatted(nodeName, "The cluster node name.");

const create: PvecmCommand = {
  name: "create",
  description:
    "Generate new cluster configuration. If no links given, default to local IP address as link0.",
  positional: ["clustername"],
  options: {
    clustername: formatted(nodeName, "The name of the cluster.", clusterNameLengthMax),
    ...links,
    nodeid,
    "token-coefficient": integer(0, "Token coefficient to set in the corosync configuration."),
    votes: integer(1, "Number of votes for this node."),
  },
};

const add: PvecmCommand = {
  name: "add",
  description: "Adds the current node to an existing cluster.",
  positional: ["hostname"],
  options: {
    fingerprint: patterned(
      /^(?:[A-Fa-f0-9]{2}:){31}[A-Fa-f0-9]{2}$/,
      "Certificate SHA 256 fingerprint.",
    ),
    force: boolean("Do not throw error if node already exists."),
    hostname: string("Hostname (or IP) of an existing cluster member."),
    ...links,
    nodeid,
    use_ssh: boolean("Always use SSH to join, even if peer may do it over API."),
    votes,
  },
};

const addnode: PvecmCommand = {
  name: "addnode",
  description: "Adds a node to the cluster configuration. This call is for internal use.",
  positional: ["node"],
  options: {
    apiversion: integer(0, "The JOIN_API_VERSION of the new node."),
    force: boolean("Do not throw error if node already exists."),
    ...links,
    new_node_ip: formatted(
      ip,
      "IP Address of node to add. Used as fallback if no links are given.",
    ),
    node,
    nodeid,
    votes,
  },
};

const setup: PvecmCommand = {
  name: "qdevice setup",
  description: "Setup the use of a QDevice",
  positional: ["address"],
  options: {
    address: formatted(
      (word) => (looksLikeToken(word) || word === "-" ? "" : ip(word)),
      "Specifies the network address of an external corosync QDevice",
    ),
    force: boolean("Do not throw error on possible dangerous operations."),
    network: formatted(cidr, "The network which should be used to connect to the external qdevice"),
  },
};

const mtunnel: PvecmCommand = {
  name: "mtunnel",
  description: "Used by VM/CT migration - do not use manually.",
  positional: [],
  options: {
    get_migration_ip: boolean("return the migration IP, if configured"),
    migration_network: formatted(
      cidr,
      "the migration network used to detect the local migration IP",
    ),
    "run-command": boolean("Run a command with a tcp socket as standard input."),
  },
  takesExtra: true,
};

const updatecerts: PvecmCommand = {
  name: "updatecerts",
  description: "Update node certificates (and generate all needed files/directories).",
  positional: [],
  options: {
    force: boolean("Force generation of new SSL certificate."),
    silent: boolean("Ignore errors (i.e. when cluster has no quorum)."),
    "unmerge-known-hosts": boolean("Unmerge legacy SSH known hosts."),
  },
};

const plain = (name: string, description: string): PvecmCommand => ({
  ...{ name, description, positional: [], options: {} },
});

/** In the order of the overview. */
export const pvecmCommands: readonly PvecmCommand[] = [
  add,
  addnode,
  plain("apiver", "Print the version of the cluster join API available on this node."),
  create,
  {
    name: "delnode",
    description: "Removes a node from the cluster configuration.",
    positional: ["node"],
    // As the original, which looks for a name or an address.
    options: { node: string("The cluster node name.") },
  },
  {
    name: "expected",
    description: "Tells corosync a new value of expected votes.",
    positional: ["expected"],
    options: { expected: integer(1, "Expected votes") },
  },
  {
    name: "keygen",
    description: "Generate new cryptographic key for corosync.",
    positional: ["filename"],
    options: { filename: string("Output file name") },
  },
  mtunnel,
  plain("nodes", "Displays the local view of the cluster nodes."),
  plain("qdevice remove", "Remove a configured QDevice"),
  setup,
  plain("status", "Displays the local view of the cluster status."),
  updatecerts,
];

export type FoundCommand =
  | { readonly kind: "command"; readonly command: PvecmCommand; readonly rest: readonly string[] }
  | { readonly kind: "help"; readonly rest: readonly string[] }
  /** Whole lines for standard error. */
  | { readonly kind: "unknown"; readonly complaint: string };

/** Finds the command of a line by unique beginnings of its words. */
export function findCommand(args: readonly string[]): FoundCommand {
  const [first = "", second = "", ...others] = args;
  if (first === "") return { kind: "unknown", complaint: overview("", "no command specified") };
  const names = [...new Set(pvecmCommands.map(({ name }) => name.split(" ")[0] ?? "")), "help"];
  const name = unique(names, first);
  if (name === undefined) {
    return { kind: "unknown", complaint: overview("", `unknown command 'pvecm ${first}'`) };
  }
  if (name === "help") return { kind: "help", rest: args.slice(1) };
  const whole = pvecmCommands.find((each) => each.name === name);
  if (whole !== undefined) return { kind: "command", command: whole, rest: args.slice(1) };
  if (second === "") return { kind: "unknown", complaint: overview(name, "no command specified") };
  const inner = pvecmCommands.filter((each) => each.name.startsWith(`${name} `));
  const verb = unique(
    inner.map((each) => each.name.slice(name.length + 1)),
    second,
  );
  const command = inner.find((each) => each.name === `${name} ${verb ?? ""}`);
  if (command !== undefined) return { kind: "command", command, rest: others };
  const complaint = overview(name, `unknown command 'pvecm ${name} ${second}'`);
  return { kind: "unknown", complaint };
}

/** The only name that begins so, or the one that is it. */
function unique(names: readonly string[], beginning: string): string | undefined {
  if (names.includes(beginning)) return beginning;
  const fitting = names.filter((name) => name.startsWith(beginning));
  return fitting.length === 1 ? fitting[0] : undefined;
}

/** `within`: "" or "qdevice"; `complaint`: "" or what is wrong. */
export function overview(within: string, complaint: string): string {
  const program = within === "" ? "pvecm" : `pvecm ${within}`;
  const inner = pvecmCommands.filter(({ name }) => within === "" || name.startsWith(`${within} `));
  return [
    ...(complaint === "" ? [] : [`ERROR: ${complaint}`]),
    `USAGE: ${program} <COMMAND> [ARGS] [OPTIONS]`,
    ...inner.map((command) => `       ${usageOf(command)}`),
    ...(within === "" ? ["", "       pvecm help [<extra-args>] [OPTIONS]"] : []),
    "",
  ].join("\n");
}

/** `pvecm help [command] [--verbose]`; undefined: there is no such command. */
export function helpText(args: readonly string[]): string | undefined {
  const words = args.filter((word) => !/^--?v/.test(word));
  const isVerbose = words.length < args.length;
  if (words.length === 0) {
    return isVerbose ? pvecmCommands.map(commandHelp).join("\n") : overview("", "");
  }
  const found = findCommand(words);
  if (found.kind === "command") return commandHelp(found.command);
  return words.length === 1 && unique(["qdevice"], words[0] ?? "") !== undefined
    ? overview("qdevice", "")
    : undefined;
}

function commandHelp(command: PvecmCommand): string {
  const { description, options, positional } = command;
  const names = [
    ...positional,
    ...Object.keys(options)
      .filter((each) => !positional.includes(each))
      .toSorted(),
  ];
  const texts = names.map((name) => {
    const { form = "", description: text = "" } = options[name] ?? {};
    const shown = positional.includes(name) ? `<${name}>` : `-${name}`;
    return `  ${shown.padEnd(10)} ${form}\n\n             ${text}\n`;
  });
  return [`USAGE: ${usageOf(command)}`, "", `  ${description}`, "", ...texts].join("\n");
}
