// Without quorum: who is missing since when, and what can be done, the safest first (pvecm.md §5.9 J, §1.7).
import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { type ChangeAnswer, effectAnswer } from "../../../answers/change.ts";
import type { Overview } from "../../../answers/ring.ts";
import { type Answer, failureText } from "../api.ts";
import { Card, CopyText, Do, Field, Heading, Name, Notice } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { duration } from "../shown.ts";
import { deviceVotesHere, verdictOf } from "../verdict.ts";
import { words } from "../words.ts";

const said = words.effects;

type Effect = Pick<ChangeAnswer, "notes"> & { readonly isChanged: boolean };

export function EmergencyScreen(props: ScreenProps) {
  const { overview } = props;
  const { quorum } = overview;
  const isWaiting = quorum.flags.includes("WaitForAll") && quorum.totalVotes >= quorum.quorum;
  const { mood, sentence } = verdictOf(overview);
  return (
    <>
      <Heading text={words.screens.emergency} />
      <Notice mood={mood}>
        <p class="verdict">{sentence}</p>
      </Notice>
      {quorum.override !== "" && (
        <>
          <Notice mood="warn">{quorum.override}</Notice>
          <Card title={said.overrideEnds} isWide>
            <p>{said.overrideEndsText}</p>
          </Card>
        </>
      )}
      {!quorum.quorate && (
        <ol class="options">
          <Option title={words.optionWait} effect={said.wait}>
            <p>{words.optionWaitText}</p>
          </Option>
          <Option title={words.optionStart} effect={startEffect(overview)}>
            <Missing overview={overview} />
          </Option>
          <Option title={words.optionArbiter} effect={arbiterEffect(overview)}>
            <ArbiterText overview={overview} />
          </Option>
          {isWaiting && (
            <Option title={words.optionWaitForAll} effect={said.waitForAll}>
              <WaitForAll {...props} />
            </Option>
          )}
          {!isWaiting && (
            <Option title={words.optionOverride} effect={said.override}>
              <Override {...props} />
            </Option>
          )}
          <Option title={words.optionSeparate} effect={said.separate}>
            <p>{words.optionSeparateText}</p>
            <CopyText text="quorate leave --local" label={words.optionSeparate} />
          </Option>
        </ol>
      )}
    </>
  );
}

function Option(props: {
  readonly title: string;
  /** What it brings and costs; "": nothing is to be said. */
  readonly effect: string;
  readonly children: ComponentChildren;
}) {
  return (
    <li>
      <Card title={props.title} isWide>
        {props.effect !== "" && (
          <p>
            <strong>{said.title}</strong> {props.effect}
          </p>
        )}
        {props.children}
      </Card>
    </li>
  );
}

/** How many of the missing nodes are enough, the weakest first, so that it holds for any of them. */
export function startEffect({ nodes, quorum }: Pick<Overview, "nodes" | "quorum">): string {
  const missing = Math.max(1, quorum.quorum - quorum.totalVotes);
  if (quorum.totalVotes >= quorum.quorum) return "";
  const away = nodes.filter(({ isMember, votes }) => !isMember && votes > 0);
  const votes = away.map((node) => node.votes).toSorted((a, b) => a - b);
  if (votes.length === 0) return said.start(missing, 0);
  let sum = 0;
  const enough = votes.findIndex((each) => (sum += each) >= missing) + 1;
  return enough === 0 ? said.startNever : said.start(missing, enough);
}

/** Whether the votes that the arbiter does not give here would be enough. */
export function arbiterEffect(overview: Pick<Overview, "device" | "quorum" | "nodes">): string {
  const { device, quorum } = overview;
  if (device === null || deviceVotesHere(overview) > 0) return "";
  return quorum.totalVotes + device.votes >= quorum.quorum
    ? said.arbiterHelps(device.votes)
    : said.arbiterShort;
}

function Missing({ overview: { nodes, links } }: { readonly overview: Overview }) {
  const away = nodes.filter(({ isMember }) => !isMember);
  return (
    <>
      <p>{words.optionStartText}</p>
      <ul>
        {away.map(({ nodeid, name, addresses, isReachable }) => {
          const own = links.filter((link) => link.nodeid === nodeid);
          const gone = own.flatMap(({ changes: [last] }) =>
            last === undefined || last.isUp ? [] : [last.agoMs],
          );
          return (
            <li key={nodeid}>
              <Name of={name} />
              {gone.length > 0 && ` – ${words.missingSince(duration(Math.min(...gone)))}`}
              {isReachable && ` – ${words.unreachable}`}
              <div class="soft">
                <Name of={addresses.filter((each) => each !== null).join(", ")} />
              </div>
            </li>
          );
        })}
      </ul>
    </>
  );
}

function ArbiterText({ overview: { device, fault } }: { readonly overview: Overview }) {
  if (device === null) return <p>{fault === "" ? words.optionArbiterNone : fault}</p>;
  const { host, state, problem } = device;
  return (
    <>
      <p>
        <Name of={host} />: {state}. {problem}
      </p>
      <Do action={{ kind: "go", screen: "arbiter" }} />
    </>
  );
}

/** What a change would do is asked first; it is done with the same call. */
function useChange({ parts }: ScreenProps, method: "PUT" | "POST", path: string) {
  const [shown, setShown] = useState<Answer<Effect>>();
  const [done, setDone] = useState<Answer<Effect>>();
  const [isBusy, setBusy] = useState(false);
  const call = async (given: Readonly<Record<string, number>>, isDry: boolean): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    const dry = isDry ? { "dry-run": true } : {};
    const wanted = { schema: effectAnswer, path, given: { ...given, ...dry } };
    const answer = await parts.api.call(method, wanted);
    setBusy(false);
    if (isDry) setShown(answer);
    else setDone(answer);
    parts.live.refresh();
  };
  const outcome = done ?? shown;
  const notice =
    outcome === undefined ? null : outcome.ok ? (
      <Notice mood={done === undefined ? "warn" : "good"} isAlert>
        {outcome.data.notes.map((note) => (
          <p key={note}>{note}</p>
        ))}
      </Notice>
    ) : (
      <Notice mood="bad" isAlert>
        {failureText(outcome)}
      </Notice>
    );
  return { call, isBusy, isShown: shown?.ok === true && done === undefined, notice };
}

function Override(props: ScreenProps) {
  const { totalVotes } = props.overview.quorum;
  const votes = Math.max(1, totalVotes);
  const [typed, setTyped] = useState("");
  const { call, isBusy, isShown, notice } = useChange(props, "PUT", "/api/v1/expected");
  const isSure = typed.trim() === words.overrideSentence;
  return (
    <>
      <p>{words.optionOverrideText(votes)}</p>
      {notice}
      {isShown ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (isSure) void call({ votes }, false);
          }}
        >
          <Field label={words.overrideType} hint={words.overrideSentence}>
            {({ id, describedBy }) => (
              <input
                {...{ id, "aria-describedby": describedBy, value: typed }}
                autocomplete="off"
                spellcheck={false}
                maxLength={80}
                onInput={({ currentTarget }) => setTyped(currentTarget.value)}
              />
            )}
          </Field>
          <button class="danger" type="submit" aria-disabled={!isSure || isBusy}>
            {words.overrideNow}
          </button>
        </form>
      ) : (
        <button type="button" aria-disabled={isBusy} onClick={() => void call({ votes }, true)}>
          {words.showEffect}
        </button>
      )}
    </>
  );
}

function WaitForAll(props: ScreenProps) {
  const path = "/api/v1/quorum/cancel-wait-for-all";
  const { call, isBusy, isShown, notice } = useChange(props, "POST", path);
  return (
    <>
      <p>{words.optionWaitForAllText}</p>
      {notice}
      <button
        type="button"
        class={isShown ? "danger" : ""}
        aria-disabled={isBusy}
        onClick={() => void call({}, !isShown)}
      >
        {isShown ? words.waitForAllNow : words.showEffect}
      </button>
    </>
  );
}
