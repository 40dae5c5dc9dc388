// How a cluster gets its arbiter: one command on that machine, whose token is pasted here; what would be done is shown before (qnetd.md §4).
import { useState } from "preact/hooks";
import { Card, Check, CopyText, Field, Notice } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { typedWord } from "../../shown.ts";
import { votingNodes } from "../../verdict.ts";
import { words } from "../../words.ts";
import { useChanging, useTaskEnd } from "../asking.ts";
import { Refusals } from "../refusals.tsx";
import { Plan } from "../../change-form.tsx";

const said = words.arbiterScreen;

export function SetUp(props: ScreenProps) {
  const { overview } = props;
  const cluster = typedWord(overview.cluster.name);
  return (
    <Card title={said.setUp} isWide>
      <h3>{said.step1}</h3>
      <p>{said.step1Text}</p>
      <p class="soft">{said.step1Install}</p>
      <CopyText text="quorate install qnetd" label={said.step1InstallCommand} />
      <p class="soft">{said.step1Invite}</p>
      <CopyText text={`quorate qnetd invite ${cluster}`} label={said.step1InviteCommand} />
      <h3>{said.step2}</h3>
      <Form {...props} />
    </Card>
  );
}

function Form(props: ScreenProps) {
  const change = useChanging(props, "POST", "/api/v1/device");
  const [token, setToken] = useState("");
  const [host, setHost] = useState("");
  const [port, setPort] = useState("5403");
  const [isForced, setForced] = useState(false);
  const voting = votingNodes(props.overview);
  const { planned, refused, isBusy } = change;
  const isUnderway = useTaskEnd(props, change.upid) === "runs";
  const word = token.trim();
  const place = word === "" ? { host: host.trim(), port } : { token: word };
  const isGiven = word !== "" || host.trim() !== "";
  const given = { ...place, ...(isForced ? { force: true } : {}) };
  const edit = (set: (text: string) => void) => (text: string) => {
    set(text);
    change.forget();
  };
  const isPlanned = planned?.ok === true;
  const wrong = planned?.ok === false ? (planned.errors["token"] ?? "") : "";
  const act = (): void => {
    if (!isGiven || isBusy) return;
    void (isPlanned ? change.begin(said.setUpTitle, given) : change.plan(given));
  };
  if (isUnderway) return <Notice mood="calm">{said.goes}</Notice>;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        act();
      }}
    >
      <Field label={said.token} hint={said.tokenHint} fault={wrong}>
        {({ id, describedBy }) => (
          <textarea
            {...{ id, "aria-describedby": describedBy, value: token, rows: 3 }}
            spellcheck={false}
            autocomplete="off"
            maxLength={8192}
            onInput={({ currentTarget }) => edit(setToken)(currentTarget.value)}
          />
        )}
      </Field>
      <details>
        <summary>{said.plain}</summary>
        <p class="soft">{said.plainText}</p>
        <Place {...{ host, port, onHost: edit(setHost), onPort: edit(setPort) }} />
      </details>
      {voting % 2 === 1 && (
        <Check
          isOn={isForced}
          onChange={(isOn) => {
            setForced(isOn);
            change.forget();
          }}
          label={said.oddSure}
          hint={said.odd(voting)}
        />
      )}
      <Refusals of={wrong === "" ? [planned, refused] : [refused]} />
      {planned?.ok === true && <Plan plan={planned.data} />}
      <div class="buttons">
        <button class="main" type="submit" aria-disabled={!isGiven || isBusy}>
          {isBusy ? words.busy : isPlanned ? said.setUpNow : said.check}
        </button>
      </div>
    </form>
  );
}

function Place(props: {
  readonly host: string;
  readonly port: string;
  readonly onHost: (text: string) => void;
  readonly onPort: (text: string) => void;
}) {
  const fields = [
    { label: said.host, value: props.host, onText: props.onHost, most: 253 },
    { label: said.port, value: props.port, onText: props.onPort, most: 5 },
  ];
  return (
    <>
      {fields.map(({ label, value, onText, most }) => (
        <Field key={label} label={label}>
          {({ id, describedBy }) => (
            <input
              {...{ id, "aria-describedby": describedBy, value, maxLength: most }}
              autocomplete="off"
              spellcheck={false}
              onInput={({ currentTarget }) => onText(currentTarget.value)}
            />
          )}
        </Field>
      ))}
    </>
  );
}
