// The vote server's programs under the original's names: corosync-qnetd, corosync-qnetd-tool, corosync-qnetd-certutil (design.md,
// decision 7). Options, outputs and exit codes are theirs; what they do is quorate's.
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { certutil } from "../../qnetd/tool/certutil.ts";
import {
  type AdvancedSettings,
  defaultAdvancedSettings,
} from "../../qnetd/server/configuration.ts";
import { sendUnixDatagram } from "../../libc.ts";
import { logger } from "../cli/log.ts";
import { standardError, standardOutput } from "../cli/output.ts";
import type { LogAction } from "../../world.ts";
import { isAnswered } from "../api/api-socket.ts";
import { CommandFailure, exitFailed, exitOk } from "../exit.ts";
import { qnetdCommand } from "../daemon/qnetd.ts";
import { qnetdWords } from "../command/qnetd-options.ts";
import { qnetdTool } from "./qnetd-tool.ts";

export const qnetdLinks = [
  "corosync-qnetd",
  "corosync-qnetd-tool",
  "corosync-qnetd-certutil",
] as const;
export type QnetdLink = (typeof qnetdLinks)[number];

/** A daemon in the background must answer within. */
const startMsMax = 30_000;
const askAgainMs = 20;
const name = "corosync-qnetd";
/** Set for a daemon that has no terminal. */
const syslogMark = "QUORATE_SYSLOG";
const syslogSocket = "/dev/log";
/** The facility, shifted. */
const syslogDaemon = 3 << 3;

/** The settings with every path below `root` ("" for the machine's own). */
export function qnetdSettings(root: string): AdvancedSettings {
  const { nssDbDir, lockFile, localSocketFile } = defaultAdvancedSettings;
  return {
    ...defaultAdvancedSettings,
    nssDbDir: `${root}${nssDbDir}`,
    lockFile: `${root}${lockFile}`,
    localSocketFile: `${root}${localSocketFile}`,
  };
}

export interface QnetdLinkOptions {
  /** The path of the link, for usage texts. */
  readonly calledAs: string;
  readonly version: string;
  /** Where the files are, "" or undefined for the machine's own places. */
  readonly root?: string;
  /** The words that start this very program again; its arguments follow. Default: the executable, called by the same name. */
  readonly again?: readonly string[];
}

/** Runs one of the programs to its end; answers the exit code. */
export async function runQnetdLink(
  link: QnetdLink,
  args: readonly string[],
  options: QnetdLinkOptions,
): Promise<number> {
  const settings = qnetdSettings(options.root ?? "");
  const write = (bytes: string | Uint8Array): void => void standardOutput.write(bytes);
  const writeError = (bytes: string | Uint8Array): void => void standardError.write(bytes);
  switch (link) {
    case "corosync-qnetd":
      return qnetd(args, settings, options);
    case "corosync-qnetd-tool":
      return qnetdTool({ args, socket: settings.localSocketFile, write, writeError });
    case "corosync-qnetd-certutil":
      return certutil({
        name: options.calledAs,
        args,
        directory: settings.nssDbDir,
        nickname: settings.certNickname,
        write,
        writeError,
        now: () => Date.now(),
      });
  }
  return link satisfies never;
}

async function qnetd(
  args: readonly string[],
  settings: AdvancedSettings,
  { version, root = "", again = [process.execPath] }: QnetdLinkOptions,
): Promise<number> {
  const words = qnetdWords(args, version, settings);
  if ("code" in words) {
    standardOutput.write(words.output);
    standardError.write(words.error);
    return words.code;
  }
  try {
    if (!words.isForeground) {
      return await toBackground([...again, ...args, "-f"], words.settings);
    }
    return await qnetdCommand({
      words,
      root,
      version,
      log: logTo(process.env, words.debug > 0),
    });
  } catch (error) {
    if (!(error instanceof CommandFailure)) throw error; // A bug: the runtime prints it with its place.
    standardError.write(`${name}: ${error.message}\n`);
    return error.code;
  }
}

/**
 * Without -f the original leaves its terminal: the same program is started apart, which logs to syslog and answers on its local
 * socket before this one ends.
 */
async function toBackground(
  command: readonly string[],
  { lockFile, localSocketFile: socket }: AdvancedSettings,
): Promise<number> {
  const none = openSync("/dev/null", "r+");
  const child = Bun.spawn([...command], {
    argv0: name,
    env: { ...process.env, [syslogMark]: "1" },
    stdio: [none, none, "pipe"],
    detached: true,
  });
  closeSync(none);
  for (const begun = performance.now(); performance.now() - begun < startMsMax;) {
    if (child.exitCode !== null || child.signalCode !== null) {
      standardError.write(await child.stderr.text());
      return child.exitCode ?? exitFailed;
    }
    // Another instance may answer there: ours has its process id in the lock file.
    if (isOwner(lockFile, child.pid) && (await isAnswered(socket))) {
      child.unref();
      return exitOk;
    }
    await wait(askAgainMs);
  }
  child.kill();
  throw new CommandFailure(`the daemon did not answer at ${socket} within ${startMsMax} ms`);
}

function isOwner(lockFile: string, pid: number): boolean {
  try {
    return readFileSync(lockFile, "latin1") === `${pid}\n`;
  } catch {
    return false; // Not there yet.
  }
}

/** Lines for a terminal or journald; in the background for syslog, where a line that is not taken is lost as with the original. */
function logTo(environment: NodeJS.ProcessEnv, debug: boolean): (line: LogAction) => void {
  const isApart = environment[syslogMark] === "1";
  return logger({
    level: debug ? "debug" : "info",
    journal: isApart || environment["JOURNAL_STREAM"] !== undefined,
    write: isApart
      ? (text) => void sendUnixDatagram(syslogSocket, new TextEncoder().encode(syslogLine(text)))
      : (text) => void standardError.write(text),
    now: () => Date.now(),
  });
}

/** "<level>text" with the facility "daemon" and our name. */
function syslogLine(text: string): string {
  const level = Number(/^<(\d)>/.exec(text)?.[1] ?? "6");
  return `<${syslogDaemon + level}>${name}[${process.pid}]: ${text.slice(3).trimEnd()}`;
}
