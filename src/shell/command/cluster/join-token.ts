// `quorate join-token` and `quorate join-info`: what is carried from a member to a machine that shall join.
import * as v from "valibot";
import { joinTokens, madeJoinToken } from "../../answers/join.ts";
import { timeText } from "../../join/token-record.ts";
import { CommandFailure, exitOk, exitUsage } from "../../exit.ts";
import {
  decodeJoinInformation,
  encodeJoinInformation,
  looksLikeJoinInformation,
} from "../../join/join-information.ts";
import { cutJoinTokenText, decodeJoinToken, looksLikeJoinToken } from "../../join/join-token.ts";
import { nodePaths } from "../../paths.ts";
import { LocalApi } from "./local-api.ts";

export interface TokenOptions {
  readonly root: string;
  readonly lifetimeMs: number | undefined;
  readonly list: boolean;
  readonly revoke: string | undefined;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

export async function joinTokenCommand(options: TokenOptions): Promise<number> {
  const { root, lifetimeMs, list, revoke, json, write } = options;
  const api = new LocalApi(nodePaths(root).socket);
  if (revoke !== undefined) {
    await api.call(v.null(), "DELETE", `/join-tokens/${encodeURIComponent(revoke)}`);
    write(
      json
        ? `${JSON.stringify({ id: revoke, isRevoked: true })}\n`
        : `Join token ${revoke} is taken back.\n`,
    );
    return exitOk;
  }
  if (list) {
    const tokens = await api.call(joinTokens, "GET", "/join-tokens");
    if (json) write(`${JSON.stringify(tokens, undefined, 2)}\n`);
    else if (tokens.length === 0) write("There are no join tokens.\n");
    else for (const token of tokens) write(`${tokenLine(token)}\n`);
    return exitOk;
  }
  const words = lifetimeMs === undefined ? {} : { lifetime: Math.ceil(lifetimeMs / 1000) };
  const made = await api.call(madeJoinToken, "POST", "/join-tokens", words);
  if (json) write(`${JSON.stringify(made, undefined, 2)}\n`);
  else {
    write(`quorate join ${made.text}\n`);
    write(
      `\nOn the machine that shall join, as root. Good for one machine, until ${timeText(made.expiresAt)}.\n`,
    );
  }
  return exitOk;
}

function tokenLine({
  id,
  by,
  node,
  usedAt,
  expiresAt,
}: v.InferOutput<typeof joinTokens>[number]): string {
  const state =
    usedAt !== undefined
      ? `used by node '${node ?? "?"}' on ${timeText(usedAt)}`
      : `${node === undefined ? "open" : `taken by node '${node}'`} until ${timeText(expiresAt)}`;
  return `${id}  ${state}, made by ${by}`;
}

export interface InfoOptions {
  readonly root: string;
  /** A token or join information to be read instead. */
  readonly text: string | undefined;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

const joinSchema = v.looseObject({
  preferred_node: v.string(),
  nodelist: v.array(v.record(v.string(), v.string())),
  totem: v.record(
    v.string(),
    v.union([v.string(), v.record(v.string(), v.record(v.string(), v.string()))]),
  ),
});

/** Prints the join information of this node's cluster, or explains a text that somebody was given. */
export async function joinInfoCommand(options: InfoOptions): Promise<number> {
  const { root, text, json, write } = options;
  if (text !== undefined) return explain(text, json, write);
  const api = new LocalApi(nodePaths(root).socket);
  const known = await api.original(joinSchema, "GET", "/cluster/config/join");
  const own = known.nodelist.find(({ name }) => name === known.preferred_node) ?? {};
  const { pve_addr: ipAddress = "", pve_fp: fingerprint = "" } = own;
  const links = Object.entries(own).flatMap(([key, address]) => {
    const link = /^ring([0-7])_addr$/.exec(key)?.[1];
    return link === undefined ? [] : [[link, address] as const];
  });
  const information = {
    ipAddress,
    fingerprint,
    peerLinks: Object.fromEntries(links),
    totem: known.totem,
  };
  const line = encodeJoinInformation(information);
  if (json) write(`${JSON.stringify({ ...information, text: line }, undefined, 2)}\n`);
  else write(`${line}\n`);
  return exitOk;
}

function explain(text: string, json: boolean, write: (text: string) => void): number {
  const rows = looksLikeJoinToken(text) ? tokenRows(text) : informationRows(text);
  if (json) write(`${JSON.stringify(Object.fromEntries(rows), undefined, 2)}\n`);
  else for (const [name, value] of rows) write(`${`${name}:`.padEnd(14)}${value}\n`);
  return exitOk;
}

type Rows = readonly (readonly [string, string])[];

function tokenRows(text: string): Rows {
  const read = decodeJoinToken(text);
  if (!read.ok) throw new CommandFailure(read.reason, exitUsage);
  const { cluster, addresses, port, expiresAt, fingerprint } = read.value;
  return [
    ["kind", "join token, with a secret: it lets one machine in"],
    ["cluster", cluster],
    ["addresses", `${addresses.join(", ")} (port ${port})`],
    [
      "authority",
      Buffer.from(fingerprint)
        .toString("hex")
        .toUpperCase()
        .replace(/(..)(?=.)/g, "$1:"),
    ],
    ["expires", timeText(expiresAt)],
  ];
}

function informationRows(text: string): Rows {
  if (!looksLikeJoinInformation(text)) {
    const cut = cutJoinTokenText(text);
    throw new CommandFailure(
      cut === "" ? "that is neither a join token nor join information" : cut,
      exitUsage,
    );
  }
  const read = decodeJoinInformation(text);
  if (!read.ok) throw new CommandFailure(read.reason, exitUsage);
  const { ipAddress, fingerprint, peerLinks, totem } = read.value;
  const { cluster_name: cluster, config_version: version } = totem;
  return [
    ["kind", "join information, without a secret: the root password of the member is needed"],
    ["cluster", typeof cluster === "string" ? cluster : ""],
    ["address", ipAddress],
    ["fingerprint", fingerprint],
    ...Object.entries(peerLinks).map(([link, address]) => [`link ${link}`, address] as const),
    ["made at", `config_version ${typeof version === "string" ? version : "?"}`],
  ];
}
