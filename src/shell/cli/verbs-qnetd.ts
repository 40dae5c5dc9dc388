// The table's part for `quorate qnetd`: run the vote server, ask it, look after its certificates. The original's programs under
// their own names are `command/qnetd-links.ts`; both end in the same code.
import { resolve } from "node:path";
import type { CAC } from "cac";
import { identity } from "../version.ts";
import { logger } from "./log.ts";
import { CommandFailure, exitUsage } from "../exit.ts";
import { portOfWord } from "./port-word.ts";
import { note, rootOption, textOf, wordOf, write } from "./words.ts";

/** The verbs, for help. */
export const qnetdUsage = [
  "(none)        run the vote server in the foreground",
  "status        clusters, nodes, and why each vote is what it is",
  "invite [CLUSTER]  a token for `quorate qdevice setup`; with --list or --revoke CLUSTER those that are open",
  "certificates [list|renew|import] [FILE.p12…]  its own, or those of an original server",
].join("\n");

type Options = Readonly<Record<string, unknown>>;

export function qnetdVerb(cli: CAC): void {
  rootOption(cli.command("qnetd [verb] [...args]", "Vote server for clusters (corosync-qnetd)"))
    .option("--listen <address>", "Serve on this address only (default: all)")
    .option("--port <port>", "TCP port, 5403 when not given (server, invite)")
    .option("--tls <off|on|required>", "on: a client may use it", { default: "on" })
    .option("--no-client-cert", "Do not ask clients for the certificate of their cluster")
    .option("--allow-plaintext", "Let clusters that have a certificate connect without TLS too")
    .option(
      "--max-clients <n>",
      "Refuse further nodes; 0: as many as memory and open files allow, at most 7168",
      { default: 0 },
    )
    .option(
      "--connections-per-address <n>",
      "At one time, from one address or IPv6 /64, those with a certificate apart; 0: no limit (default: 2048, at most half of all)",
    )
    .option(
      "--http <address>",
      "Serve a status page, /v1/status and /metrics, as 127.0.0.1:5480; there is no password",
    )
    .option("--set <name=value>", "Advanced setting of corosync-qnetd's -S; may be repeated")
    .option("--debug", "Log every decision")
    .option("--json", "For scripts (status, invite, certificates)")
    .option("--watch", "Follow until Ctrl-C (status)")
    .option("--address <address>", "Under which nodes reach this server; may be repeated (invite)")
    .option("--expires <time>", "As 30m, 1h, 2d (invite)")
    .option("--list", "Invitations that are open (invite)")
    .option("--revoke <cluster>", "Take back an invitation (invite)")
    .option("--let-server-sign", "Let the daemon's group read the authority's key (invite)")
    .option(
      "--password <text>",
      "Of the PKCS#12 files, none when not given; - asks for it (certificates import)",
    )
    .option("--password-file <file>", "The same in the first line of a file (certificates import)")
    .example("quorate qnetd")
    .example("quorate qnetd --root /mnt/data/quorate --tls required")
    .example("quorate qnetd status --watch")
    .example("quorate qnetd invite mycluster")
    .action(async (verb: string | undefined, args: readonly unknown[], options: Options) => {
      switch (verb) {
        case undefined:
          return serve(options);
        case "status": {
          const { qnetdStatusCommand } = await import("../command/qnetd-status.ts");
          return qnetdStatusCommand({
            socket: (await settingsOf(options)).localSocketFile,
            root: rootPrefix(options) || "/",
            json: options["json"] === true,
            watch: options["watch"] === true,
            isTerminal: process.stdout.isTTY,
            write,
          });
        }
        case "invite":
          return invite(args.map(String), options);
        case "certificates":
          return certificates(args.map(String), options);
        default:
          throw new CommandFailure(
            `"${verb}" is no verb of qnetd; see \`quorate qnetd --help\``,
            exitUsage,
          );
      }
    });
}

async function settingsOf(options: Options) {
  const { qnetdSettings } = await import("../tool/qnetd-links.ts");
  return qnetdSettings(rootPrefix(options));
}

/** "" for the machine's own places; an absolute path otherwise, which a daemon may keep. */
function rootPrefix(options: Options): string {
  const root = resolve(textOf(options["root"], "/"));
  return root === "/" ? "" : root;
}

async function invite(args: readonly string[], options: Options): Promise<number> {
  const { inviteCommand, runningServer } = await import("../command/qnetd-invite.ts");
  const settings = await settingsOf(options);
  return inviteCommand({
    directory: settings.nssDbDir,
    server: await runningServer(settings),
    verb: inviteVerb(args, options),
    addresses: [options["address"] ?? []].flat().map(String),
    port: portOfWord(wordOf(options["port"])),
    lifetime: wordOf(options["expires"]),
    letServerSign: options["letServerSign"] === true,
    json: options["json"] === true,
    write,
    note,
    now: () => Date.now(),
  });
}

function inviteVerb([cluster]: readonly string[], options: Options) {
  const revoked = wordOf(options["revoke"]);
  if (options["list"] === true) return { kind: "list" } as const;
  if (revoked !== undefined) return { kind: "revoke", cluster: revoked } as const;
  if (cluster !== undefined) return { kind: "invite", cluster } as const;
  throw new CommandFailure(
    "whom to invite? `quorate qnetd invite CLUSTER` with totem.cluster_name of its corosync.conf",
    exitUsage,
  );
}

async function certificates(args: readonly string[], options: Options): Promise<number> {
  const { qnetdCertificatesCommand } = await import("../command/qnetd-certificates.ts");
  const { passwordOf } = await import("./secret.ts");
  const settings = await settingsOf(options);
  const [verb = "list", ...files] = args;
  return qnetdCertificatesCommand({
    directory: settings.nssDbDir,
    nickname: settings.certNickname,
    verb,
    files,
    password: await passwordOf(wordOf(options["password"]), wordOf(options["passwordFile"])),
    json: options["json"] === true,
    write,
    now: () => Date.now(),
  });
}

/** Our long options are the original's letters, so that both are checked in one place. */
async function serve(options: Options): Promise<number> {
  const { qnetdWords } = await import("../command/qnetd-options.ts");
  const { qnetdCommand } = await import("../daemon/qnetd.ts");
  const { advancedNames } = await import("../../qnetd/server/configuration.ts");
  const tls = wordOf(options["tls"]) ?? "on";
  if (!["off", "on", "required"].includes(tls)) {
    throw new CommandFailure(`--tls is off, on or required, not "${tls}"`, exitUsage);
  }
  portOfWord(wordOf(options["port"]));
  const most = wordOf(options["maxClients"]) ?? "0";
  if (!/^\d{1,9}$/.test(most)) {
    throw new CommandFailure(`--max-clients is a number of nodes, not "${most}"`, exitUsage);
  }
  const words = qnetdWords(
    [
      "-f",
      ...(options["debug"] === true ? ["-d"] : []),
      ...letter("-l", options["listen"]),
      ...letter("-p", options["port"]),
      ...["-s", tls === "required" ? "req" : tls],
      ...["-c", options["clientCert"] === false ? "off" : "on"],
      ...letter("-m", options["maxClients"]),
      ...(options["allowPlaintext"] === true ? ["-S", "allow_plaintext=on"] : []),
      ...[options["set"] ?? []].flat().flatMap((each) => letter("-S", each)),
    ],
    identity.version,
    await settingsOf(options),
  );
  if ("code" in words) {
    const complaint = words.error.replace(/^corosync-qnetd: /, "").trimEnd();
    const isUnknown = complaint.startsWith("Unknown option");
    const names = isUnknown ? `; there are ${advancedNames.join(", ")}` : "";
    // All else has been checked above.
    throw new CommandFailure(`--set: ${complaint}${names}`, exitUsage);
  }
  const http = await pageWord(options);
  const perAddress = wordOf(options["connectionsPerAddress"]);
  if (perAddress !== undefined && !/^\d{1,6}$/.test(perAddress)) {
    throw new CommandFailure(
      `--connections-per-address is a number of connections, not "${perAddress}"`,
      exitUsage,
    );
  }
  return qnetdCommand({
    words,
    root: rootPrefix(options),
    ...(http === undefined ? {} : { http }),
    ...(perAddress === undefined ? {} : { connectionsPerAddressMax: Number(perAddress) }),
    version: identity.version,
    log: logger({
      level: words.debug > 0 ? "debug" : "info",
      journal: process.env["JOURNAL_STREAM"] !== undefined,
      write: (text) => void process.stderr.write(text),
      now: () => Date.now(),
    }),
  });
}

/** The page's code is loaded only where it is wanted. */
async function pageWord(options: Options): Promise<string | undefined> {
  const word = wordOf(options["http"]);
  if (word === undefined) return undefined;
  const { pageAddress } = await import("../page/qnetd-page.ts");
  const address = pageAddress(word);
  if (!address.ok) throw new CommandFailure(address.reason, exitUsage);
  return word;
}

function letter(name: string, value: unknown): readonly string[] {
  const word = wordOf(value);
  return word === undefined ? [] : [name, word];
}
