// `quorate join`, and what `pvecm add` does: finds out whom to ask and who may ask, then has this machine's node join as a task, and
// follows it, over the restart of the node.
import * as v from "valibot";
import { interruptedStatus, isGoodEnd } from "../../answers/task-end.ts";
import { joinReport, joinTask } from "../../answers/join.ts";
import { NodeClient } from "../../api/client.ts";
import { answerOnTerminal } from "./terminal.ts";
import { readSecret } from "../../cli/secret.ts";
import { unifiedDifference } from "../../conf/difference.ts";
import { CommandFailure, exitFailed, exitOk, exitUsage } from "../../exit.ts";
import { authorityPath, fingerprintOf } from "../../join/authority.ts";
import { decodeJoinInformation, looksLikeJoinInformation } from "../../join/join-information.ts";
import {
  cutJoinTokenText,
  decodeJoinToken,
  type JoinToken,
  looksLikeJoinToken,
} from "../../join/join-token.ts";
import { timeText } from "../../join/token-record.ts";
import { nodePaths } from "../../paths.ts";
import { apiPort, RemoteNode, type SecondFactor } from "../../remote/remote-node.ts";
import {
  fingerprintBytes,
  type Trust,
  trustFingerprint,
  trustSystemOr,
} from "../../remote/trust.ts";
import { LocalApi, type Words } from "./local-api.ts";

export interface JoinOptions {
  readonly root: string;
  /** A member's name or address, a join token, join information, or "-": one of these in the first line of standard input. */
  readonly target: string;
  readonly fingerprint: string | undefined;
  /** Undefined: asked for. */
  readonly passwordFile: string | undefined;
  readonly port: number | undefined;
  /** As on the command line, by link number. */
  readonly links: ReadonlyMap<number, string>;
  readonly nodeid: number | undefined;
  readonly votes: number | undefined;
  readonly force: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly write: (text: string) => void;
  readonly note: (text: string) => void;
}

/** A question to a person: the answer, or a CommandFailure where there is nobody. */
export type Ask = typeof answerOnTerminal;

/** 0: this node is a member, now or already; a CommandFailure says why not, and that all is as before. */
export async function joinCommand(
  options: JoinOptions,
  ask: Ask = answerOnTerminal,
): Promise<number> {
  const target = await targetOf(options.target);
  const already = await memberOf(options, target);
  if (already !== "") {
    if (options.json)
      options.write(`${JSON.stringify({ cluster: already, isDone: true }, undefined, 2)}\n`);
    else options.write(`This node is a member of the cluster '${already}' already.\n`);
    return exitOk;
  }
  const words = { ...(await introduced(options, target, ask)), ...wishOf(options) };
  const api = new LocalApi(nodePaths(options.root).socket);
  return options.dryRun ? shown(options, api, words) : joined(options, api, words);
}

type Target =
  | { readonly kind: "token"; readonly token: JoinToken }
  | { readonly kind: "host"; readonly host: string; readonly fingerprint: string | undefined };

async function targetOf(given: string): Promise<Target> {
  const word =
    given === "-" ? await readSecret("-", "join token or join information") : given.trim();
  if (looksLikeJoinToken(word)) {
    const token = decodeJoinToken(word);
    if (!token.ok) throw new CommandFailure(token.reason, exitUsage);
    if (token.value.expiresAt * 1000 <= Date.now()) {
      throw new CommandFailure(
        `the join token expired on ${timeText(token.value.expiresAt)} by the clock of this machine: make a new one with "quorate join-token" on a member`,
      );
    }
    return { kind: "token", token: token.value };
  }
  if (looksLikeJoinInformation(word)) {
    const information = decodeJoinInformation(word);
    if (!information.ok) throw new CommandFailure(information.reason, exitUsage);
    const { ipAddress: host, fingerprint } = information.value;
    return { kind: "host", host, fingerprint };
  }
  const cut = cutJoinTokenText(word);
  if (cut !== "") throw new CommandFailure(cut, exitUsage);
  if (!/^[A-Za-z0-9:][A-Za-z0-9.:%-]{0,252}$/.test(word)) {
    throw new CommandFailure(
      'that is no name or address of a member, no join token ("quorate join-token") and no join information ("quorate join-info")',
      exitUsage,
    );
  }
  return { kind: "host", host: word, fingerprint: undefined };
}

/** The name of the cluster that this node and the target are in; "" when they are in none together. */
async function memberOf({ root }: JoinOptions, target: Target): Promise<string> {
  const node = new NodeClient(nodePaths(root).socket);
  const { cluster, nodes } = await node.status();
  if (cluster.name === "") return "";
  if (target.kind === "token" && target.token.cluster === cluster.name) {
    refuseOtherOfName(target.token, await node.read(authorityPath));
    return cluster.name;
  }
  if (target.kind === "token") return "";
  const isSame = nodes.some(
    ({ name, addresses, local }) =>
      !local && (name === target.host || addresses.includes(target.host)),
  );
  return isSame ? cluster.name : "";
}

/** Two clusters may have one name, and never one authority. `authority`: of this node's cluster. */
function refuseOtherOfName({ cluster, fingerprint }: JoinToken, authority: Uint8Array): void {
  const own = fingerprintOf(authority);
  if (!own.ok) throw new CommandFailure(own.reason);
  if (Buffer.compare(own.value, fingerprint) === 0) return;
  throw new CommandFailure(
    `this node is a member of another cluster that is named '${cluster}' too: its authority has the fingerprint ${colons(own.value)}, that of the token ${colons(fingerprint)}. To join that one, first leave this one (quorate leave), then type this again`,
  );
}

/** Whom the node asks, and with what. */
async function introduced(options: JoinOptions, target: Target, ask: Ask): Promise<Words> {
  const { port } = options;
  if (target.kind === "token") {
    const { addresses, port: own, fingerprint, secret } = target.token;
    return {
      hosts: addresses.join(","),
      port: port ?? own,
      trust: "authority",
      fingerprint: colons(fingerprint),
      token: Buffer.from(secret).toString("hex"),
    };
  }
  const { host } = target;
  const pinned = options.fingerprint ?? target.fingerprint;
  const stranger = new Stranger(host, ask);
  const trust = pinned === undefined ? stranger.trust : trustPinned(pinned);
  const node = new RemoteNode({ host, port: port ?? apiPort, trust });
  // Before a password is asked for: is it there, and who is it?
  const reach = () => node.get("/api2/json/access/ticket", {}, v.unknown());
  let reached = await reach();
  // Between two calls: no connection stays open for as long as somebody compares fingerprints.
  if (!reached.ok && (await stranger.isAccepted())) reached = await reach();
  if (!reached.ok && node.fingerprint === undefined) throw new CommandFailure(reached.reason);
  const password = await passwordOf(options, host, ask);
  const login = await node.login({
    user: "root@pam",
    password,
    secondFactor: ({ kinds }) => secondFactor(kinds, ask),
  });
  if (!login.ok) throw new CommandFailure(login.reason);
  const { session, fingerprint } = node;
  if (session === undefined || fingerprint === undefined) {
    throw new CommandFailure(
      `the node at ${host} took the login and gave no ticket: is it of another version?`,
    );
  }
  return {
    hosts: host,
    port: port ?? apiPort,
    ...{ trust: "certificate", fingerprint },
    ticket: session.ticket,
    csrf: session.csrf,
  };
}

function trustPinned(pinned: string): Trust {
  const bytes = fingerprintBytes(pinned);
  if (bytes === undefined) {
    throw new CommandFailure(
      "--fingerprint takes the SHA-256 of a certificate: 32 bytes in hex, with colons",
      exitUsage,
    );
  }
  return trustFingerprint(bytes);
}

/** A node for which the system's certificates may not vouch: then a person is asked about what it has shown. */
class Stranger {
  readonly #host: string;
  readonly #ask: Ask;
  #shown: string | undefined;
  #accepted: string | undefined;

  constructor(host: string, ask: Ask) {
    this.#host = host;
    this.#ask = ask;
  }

  readonly trust = trustSystemOr(async (fingerprint) => {
    this.#shown = fingerprint;
    return fingerprint === this.#accepted;
  });

  /** False: it has shown nothing to be asked about. Throws unless somebody says yes. */
  async isAccepted(): Promise<boolean> {
    const fingerprint = this.#shown;
    if (fingerprint === undefined) return false;
    const answer = await this.#ask(
      `The authenticity of host '${this.#host}' can't be established.\nX509 SHA256 key fingerprint is ${fingerprint}.\nAre you sure you want to continue connecting (yes/no)? `,
      { isHidden: false, otherwise: `give --fingerprint ${fingerprint} if that is the right one` },
    );
    if (answer.trim().toLowerCase() !== "yes")
      throw new CommandFailure("Fingerprint not verified, abort!");
    this.#accepted = fingerprint;
    return true;
  }
}

function passwordOf({ passwordFile }: JoinOptions, host: string, ask: Ask): Promise<string> {
  if (passwordFile !== undefined) return readSecret(passwordFile, "password");
  return ask(`Please enter superuser (root) password for '${host}': `, {
    isHidden: true,
    otherwise: "give --password-file FILE, or --password-file - for standard input",
  });
}

async function secondFactor(kinds: readonly string[], ask: Ask): Promise<SecondFactor | undefined> {
  const kind =
    (["totp", "recovery", "yubico"] as const).find((each) => kinds.includes(each)) ?? "totp";
  const names = {
    totp: "code of the authenticator app",
    recovery: "recovery key",
    yubico: "Yubico code",
  };
  const code = await ask(`Please enter the ${names[kind]}: `, {
    isHidden: true,
    otherwise: "root@pam there has a second factor: use a join token instead (quorate join-token)",
  });
  return code.trim() === "" ? undefined : { kind, code: code.trim() };
}

function wishOf({ links, nodeid, votes, force }: JoinOptions): Words {
  const addresses = [...links].map(([link, address]) => [`link${link}`, address] as const);
  return { ...Object.fromEntries(addresses), nodeid, votes, force };
}

async function shown({ json, write }: JoinOptions, api: LocalApi, words: Words): Promise<number> {
  const report = await api.call(joinReport, "POST", "/join", { ...words, "dry-run": true });
  if (json) {
    write(`${JSON.stringify(report, undefined, 2)}\n`);
    return exitOk;
  }
  const { cluster, links, effect, notes, before, after } = report;
  const addresses = Object.entries(links).map(([link, address]) => `link ${link}: ${address}`);
  write(`Would join the cluster '${cluster}' with ${addresses.join(", ")}.\n`);
  for (const note of notes) write(`Note: ${note}\n`);
  write(`${effect}\n`);
  if (before !== undefined && after !== undefined) {
    write(`\n${unifiedDifference("/etc/pve/corosync.conf", before, after)}`);
  }
  write(
    "\nThe old tree of this node would be kept as a backup, and its node started again as a member.\n",
  );
  return exitOk;
}

const givenUpText =
  "this join was given up meanwhile (`quorate join --abort`, or its task was asked to stop): this node is standalone, as before";

async function joined(
  { json, write, note }: JoinOptions,
  api: LocalApi,
  words: Words,
): Promise<number> {
  const { upid } = await api.call(joinTask, "POST", "/join", words);
  const status = await api.follow(upid, (line) => (json ? note : write)(`${line}\n`));
  const isDone = isGoodEnd(status);
  const notes = status === interruptedStatus ? { notes: [givenUpText] } : {};
  if (json) {
    write(`${JSON.stringify({ upid, status, isDone, ...notes }, undefined, 2)}\n`);
    return isDone ? exitOk : exitFailed;
  }
  if (!isDone) throw new CommandFailure(status === interruptedStatus ? givenUpText : status);
  return exitOk;
}

function colons(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex").toUpperCase();
  return hex.replace(/(..)(?=.)/g, "$1:");
}
