// The table's part for `quorate qdevice`: give the cluster a vote server, take it away, say how it is.
import type { CAC } from "cac";
import { portOfWord } from "./port-word.ts";
import { note, rootOption, wordOf, write } from "./words.ts";

/** The verbs, for help. */
export const qdeviceUsage = [
  "setup TOKEN    with the token of `quorate qnetd invite` on the vote server; `-` asks for it, DIR/FILE holds it",
  "setup ADDRESS  an original server, with --p12 or --cert, --key and --ca, or --tls off",
  "remove         take the vote server out of the cluster's configuration",
  "status         the device's vote on this node, and why",
].join("\n");

export function qdeviceVerb(cli: CAC): void {
  rootOption(cli.command("qdevice <verb> [...args]", "The cluster's vote server: set up, remove"))
    .option(
      "--force",
      "Also for an odd number of nodes, where it is a single point of failure (setup)",
    )
    .option("--tls <off|on|required>", "Of the connection to the vote server (setup)")
    .option("--port <port>", "Of the vote server (setup ADDRESS)")
    .option("--p12 <file>", "Key, certificate and authority in one file (setup ADDRESS)")
    .option(
      "--password <text>",
      "Of the PKCS#12 file, none when not given; - asks for it (setup ADDRESS)",
    )
    .option("--password-file <file>", "The same in the first line of a file (setup ADDRESS)")
    .option("--cert <file>", "The cluster's certificate (setup ADDRESS)")
    .option("--key <file>", "Its private key (setup ADDRESS)")
    .option("--ca <file>", "The server's authority (setup ADDRESS)")
    .option("--json", "For scripts")
    .example("quorate qdevice setup quorate1.AbCd…")
    .example("quorate qdevice setup -")
    .example("quorate qdevice setup 192.0.2.7 --tls off")
    .example("quorate qdevice remove")
    .action(
      async (
        verb: string,
        args: readonly unknown[],
        options: Readonly<Record<string, unknown>>,
      ) => {
        const { qdeviceCommand } = await import("../command/qdevice.ts");
        const { passwordOf } = await import("./secret.ts");
        const [password, file] = [wordOf(options["password"]), wordOf(options["passwordFile"])];
        return qdeviceCommand({
          root: String(options["root"]),
          verb,
          args: args.map(String),
          force: options["force"] === true,
          tls: wordOf(options["tls"]),
          port: portOfWord(wordOf(options["port"])),
          files: {
            p12: wordOf(options["p12"]),
            password: await passwordOf(password, file),
            certificate: wordOf(options["cert"]),
            key: wordOf(options["key"]),
            authority: wordOf(options["ca"]),
          },
          json: options["json"] === true,
          write,
          note,
        });
      },
    );
}
