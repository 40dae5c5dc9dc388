// Alerts: which there are, who sends them, a test, what is not sent for a while, and their settings (pvecm.md §5.8).
import type { Files } from "../../../fs/tree/files.ts";
import { type Result, failure, success } from "../../../result.ts";
import {
  alertSettingsAnswer,
  type AlertsAnswer,
  alertsAnswer,
  type AlertTestAnswer,
  alertTestAnswer,
} from "../../answers/alerts.ts";
import { effectAnswer } from "../../answers/change.ts";
import {
  faultOf,
  isMutable,
  muteSecondsMax,
  placeOf,
  settingOf,
  shownValue,
  valuesIn,
  withMute,
  withSetting,
} from "../../alert/settings.ts";
import { type SettingName, settingNames } from "../../alert/setting-names.ts";
import * as parameter from "../parameters.ts";
import { ApiError, onlyRoot, type Route, route } from "../route.ts";
import { withTreeLock } from "../tree-file.ts";
import { fileLockName } from "./tree-path.ts";
import { dryRunParameter, mayAudit, mayModify, treeValue } from "./v1-rules.ts";

export interface AlertsSource {
  readonly files: Files;
  readonly wallMs: () => number;
  readonly report: () => AlertsAnswer;
  /** Sends a test by every channel; a failure says why it does not begin. */
  readonly test: () => Promise<Result<AlertTestAnswer>>;
  /** For the cluster log: who did what. */
  readonly clusterLog: (user: string, message: string) => void;
}

const valueCharactersMax = 8192;

export function alertRoutes(source: AlertsSource): readonly Route[] {
  return [listRoute(source), testRoute(source), muteRoute(source), ...settingRoutes(source)];
}

function listRoute({ report }: AlertsSource): Route {
  return route({
    method: "GET",
    path: "/alerts",
    isOurs: true,
    description:
      "Alerts that are open or were lately: state, since, effect, next step, who sent it and when; and who sends.",
    permission: mayAudit,
    returns: alertsAnswer,
    parameters: {},
    handle: () => report(),
  });
}

function testRoute({ test }: AlertsSource): Route {
  return route({
    method: "POST",
    path: "/alerts/test",
    isOurs: true,
    description:
      "This node sends a test message by every channel that is set up, and says what came of it.",
    permission: mayModify,
    returns: alertTestAnswer,
    parameters: {},
    handle: async () => {
      const done = await test();
      if (!done.ok) throw new ApiError(409, done.reason, { code: "busy" });
      return done.value;
    },
  });
}

const mutable = parameter.checkedText(
  100,
  isMutable,
  "invalid format - neither a kind nor the name of an alert, as /alerts has them",
);

function muteRoute(source: AlertsSource): Route {
  return route({
    method: "POST",
    path: "/alerts/mute",
    isOurs: true,
    description: "An alert, or all of a kind, is not sent for some seconds; 0: it is sent again.",
    permission: mayModify,
    needsQuorum: true,
    returns: effectAnswer,
    parameters: {
      what: mutable,
      seconds: parameter.integer({ min: 0, max: muteSecondsMax }),
      ...dryRunParameter,
    },
    handle: ({ parameters, caller }) => {
      const { what, seconds } = parameters;
      const wallMs = source.wallMs();
      const note =
        seconds === 0
          ? `${what} is sent again`
          : `${what} is not sent until ${new Date(wallMs + seconds * 1000).toISOString().slice(0, 19)}Z`;
      return changed(source, {
        ...{ name: "mute", note, user: caller.user, isDry: parameters["dry-run"] === true },
        values: (before) => withMute(before, { what, seconds, wallMs }),
      });
    },
  });
}

function settingRoutes(source: AlertsSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/alerts/settings",
      isOurs: true,
      description:
        "The settings of alerts, as they stand in the files of the tree; of secrets only that they are there.",
      permission: mayAudit,
      returns: alertSettingsAnswer,
      parameters: {},
      handle: () =>
        settingNames.map((name) => {
          const { what, isSecret, isRepeated = false } = settingOf(name);
          const values = valuesIn(textAt(source.files, placeOf(name).path), name);
          const shown = values.map((value) => shownValue(name, value));
          return { name, what, isSecret, isRepeated, values: shown };
        }),
    }),
    route({
      method: "PUT",
      path: "/alerts/settings/{setting}",
      isOurs: true,
      description:
        "Sets a setting of alerts for the whole cluster; an empty value takes it away, several are lines.",
      // Where alerts go, they take secrets along: headers, a password.
      permission: onlyRoot,
      needsQuorum: true,
      returns: effectAnswer,
      parameters: {
        setting: parameter.oneOf(settingNames),
        value: parameter.text({ max: valueCharactersMax }),
        ...dryRunParameter,
      },
      handle: ({ parameters, caller }) => {
        const { setting: name, value } = parameters;
        const values = checkedValues(name, value);
        const note = values.length === 0 ? `${name} is not set` : `${name} is set`;
        return changed(source, {
          ...{ name, note, user: caller.user, isDry: parameters["dry-run"] === true },
          values: () => success(values),
        });
      },
    }),
  ];
}

function checkedValues(name: SettingName, value: string): readonly string[] {
  const values = value
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const wrong = (reason: string) =>
    new ApiError(400, "Parameter verification failed.", { errors: { value: reason } });
  if (values.length > 1 && settingOf(name).isRepeated !== true)
    throw wrong(`${name} has one value`);
  for (const each of values) {
    const fault = faultOf(name, each);
    if (fault !== "") throw wrong(`${name}: ${fault}`);
  }
  return values;
}

function textAt(files: Files, path: string): string {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : "";
}

interface Change {
  readonly name: SettingName;
  readonly note: string;
  readonly user: string;
  readonly isDry: boolean;
  readonly values: (before: readonly string[]) => Result<readonly string[]>;
}

/** Under the file's lock, from the file as it is then. */
async function changed({ files, clusterLog }: AlertsSource, change: Change) {
  const { name, note, user, isDry, values } = change;
  const { path } = placeOf(name);
  const edited = (): Result<{ readonly before: string; readonly after: string }> => {
    const before = textAt(files, path);
    const next = values(valuesIn(before, name));
    return next.ok ? success({ before, after: withSetting(before, name, next.value) }) : next;
  };
  const refused = (reason: string) => new ApiError(409, reason, { code: "refused" });
  const would = edited();
  if (!would.ok) throw refused(would.reason);
  if (isDry || would.value.before === would.value.after) return { isChanged: false, notes: [note] };
  const locked = await withTreeLock(files, fileLockName(path), async (held) => {
    const now = edited();
    if (!now.ok) return failure(now.reason);
    // `priv` of a cluster that has made no join token yet lacks our directory.
    const folder = path.split("/").slice(0, -1);
    for (const [at] of folder.entries()) {
      const directory = folder.slice(0, at + 1).join("/");
      if (!held.stat(directory).ok) await held.mkdir(directory);
    }
    treeValue(path, await held.replace(path, new TextEncoder().encode(now.value.after)));
    return success(undefined);
  });
  if (!locked.ok) throw new ApiError(503, locked.reason, { code: "locked" });
  if (!locked.value.ok) throw refused(locked.value.reason);
  clusterLog(user, `alerts: ${note}`);
  return { isChanged: true, notes: [note] };
}
