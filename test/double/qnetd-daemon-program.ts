// The vote server as a process for tests, without TLS unless told, on a port of its own: bun qnetd-daemon-program.ts ROOT [NAME=VALUE …] with
// the options of qnetdCommand. Ends when its standard input does.
import { logger } from "../../src/shell/cli/log.ts";
import { qnetdCommand } from "../../src/shell/daemon/qnetd.ts";
import { qnetdSettings } from "../../src/shell/tool/qnetd-links.ts";
import { qnetdWords } from "../../src/shell/command/qnetd-options.ts";
import { pageAddress } from "../../src/shell/page/page-address.ts";
import { CommandFailure } from "../../src/shell/exit.ts";

const [root = "", ...rest] = process.argv.slice(2);
const given = new Map(rest.map((word) => word.split("=", 2) as [string, string]));
const http = given.get("http");
const perAddress = given.get("connectionsPerAddressMax");
const words = qnetdWords(["-f", "-s", given.get("tls") ?? "off"], "0-test", qnetdSettings(root));
if ("code" in words) throw new Error(words.error);
process.stdin.on("end", () => process.kill(process.pid, "SIGTERM")).resume();
try {
  process.exitCode = await qnetdCommand({
    root,
    words: { ...words, port: Number(given.get("port") ?? 0) },
    isWaitingAfterStart: given.get("waiting") !== "off",
    version: "0-test",
    log: logger({
      level: "info",
      journal: false,
      write: (text) => void process.stderr.write(text),
      now: () => Date.now(),
    }),
    http: http === undefined ? undefined : pageAddress(http),
    ...(perAddress === undefined ? {} : { connectionsPerAddressMax: Number(perAddress) }),
  });
} catch (error) {
  if (!(error instanceof CommandFailure)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = error.code;
}
process.exit();
