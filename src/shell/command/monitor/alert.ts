// `quorate alert`: the alerts of the cluster as this node knows them; a test; muting; settings.
import type * as v from "valibot";
import {
  alertSettingsAnswer,
  type alertAnswer,
  alertsAnswer,
  alertTestAnswer,
} from "../../answers/alerts.ts";
import { effectAnswer } from "../../answers/change.ts";
import { readSecret } from "../../cli/secret.ts";
import { printable } from "../../cli/text-table.ts";
import { exitFailed, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { LocalApi } from "../cluster/local-api.ts";

export interface AlertOptions {
  readonly root: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
}

type Alert = v.InferOutput<typeof alertAnswer>;

const apiOf = (root: string) => new LocalApi(nodePaths(root).socket);

/** Exit code 1 while an alert is open. */
export async function alertList({ root, json, write }: AlertOptions): Promise<number> {
  const answer = await apiOf(root).call(alertsAnswer, "GET", "/alerts");
  const { alerts, channels, sender, isQuiet, problems } = answer;
  const code = alerts.some(({ isOpen }) => isOpen) ? exitFailed : exitOk;
  if (json) {
    write(`${JSON.stringify(answer, undefined, 2)}\n`);
    return code;
  }
  const to = channels.map(
    ({ name, target, fault }) => `${name} to ${target}${fault === "" ? "" : ` (${fault})`}`,
  );
  const lines = [
    ...(alerts.some(({ isOpen }) => isOpen) ? [] : ["No alert is open."]),
    ...alerts.flatMap(alertLines),
    to.length === 0
      ? "Nobody is told: set webhook or mail-to (`quorate alert set`)."
      : `Sent by ${sender === null ? "nobody yet" : sender.name}: ${to.join("; ")}`,
    ...(isQuiet ? ["It is a quiet time: only what is urgent is sent."] : []),
    ...problems.map((problem) => `! ${problem}`),
  ];
  write(`${lines.map((line) => printable(line)).join("\n")}\n`);
  return code;
}

/** UTC, as logs have it. */
function timeText(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function alertLines(alert: Alert): readonly string[] {
  const { id, isOpen, since, until, what, effect, nextStep, mutedUntil, sentBy, sentAt, waitsFor } =
    alert;
  const span = until === null ? timeText(since) : `${timeText(since)} to ${timeText(until)}`;
  const told =
    mutedUntil !== null
      ? `muted until ${timeText(mutedUntil)}`
      : waitsFor.length > 0
        ? `not yet by ${waitsFor.join(" and ")}`
        : sentAt === null
          ? "to nobody"
          : `by ${sentBy} at ${timeText(sentAt)}`;
  return [
    `${isOpen ? "OPEN" : "over"}  ${id}  ${span}`,
    `      ${what}`,
    ...(isOpen ? [`      Effect:    ${effect}`, `      Next step: ${nextStep}`] : []),
    `      Told:      ${told}`,
  ];
}

/** Exit code 1 when a channel failed, or none is set up. */
export async function alertTest({ root, json, write }: AlertOptions): Promise<number> {
  const answer = await apiOf(root).call(alertTestAnswer, "POST", "/alerts/test");
  const { results, node } = answer;
  if (json) write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else {
    for (const { channel, ok, text } of results) {
      write(`${channel.padEnd(8)} ${ok ? "ok" : "FAILED"}: ${printable(text)}\n`);
    }
    if (results.length === 1)
      write(`Nobody but the log of ${node} is told: set webhook or mail-to.\n`);
  }
  return results.every(({ ok }) => ok) && results.length > 1 ? exitOk : exitFailed;
}

export async function alertMute(
  options: AlertOptions & { readonly what: string; readonly seconds: number },
): Promise<number> {
  const { root, what, seconds } = options;
  const answer = await apiOf(root).call(effectAnswer, "POST", "/alerts/mute", { what, seconds });
  return shownEffect(answer, options);
}

export async function alertSettingsList({ root, json, write }: AlertOptions): Promise<number> {
  const settings = await apiOf(root).call(alertSettingsAnswer, "GET", "/alerts/settings");
  if (json) {
    write(`${JSON.stringify(settings, undefined, 2)}\n`);
    return exitOk;
  }
  for (const { name, what, values } of settings) {
    write(`${name}: ${values.length === 0 ? "-" : printable(values.join("; "))}\n    ${what}\n`);
  }
  return exitOk;
}

export async function alertSet(
  options: AlertOptions & { readonly name: string; readonly values: readonly string[] },
): Promise<number> {
  const { root, name, values } = options;
  const read = values.map(async (value) => (value === "-" ? readSecret("-", name) : value));
  const value = (await Promise.all(read)).join("\n");
  const path = `/alerts/settings/${encodeURIComponent(name)}`;
  const answer = await apiOf(root).call(effectAnswer, "PUT", path, { value });
  return shownEffect(answer, options);
}

function shownEffect(
  answer: v.InferOutput<typeof effectAnswer>,
  { json, write }: AlertOptions,
): number {
  if (json) write(`${JSON.stringify(answer, undefined, 2)}\n`);
  else write(`${answer.isChanged ? "" : "already so: "}${answer.notes.join("; ")}\n`);
  return exitOk;
}
