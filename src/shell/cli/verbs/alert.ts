// `quorate alert`: what is not as it should be in the cluster, whom it is told, and for how long it is not.
import { exitFailed, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { settingNames } from "../../alert/setting-names.ts";
import { write } from "../output.ts";
import { json, notRunning, root, socketFile, wrongLine } from "../shared.ts";
import { commandOfVerbs, option, required, rest, verb } from "../table.ts";
import { anyWord, oneOf, parsed, text } from "../values.ts";

const secondsOfUnit: Readonly<Record<string, number>> = { m: 60, h: 3600, d: 86_400 };
const monthSeconds = 30 * 86_400;

/** Seconds. */
const duration = parsed("time", "a time of up to 30 days, such as 30m, 8h or 2d", (word) => {
  const [, count, unit = ""] = /^(\d{1,5})([mhd])$/.exec(word) ?? [];
  const seconds = Number(count) * (secondsOfUnit[unit] ?? Number.NaN);
  return seconds >= 60 && seconds <= monthSeconds ? seconds : undefined;
});
const what = required(anyWord("what"));
const setting = oneOf(settingNames, "setting");

const listed = async (given: { readonly root: string; readonly json: boolean }) => {
  const { alertList } = await import("../../command/monitor/alert.ts");
  return alertList({ ...given, write });
};

export const alert = commandOfVerbs("alert", {
  description: "What is not as it should be, and whom it is told: list, test, mute, settings",
  verbs: [
    verb("", "open alerts, and those that are over lately", { takes: { root, json }, run: listed }),
    verb("list", "the same", { takes: { root, json }, run: listed }),
    verb("test", "send a test by every channel from this node, and say what came of it", {
      takes: { root, json },
      run: async (given) => {
        const { alertTest } = await import("../../command/monitor/alert.ts");
        return alertTest({ ...given, write });
      },
    }),
    verb("mute", "send nothing of an alert, or of a kind, for a while", {
      takes: {
        root,
        what,
        seconds: option("for", duration, "How long (default: 1h)"),
        json,
      },
      run: async ({ seconds = 3600, ...given }) => {
        const { alertMute } = await import("../../command/monitor/alert.ts");
        return alertMute({ ...given, seconds, write });
      },
    }),
    verb("unmute", "send it again", {
      takes: { root, what, json },
      run: async (given) => {
        const { alertMute } = await import("../../command/monitor/alert.ts");
        return alertMute({ ...given, seconds: 0, write });
      },
    }),
    verb("settings", "where alerts are sent, and when", {
      takes: { root, json },
      run: async (given) => {
        const { alertSettingsList } = await import("../../command/monitor/alert.ts");
        return alertSettingsList({ ...given, write });
      },
    }),
    verb("set", "change a setting for the whole cluster; - reads its value from standard input", {
      takes: { root, name: required(setting), values: rest(text), json },
      run: async (given) => {
        const { alertSet } = await import("../../command/monitor/alert.ts");
        return alertSet({ ...given, write });
      },
    }),
  ],
  examples: [
    "quorate alert",
    "quorate alert set mail-to admin@example.org",
    "quorate alert set webhook -",
    'quorate alert set quiet "mon-fri 22:00-07:00, sat-sun 00:00-24:00"',
    "quorate alert test",
    "quorate alert mute node/3 --for 2h",
  ],
  manual: [
    "Tells by webhook and mail, and always in the log, of lost quorum, an absent node, a link that is down, an arbiter that gives no vote, a certificate that is about to expire, and a tree that differed: what is so since when, the effect, the next step; and when it is over.",
    "One member sends for all: the one with the lowest nodeid that is in the part with quorum, has the cluster's tree, and is heard by the others. A part without quorum says only that, by its lowest. What was told is known to all, so that another sender goes on; something may be told twice when a sender dies at that moment, and is never left out.",
    "A webhook gets a JSON object by POST, with `text` for chat services and `alerts` for programs. Mail goes by this machine's sendmail or by SMTP. `mute` and `unmute` take the name of an alert, as `list` shows it, or a kind: quorum, tree, node, arbiter, link, certificate. `set NAME` without a value takes a setting away.",
  ],
  files: [
    [`${nodePaths("/").mount}/quorate.cfg`, "settings, in lines of alert-NAME: VALUE"],
    [
      `${nodePaths("/").mount}/priv/quorate/alert.cfg`,
      "those that are secret: webhook, headers, login",
    ],
    [`${nodePaths("/").mount}/quorate-alert-ca.pem`, "authorities beside the system's"],
    [nodePaths("/").alerts, "what was announced"],
    socketFile,
  ],
  exits: [
    [exitOk, "done; of list: no alert is open"],
    [exitFailed, "an alert is open, a test failed, or it could not be done; the text says why"],
    wrongLine,
    notRunning,
  ],
});
