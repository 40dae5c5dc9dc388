// Without quorum: who is missing since when, and what can be done, the safest first (pvecm.md §5.9 J, §1.7).
import { useEffect, useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { expectedAtLeast, neededVotes } from "../../../../node/quorum/needed.ts";
import type { Overview } from "../../../answers/ring.ts";
import { failureText } from "../api.ts";
import { Card, CopyText, Do, Field, Heading, Name, Notice } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { duration } from "../shown.ts";
import { useStore } from "../store.ts";
import { deviceVotesHere, verdictOf } from "../verdict.ts";
import { words } from "../words.ts";
import { basisOf, PlannedChange, type PlannedState } from "./planned.ts";

const said = words.effects;

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
            <Option title={words.optionOverride} effect={overrideEffect(overview)}>
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

export function overrideEffect(overview: Pick<Overview, "quorum" | "nodes">): string {
  return overrideHelps(overview)
    ? said.override
    : said.overrideHelpless(overview.quorum.deviceVotes);
}

/** Whether this part would be quorate if no more votes were expected than are here: by the rule of the nodes' ledger, which counts a device's too. */
function overrideHelps(overview: Pick<Overview, "quorum" | "nodes">): boolean {
  const { totalVotes, deviceVotes, flags } = overview.quorum;
  const wanted = Math.max(1, totalVotes);
  const ofNodes = totalVotes - deviceVotesHere(overview);
  const expected = expectedAtLeast(wanted, ofNodes, deviceVotes);
  // wait_for_all waits until as many are here as are expected.
  if (flags.includes("WaitForAll") && expected !== totalVotes) return false;
  const isAloneOfTwo = flags.includes("2Node");
  return totalVotes >= (isAloneOfTwo ? 1 : neededVotes(expected, totalVotes));
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

/** What a change would do is asked first; it is done with the same call. `isShown`: it would help, and may be done. */
function usePlanned({ parts, overview }: ScreenProps, method: "PUT" | "POST", path: string) {
  const { api, live } = parts;
  const [plan] = useState(
    () => new PlannedChange({ api, method, path, onAnswer: () => live.refresh() }),
  );
  const state = useStore(plan.state);
  const basis = basisOf(overview);
  useEffect(() => plan.see(basis), [plan, basis, state]);
  const { shown, isBusy } = state;
  // Not even for the moment until it is dropped may an old plan be carried out.
  const isNow = shown !== undefined && (isBusy || shown.basis === basis);
  const isShown = isNow && shown.answer.ok && shown.answer.data.isQuorate;
  return {
    ...{ isBusy, isShown },
    notice: <Outcome state={state} />,
    ask: (given: Readonly<Record<string, number>>) => void plan.ask(given, basis),
    send: () => void plan.send(),
  };
}

/** What would be, or is: good only when this part is quorate with it. */
export function Outcome({ state }: { readonly state: PlannedState }) {
  const { done, shown, isOutdated } = state;
  if (isOutdated) {
    return (
      <Notice mood="warn" isAlert>
        {said.outdated}
      </Notice>
    );
  }
  const outcome = done ?? shown?.answer;
  if (outcome === undefined) return null;
  if (!outcome.ok) {
    return (
      <Notice mood="bad" isAlert>
        {failureText(outcome)}
      </Notice>
    );
  }
  const mood = !outcome.data.isQuorate ? "bad" : done === undefined ? "warn" : "good";
  return (
    <Notice mood={mood} isAlert>
      {outcome.data.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
    </Notice>
  );
}

function Override(props: ScreenProps) {
  const votes = Math.max(1, props.overview.quorum.totalVotes);
  const { ask, send, isBusy, isShown, notice } = usePlanned(props, "PUT", "/api/v1/expected");
  return (
    <>
      {overrideHelps(props.overview) && <p>{words.optionOverrideText(votes)}</p>}
      {notice}
      {isShown ? (
        <Sentence isBusy={isBusy} onSure={send} />
      ) : (
        <button type="button" aria-disabled={isBusy} onClick={() => ask({ votes })}>
          {words.showEffect}
        </button>
      )}
    </>
  );
}

/** What was typed goes with it: for another plan it must be typed again. */
function Sentence({ isBusy, onSure }: { readonly isBusy: boolean; readonly onSure: () => void }) {
  const [typed, setTyped] = useState("");
  const isSure = typed.trim() === words.overrideSentence;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (isSure) onSure();
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
  );
}

function WaitForAll(props: ScreenProps) {
  const path = "/api/v1/quorum/cancel-wait-for-all";
  const { ask, send, isBusy, isShown, notice } = usePlanned(props, "POST", path);
  return (
    <>
      <p>{words.optionWaitForAllText}</p>
      {notice}
      <button
        type="button"
        class={isShown ? "danger" : ""}
        aria-disabled={isBusy}
        onClick={() => (isShown ? send() : ask({}))}
      >
        {isShown ? words.waitForAllNow : words.showEffect}
      </button>
    </>
  );
}
