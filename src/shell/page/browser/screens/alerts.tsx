// Alerts: which there are, who tells them to whom, a test, and when it is quiet (pvecm.md §5.8). Anybody may look who may audit; the node says who may do more.
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import {
  type AlertsAnswer,
  alertsAnswer,
  alertSettingsAnswer,
  type AlertTestAnswer,
  alertTestAnswer,
} from "../../../answers/alerts.ts";
import { effectAnswer } from "../../../answers/change.ts";
import { type Answer, type Api, type Failure, failureText } from "../api.ts";
import { useReading } from "../chart/reading.ts";
import { Busy, Card, Field, Heading, Name, Notice, State } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { timeText } from "../shown.ts";
import { useStore } from "../store.ts";
import { words } from "../words.ts";

type Alert = AlertsAnswer["alerts"][number];
type Setting = v.InferOutput<typeof alertSettingsAnswer>[number];

const everyMs = 5000;
const overShown = 20;
const muteSeconds = [3600, 28_800, 86_400] as const;
const path = "/api/v1/alerts";

export function AlertsScreen({ parts, session }: ScreenProps) {
  const { api } = parts;
  const now = useStore(parts.clock);
  const [refusal, setRefusal] = useState<Failure>();
  const [changes, setChanges] = useState(0);
  const answer = useReading<Answer<AlertsAnswer>>(() => api.get(alertsAnswer, path), everyMs, [
    api,
    changes,
  ]);
  const read = (): void => setChanges((count) => count + 1);
  const mute = async (what: string, seconds: number): Promise<void> => {
    const muted = await api.post(effectAnswer, `${path}/mute`, { what, seconds });
    setRefusal(muted.ok ? undefined : muted);
    read();
  };
  return (
    <>
      <Heading text={words.screens.alerts} />
      {refusal !== undefined && (
        <Notice mood="bad" isAlert>
          {failureText(refusal)}
        </Notice>
      )}
      {answer === undefined && <Busy />}
      {answer?.ok === false && <Notice mood="bad">{failureText(answer)}</Notice>}
      {answer?.ok === true && (
        <>
          <AlertList alerts={answer.data.alerts} now={now} mute={mute} />
          <Told answer={answer.data} api={api} />
        </>
      )}
      {session.user === "root@pam" ? (
        <Settings api={api} changed={read} />
      ) : (
        <p class="soft">{words.alertSettingsRoot}</p>
      )}
    </>
  );
}

export function AlertList(props: {
  readonly alerts: readonly Alert[];
  readonly now: number;
  readonly mute: (what: string, seconds: number) => Promise<void>;
}) {
  const { alerts, now, mute } = props;
  const open = alerts.filter(({ isOpen }) => isOpen);
  const over = alerts.filter(({ isOpen }) => !isOpen).slice(0, overShown);
  return (
    <>
      <Card title={words.alertsOpen} isWide>
        {open.length === 0 && (
          <p>
            <State mood="good">{words.alertsNone}</State>
          </p>
        )}
        <ul class="warnings">
          {open.map((alert) => (
            <li key={alert.id}>
              <Notice mood={alert.isUrgent ? "bad" : "warn"}>
                <p>{alert.what}</p>
                <dl class="facts">
                  <dt>{words.since}</dt>
                  <dd>{timeText(alert.since, now, true)}</dd>
                  <dt>{words.alertEffect}</dt>
                  <dd>{alert.effect}</dd>
                  <dt>{words.alertNext}</dt>
                  <dd>{alert.nextStep}</dd>
                  <dt>{words.alertTold}</dt>
                  <dd>{toldText(alert, now)}</dd>
                </dl>
                <Mute alert={alert} mute={mute} />
              </Notice>
            </li>
          ))}
        </ul>
      </Card>
      {over.length > 0 && (
        <Card title={words.alertsOver} isWide>
          <ul class="warnings">
            {over.map((alert) => (
              <li key={alert.id}>
                <State mood="calm">
                  {timeText(alert.since, now, true)} – {timeText(alert.until ?? now, now, true)}
                </State>{" "}
                {alert.what} <span class="soft">{toldText(alert, now)}</span>
              </li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function toldText({ mutedUntil, waitsFor, sentBy, sentAt }: Alert, now: number): string {
  if (mutedUntil !== null) return words.alertMuted(timeText(mutedUntil, now, true));
  if (waitsFor.length > 0) return words.alertWaits(waitsFor.join(", "));
  return sentAt === null
    ? words.alertToldNobody
    : words.alertSent(sentBy, timeText(sentAt, now, true));
}

function Mute({
  alert,
  mute,
}: { readonly alert: Alert } & Pick<Parameters<typeof AlertList>[0], "mute">) {
  const { id, mutedUntil } = alert;
  if (mutedUntil !== null) {
    return (
      <button type="button" onClick={() => void mute(id, 0)}>
        {words.unmute} <span class="hidden">{id}</span>
      </button>
    );
  }
  return (
    <div class="buttons">
      {muteSeconds.map((seconds) => (
        <button key={seconds} type="button" onClick={() => void mute(id, seconds)}>
          {words.mute(words.lifetimes(seconds))} <span class="hidden">{id}</span>
        </button>
      ))}
    </div>
  );
}

/** Who sends, to whom, and whether it works. */
export function Told({ answer, api }: { readonly answer: AlertsAnswer; readonly api: Api }) {
  const { sender, channels, isQuiet, problems } = answer;
  const [result, setResult] = useState<Answer<AlertTestAnswer>>();
  const [isBusy, setBusy] = useState(false);
  const test = async (): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    setResult(await api.post(alertTestAnswer, `${path}/test`));
    setBusy(false);
  };
  return (
    <Card title={words.alertChannels} isWide>
      <p>
        {sender === null ? (
          words.alertNoSender
        ) : (
          <>
            {words.alertSender} <Name of={sender.name} />
            {sender.isHere && ` (${words.here})`}
          </>
        )}
      </p>
      {channels.length === 0 && <Notice mood="warn">{words.alertNobody}</Notice>}
      <ul>
        {channels.map(({ name, target, fault }) => (
          <li key={name}>
            <State mood={fault === "" ? "good" : "bad"}>{words.alertChannel[name]}</State>{" "}
            <Name of={target} /> {fault}
          </li>
        ))}
      </ul>
      {isQuiet && <Notice mood="calm">{words.alertQuietNow}</Notice>}
      {problems.map((problem) => (
        <Notice key={problem} mood="warn">
          {problem}
        </Notice>
      ))}
      <div class="buttons">
        <button class="main" type="button" aria-disabled={isBusy} onClick={() => void test()}>
          {isBusy ? words.busy : words.alertTest}
        </button>
      </div>
      <div role="status">{result !== undefined && <TestResult result={result} />}</div>
    </Card>
  );
}

export function TestResult({ result }: { readonly result: Answer<AlertTestAnswer> }) {
  if (!result.ok) return <Notice mood="bad">{failureText(result)}</Notice>;
  return (
    <ul>
      {result.data.results.map(({ channel, ok, text }) => (
        <li key={channel}>
          <State mood={ok ? "good" : "bad"}>{words.alertChannel[channel]}</State> {text}
        </li>
      ))}
    </ul>
  );
}

function Settings({ api, changed }: { readonly api: Api; readonly changed: () => void }) {
  const [settings, setSettings] = useState<Answer<readonly Setting[]>>();
  const read = async (): Promise<void> =>
    setSettings(await api.get(alertSettingsAnswer, `${path}/settings`));
  useEffect(() => void read(), [api]);
  const saved = async (): Promise<void> => {
    await read();
    changed();
  };
  return (
    <Card title={words.alertSettings} isWide>
      <p class="soft">{words.alertSettingsText}</p>
      {settings === undefined && <Busy />}
      {settings?.ok === false && <Notice mood="bad">{failureText(settings)}</Notice>}
      {settings?.ok === true &&
        settings.data
          .filter(({ name }) => name !== "mute")
          .map((setting) => (
            <SettingField
              key={`${setting.name} ${setting.values.join("\n")}`}
              {...{ api, setting, saved }}
            />
          ))}
    </Card>
  );
}

/** A secret is never shown: what is typed takes its place. */
export function SettingField(props: {
  readonly api: Api;
  readonly setting: Setting;
  readonly saved: () => Promise<void>;
}) {
  const { api, setting, saved } = props;
  const { name, what, isSecret, values } = setting;
  const before = isSecret ? "" : values.join("\n");
  const [value, setValue] = useState(before);
  const [refusal, setRefusal] = useState<Failure>();
  const save = async (next: string): Promise<void> => {
    const call = { schema: effectAnswer, path: `${path}/settings/${name}`, given: { value: next } };
    const answer = await api.call("PUT", call);
    setRefusal(answer.ok ? undefined : answer);
    if (answer.ok) await saved();
  };
  return (
    <form
      class="setting"
      onSubmit={(event) => {
        event.preventDefault();
        void save(value);
      }}
    >
      <Field label={name} hint={what} fault={refusal === undefined ? "" : failureText(refusal)}>
        {({ id, describedBy }) => {
          const shared = {
            ...{ id, "aria-describedby": describedBy, value, maxLength: 2048, autoComplete: "off" },
            placeholder:
              isSecret && values.length > 0 ? words.alertSecretSet(values.join(", ")) : "",
            onInput: ({ currentTarget }: { readonly currentTarget: HTMLInputElement }) =>
              setValue(currentTarget.value),
          };
          return isSecret && name !== "webhook" ? (
            <input {...shared} type="password" />
          ) : (
            <input {...shared} type="text" />
          );
        }}
      </Field>
      <div class="buttons">
        <button type="submit" disabled={value === before}>
          {words.save} <span class="hidden">{name}</span>
        </button>
        {isSecret && values.length > 0 && (
          <button type="button" class="danger" onClick={() => void save("")}>
            {words.takeAway} <span class="hidden">{name}</span>
          </button>
        )}
      </div>
    </form>
  );
}
