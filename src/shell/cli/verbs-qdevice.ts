// `quorate qdevice`: give the cluster a vote server, take it away, say how it is.
import { exitFailed, exitOk } from "../exit.ts";
import { nodePaths } from "../paths.ts";
import { note, write } from "./output.ts";
import {
  dryRun,
  json,
  notRunning,
  passwordOptions,
  root,
  socketFile,
  wrongLine,
} from "./shared.ts";
import { commandOfVerbs, flag, option, required, verb } from "./table.ts";
import { anyWord, file, oneOf, port } from "./values.ts";

const form = "ADDRESS";
const node = nodePaths("/");

const setup = verb(
  "setup",
  [
    [
      "TOKEN",
      "with the token of `quorate qnetd invite` on the vote server; `-` asks for it, DIR/FILE holds it",
    ],
    [form, "an original server, with --p12 or --cert, --key and --ca, or --tls off"],
  ],
  {
    takes: {
      target: required(anyWord("TOKEN")),
      root,
      force: flag(
        "force",
        "Also for an odd number of nodes, where it is a single point of failure",
      ),
      tls: option("tls", oneOf(["off", "on", "required"]), "Of the connection to the vote server"),
      port: option("port", port, "Of the vote server", { form }),
      p12: option("p12", file(), "Key, certificate and authority in one file", { form }),
      ...passwordOptions("PKCS#12 file", form),
      certificate: option("cert", file(), "The cluster's certificate", { form }),
      key: option("key", file(), "Its private key", { form }),
      authority: option("ca", file(), "The server's authority", { form }),
      dryRun,
      json,
    },
    run: async ({ p12, certificate, key, authority, password, passwordFile, ...given }) => {
      const { qdeviceSetup } = await import("../command/qdevice.ts");
      const { passwordOf } = await import("./secret.ts");
      const secret = await passwordOf(password, passwordFile);
      const files = { p12, certificate, key, authority, password: secret };
      return qdeviceSetup({ ...given, files, write, note });
    },
  },
);

const remove = verb("remove", "take the vote server out of the cluster's configuration", {
  takes: { root, dryRun, json },
  run: async (given) => {
    const { qdeviceRemove } = await import("../command/qdevice.ts");
    return qdeviceRemove({ ...given, write, note });
  },
});

const status = verb("status", "the device's vote on this node, and why", {
  takes: { root, json },
  run: async (given) => {
    const { qdeviceStatus } = await import("../command/qdevice.ts");
    return qdeviceStatus({ ...given, write, note });
  },
});

export const qdevice = commandOfVerbs("qdevice", {
  description: "The cluster's vote server: set up, remove",
  verbs: [setup, remove, status],
  examples: [
    "quorate qdevice setup quorate1.AbCd…",
    "quorate qdevice setup -",
    "quorate qdevice setup 192.0.2.7 --tls off",
    "quorate qdevice remove",
  ],
  manual: [
    "Gives the cluster the vote of a vote server (`quorate qnetd`, or an original corosync-qnetd): gets a certificate, puts it and the quorum device into the tree, and waits until every node counts the vote. One node is asked, all follow. Nothing is changed before every check is good, and what does not vote in the end is taken back.",
    "With --dry-run setup and remove print each step and the difference of each file; nothing is changed, no vote server is asked, and no token is used up.",
    "A token is good once. Every user of a machine can read its command lines: give `-` and the token on standard input where that matters.",
  ],
  files: [
    [`${node.mount}/corosync.conf`, "gets the section quorum.device"],
    [`${node.mount}/priv`, "holds the certificate, for all nodes"],
    [node.deviceDir, "this node's copy of it"],
    [node.deviceDefaults, "advanced settings of the client, in COROSYNC_QDEVICE_OPTIONS"],
    socketFile,
  ],
  exits: [
    [exitOk, "the device votes on every node, or is gone from every node"],
    [exitFailed, "it does not, or could not be set up; the text says why"],
    wrongLine,
    notRunning,
  ],
});
