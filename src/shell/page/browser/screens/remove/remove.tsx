// A node out of the cluster, step by step: which, whether it runs, what that means, what it leaves, and what comes afterwards (pvecm.md §3.6, §5.9 E).
import { useEffect, useState } from "preact/hooks";
import { removalReport, type RemovalReport } from "../../../../answers/removal.ts";
import type { Answer } from "../../api.ts";
import { Busy, Card, Check, Field, Heading, Notice } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { nameInText } from "../../shown.ts";
import { useStore } from "../../store.ts";
import { words } from "../../words.ts";
import { type Changing, useChanging } from "../asking.ts";
import { Plan } from "../../change-form.tsx";
import { Refusals } from "../refusals.tsx";
import { Afterwards } from "./afterwards.tsx";
import { LeftBehind, Meaning, Runs } from "./meaning.tsx";

const said = words.removal;

export function RemoveScreen(props: ScreenProps) {
  const { parts, session, overview } = props;
  const asked = nodeOf(useStore(parts.hash));
  const others = overview.nodes.filter(({ isLocal }) => !isLocal);
  const [chosen, setChosen] = useState(asked);
  // Another run of the wizard begins from nothing.
  const [run, setRun] = useState(0);
  const isRoot = session.user === "root@pam";
  return (
    <>
      <Heading text={words.screens.remove} />
      <p>{said.text}</p>
      {!isRoot && <Notice mood="warn">{words.noRightChange}</Notice>}
      {isRoot && (
        <Wizard
          key={run}
          {...{ ...props, node: chosen, choose: setChosen }}
          names={others.map(({ name, isMember }) => ({ name, isMember }))}
          onAgain={() => {
            setChosen("");
            setRun(run + 1);
          }}
        />
      )}
    </>
  );
}

/** Of "#/remove/pve3"; "": none is named. */
function nodeOf(hash: string): string {
  const [, name = ""] = hash.replace(/^#\//, "").split("/");
  try {
    return decodeURIComponent(name);
  } catch {
    return ""; // Somebody typed it.
  }
}

interface WizardProps extends ScreenProps {
  /** "": none is chosen. */
  readonly node: string;
  readonly names: readonly { readonly name: string; readonly isMember: boolean }[];
  readonly choose: (name: string) => void;
  readonly onAgain: () => void;
}

function Wizard(props: WizardProps) {
  const { node, names, choose } = props;
  const path = `/api/v1/cluster/nodes/${encodeURIComponent(node)}`;
  const change = useChanging(props, "DELETE", path);
  const isMember = names.find(({ name }) => name === node)?.isMember;
  const report = useReport(props, change.upid === "" ? node : "", isMember);
  if (change.upid !== "") {
    const { upid } = change;
    return <Afterwards {...{ props, upid, node, onAgain: props.onAgain }} />;
  }
  return (
    <>
      <Card title={said.node} isWide>
        {names.length === 0 ? (
          <p class="soft">{said.noOther}</p>
        ) : (
          <Field label={said.choose} hint={said.chooseHint}>
            {({ id, describedBy }) => (
              <select
                {...{ id, "aria-describedby": describedBy, value: node }}
                onChange={({ currentTarget }) => choose(currentTarget.value)}
              >
                <option value="">{said.chooseNone}</option>
                {names.map(({ name, isMember: runs }) => (
                  <option key={name} value={name}>
                    {said.option(nameInText(name), runs)}
                  </option>
                ))}
              </select>
            )}
          </Field>
        )}
      </Card>
      {node !== "" && report === undefined && <Busy />}
      <Refusals of={[report]} />
      {report?.ok === true && <Decide key={node} {...{ report: report.data, change }} />}
    </>
  );
}

/** What it would mean, read anew when the node comes or goes. */
function useReport(
  { parts }: ScreenProps,
  node: string,
  isMember: boolean | undefined,
): Answer<RemovalReport> | undefined {
  const [read, setRead] = useState<{ node: string; answer: Answer<RemovalReport> }>();
  useEffect(() => {
    if (node === "") return undefined;
    let isOver = false;
    const path = `/api/v1/cluster/nodes/${encodeURIComponent(node)}/removal`;
    void parts.api.get(removalReport, path).then((answer) => {
      if (!isOver) setRead({ node, answer });
    });
    return () => void (isOver = true);
  }, [parts.api, node, isMember]);
  return read?.node === node ? read.answer : undefined;
}

function Decide(props: { readonly report: RemovalReport; readonly change: Changing }) {
  const { report, change } = props;
  const { name, isMember, refusal, guests } = report;
  const [asItRuns, setAsItRuns] = useState(false);
  const [purge, setPurge] = useState(false);
  const [withGuests, setWithGuests] = useState(false);
  const [typed, setTyped] = useState("");
  const given = { purge, "with-guests": purge && withGuests };
  useEffect(() => {
    if (refusal === "") void change.plan(given);
  }, [purge, withGuests, isMember, refusal]);
  const { planned, refused, isBusy } = change;
  const isPlanned = planned?.ok === true && !planned.data.isDone;
  const isSure = typed.trim() === name && (!isMember || asItRuns);
  const mayBegin = isPlanned && isSure && !isBusy;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (mayBegin) void change.begin(said.title(nameInText(name)), given);
      }}
    >
      <Runs {...{ report, asItRuns, onChange: setAsItRuns }} />
      <Meaning report={report} />
      <LeftBehind report={report}>
        <Check isOn={purge} onChange={setPurge} label={said.purge} hint={said.purgeHint} />
        {guests.length > 0 && purge && (
          <Check isOn={withGuests} onChange={setWithGuests} label={said.withGuests} hint="" />
        )}
      </LeftBehind>
      {refusal !== "" && <Notice mood="bad">{refusal}</Notice>}
      <Refusals of={[planned, refused]} />
      {planned?.ok === true && <Plan plan={{ ...planned.data, notes: [] }} />}
      {refused?.ok === true && <Notice mood="calm">{refused.data.notes.join(" ")}</Notice>}
      <Field label={said.typeName} hint={said.typeHint(nameInText(name))}>
        {({ id, describedBy }) => (
          <input
            {...{ id, "aria-describedby": describedBy, value: typed }}
            autocomplete="off"
            spellcheck={false}
            maxLength={255}
            onInput={({ currentTarget }) => setTyped(currentTarget.value)}
          />
        )}
      </Field>
      <button class="danger" type="submit" aria-disabled={!mayBegin}>
        {isBusy ? words.busy : said.remove(nameInText(name))}
      </button>
    </form>
  );
}
