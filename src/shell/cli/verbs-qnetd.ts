// `quorate qnetd`: run the vote server, ask it, look after its certificates. The original's programs under their own names are
// `tool/qnetd-links.ts`; both end in the same code.
import { resolve } from "node:path";
import { CommandFailure, exitFailed, exitNotRunning, exitOk, exitUsage } from "../exit.ts";
import { pageAddress } from "../page/page-address.ts";
import { identity } from "../version.ts";
import { note, write } from "./output.ts";
import { certificateDirectory, json, ownLog, passwordOptions, root, wrongLine } from "./shared.ts";
import {
  commandOfVerbs,
  flag,
  option,
  optional,
  optionWithDefault,
  repeated,
  rest,
  verb,
} from "./table.ts";
import { anyWord, duration, file, number, oneOf, parsed, port as portValue } from "./values.ts";

/** "" for the machine's own places; an absolute path otherwise, which a daemon may keep. */
function prefixOf(directory: string): string {
  const path = resolve(directory);
  return path === "/" ? "" : path;
}

async function settingsOf(directory: string) {
  const { qnetdSettings } = await import("../tool/qnetd-links.ts");
  return qnetdSettings(prefixOf(directory));
}

const port = option("port", portValue, "TCP port, 5403 when not given");

const serve = verb("", "run the vote server in the foreground", {
  takes: {
    root,
    address: option("listen", anyWord("address"), "Serve on this address only (default: all)"),
    port,
    tls: optionWithDefault(
      "tls",
      oneOf(["off", "on", "required"]),
      "on",
      "on: a client may use it",
    ),
    noClientCert: flag("no-client-cert", "Do not ask clients for the certificate of their cluster"),
    allowPlaintext: flag(
      "allow-plaintext",
      "Let clusters that have a certificate connect without TLS too",
    ),
    clientsMax: option(
      "max-clients",
      number("n", 0, 999_999_999, "number of nodes"),
      "Refuse further nodes; 0: as many as memory and open files allow, at most 7168",
    ),
    connectionsPerAddressMax: option(
      "connections-per-address",
      number("n", 0, 999_999, "number of connections"),
      "At one time, from one address or IPv6 /64, those with a certificate apart; 0: no limit (default: 2048, at most half of all)",
    ),
    http: option(
      "http",
      parsed("address", "an address and a port, such as 127.0.0.1:5480", pageAddress),
      "Serve a status page, /v1/status and /metrics, as 127.0.0.1:5480; there is no password",
    ),
    set: repeated("set", anyWord("name=value"), "Advanced setting of corosync-qnetd's -S"),
    isDebug: flag("debug", "Log every decision"),
  },
  run: async (given) => {
    const { serverWords } = await import("../command/qnetd-options.ts");
    const { qnetdCommand } = await import("../daemon/qnetd.ts");
    const { advancedNames } = await import("../../qnetd/server/configuration.ts");
    const { address, tls, noClientCert, allowPlaintext, http, isDebug } = given;
    const words = serverWords(
      {
        isForeground: true,
        debug: isDebug ? 1 : 0,
        address,
        tls,
        isClientCertificateRequired: !noClientCert,
        ...(given.port === undefined ? {} : { port: given.port }),
        clientsMax: given.clientsMax ?? 0,
      },
      await settingsOf(given.root),
      [...(allowPlaintext ? ["allow_plaintext=on"] : []), ...given.set],
    );
    if (!words.ok) {
      const isUnknown = words.reason.startsWith("Unknown option");
      const names = isUnknown ? `; there are ${advancedNames.join(", ")}` : "";
      throw new CommandFailure(`--set: ${words.reason}${names}`, exitUsage);
    }
    return qnetdCommand({
      words: words.value,
      root: prefixOf(given.root),
      http,
      connectionsPerAddressMax: given.connectionsPerAddressMax,
      version: identity.version,
      log: ownLog(isDebug ? "debug" : "info"),
    });
  },
});

const status = verb("status", "clusters, nodes, and why each vote is what it is", {
  takes: { root, json, watch: flag("watch", "Follow until Ctrl-C") },
  run: async (given) => {
    const { qnetdStatusCommand } = await import("../command/qnetd-status.ts");
    return qnetdStatusCommand({
      ...given,
      socket: (await settingsOf(given.root)).localSocketFile,
      root: prefixOf(given.root) || "/",
      isTerminal: process.stdout.isTTY,
      write,
    });
  },
});

const invite = verb(
  "invite",
  "a token for `quorate qdevice setup`; with --list or --revoke CLUSTER those that are open",
  {
    takes: {
      cluster: optional(anyWord("CLUSTER")),
      root,
      port,
      json,
      addresses: repeated("address", anyWord("address"), "Under which nodes reach this server"),
      lifetimeMs: option("expires", duration("time", 30), "As 30m, 1h, 2d"),
      isList: flag("list", "Invitations that are open"),
      revoked: option("revoke", anyWord("cluster"), "Take back an invitation"),
      letServerSign: flag("let-server-sign", "Let the daemon's group read the authority's key"),
    },
    run: async (given) => {
      const { inviteCommand, runningServer } = await import("../command/qnetd-invite.ts");
      const what = inviteVerb(given.isList, given.revoked, given.cluster);
      const settings = await settingsOf(given.root);
      return inviteCommand({
        ...given,
        directory: settings.nssDbDir,
        server: await runningServer(settings),
        verb: what,
        write,
        note,
        now: () => Date.now(),
      });
    },
  },
);

function inviteVerb(list: boolean, revoked: string | undefined, cluster: string | undefined) {
  if (list) return { kind: "list" } as const;
  if (revoked !== undefined) return { kind: "revoke", cluster: revoked } as const;
  if (cluster !== undefined) return { kind: "invite", cluster } as const;
  throw new CommandFailure(
    "whom to invite? `quorate qnetd invite CLUSTER` with totem.cluster_name of its corosync.conf",
    exitUsage,
  );
}

const certificates = verb("certificates", "its own, or those of an original server", {
  takes: {
    verb: optional(oneOf(["list", "renew", "import"])),
    files: rest(file("FILE.p12")),
    root,
    json,
    ...passwordOptions("PKCS#12 files", "import"),
  },
  run: async ({ password, passwordFile, verb: what = "list", ...given }) => {
    const { qnetdCertificatesCommand } = await import("../command/qnetd-certificates.ts");
    const { passwordOf } = await import("./secret.ts");
    const settings = await settingsOf(given.root);
    return qnetdCertificatesCommand({
      ...given,
      directory: settings.nssDbDir,
      nickname: settings.certNickname,
      verb: what,
      password: await passwordOf(password, passwordFile),
      write,
      now: () => Date.now(),
    });
  },
});

export const qnetd = commandOfVerbs("qnetd", {
  description: "Vote server for clusters (corosync-qnetd)",
  verbs: [serve, status, invite, certificates],
  examples: [
    "quorate qnetd",
    "quorate qnetd --root /mnt/data/quorate --tls required",
    "quorate qnetd status --watch",
    "quorate qnetd invite mycluster",
  ],
  manual: [
    "Without a verb it serves votes to clusters of corosync or quorate on TCP port 5403, in the protocol of corosync-qnetd, in the foreground; it makes its certificates at the first start, and takes over those of an original server. `status` asks the running server, `invite` makes a token for `quorate qdevice setup` on a node, `certificates` shows, renews or imports certificates.",
    "An option belongs to the verb that its text ends with, or to the server.",
  ],
  files: [
    [certificateDirectory, "its authority and certificates, and the invitations that are open"],
    ["/var/run/corosync-qnetd/corosync-qnetd.sock", "where the running server is asked"],
  ],
  exits: [
    [exitOk, "done; the server: it was told to stop"],
    [exitFailed, "could not be done, or `status` begins with Attention; the text says why"],
    wrongLine,
    [exitNotRunning, "no vote server answers here"],
  ],
});
