// Joining a cluster: what was pasted, what it says, whether it can be done, and the doing (pvecm.md §5.5, §5.9 D).
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import {
  type JoinCheck,
  joinChecks,
  type joinReport,
  joinTask,
  readIntroduction,
} from "../../../answers/join.ts";
import { unifiedDifference } from "../../../conf/difference.ts";
import { type Api, type Answer, type Failure, failureText } from "../api.ts";
import { Refusals } from "./refusals.tsx";
import { Busy, Card, Field, Name, State } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { nameInText, timeText } from "../shown.ts";
import type { Mood } from "../verdict.ts";
import { words } from "../words.ts";

const said = words.checking;

type Introduction = v.InferOutput<typeof readIntroduction>;
type Report = v.InferOutput<typeof joinReport>;
type Checks = v.InferOutput<typeof joinChecks>;

const typedMs = 400;

export function Join({ parts, session, onBack }: ScreenProps & { readonly onBack: () => void }) {
  const [text, setText] = useState("");
  const introduction = useIntroduction(parts.api, text);
  const begun = ({ upid, steps }: v.InferOutput<typeof joinTask>): void => {
    const cluster = introduction?.ok === true ? introduction.data.cluster : "";
    const farewell = words.loginJoining(cluster === "" ? words.aCluster : nameInText(cluster));
    parts.follow.begin(words.joinTitle, session.node, upid, steps, farewell);
    parts.live.refresh();
  };
  const isWrong = introduction !== undefined && !introduction.ok;
  const wrong = isWrong ? (introduction.errors["text"] ?? failureText(introduction)) : "";
  return (
    <Card title={words.joinTitle} isWide>
      <Field label={words.pasted} hint={words.pastedHint} fault={wrong}>
        {({ id, describedBy }) => (
          <textarea
            {...{ id, "aria-describedby": describedBy, value: text, rows: 4 }}
            spellcheck={false}
            autocomplete="off"
            maxLength={60_000}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        )}
      </Field>
      {introduction?.ok === true && (
        <>
          <Says of={introduction.data} />
          <Try key={text} {...{ api: parts.api, introduction: introduction.data, begun }} />
        </>
      )}
      <div class="buttons">
        <button type="button" onClick={onBack}>
          {words.back}
        </button>
      </div>
    </Card>
  );
}

/** What the pasted text says, once nobody types any more; undefined: nothing yet. */
function useIntroduction(api: Api, text: string): Answer<Introduction> | undefined {
  const [read, setRead] = useState<Answer<Introduction>>();
  useEffect(() => {
    setRead(undefined);
    if (text.trim() === "") return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      void api.post(readIntroduction, "/api/v1/join/read", { text }).then((answer) => {
        if (!isOver) setRead(answer);
      });
    }, typedMs);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, text]);
  return read;
}

export function Says({ of }: { readonly of: Introduction }) {
  return (
    <dl class="facts">
      <dt>{words.clusterName}</dt>
      <dd>
        <Name of={of.cluster} />
      </dd>
      <dt>{words.members}</dt>
      <dd>
        <Name of={of.hosts.join(", ")} />
      </dd>
      <dt>{of.kind === "token" ? words.fingerprintAuthority : words.fingerprint}</dt>
      <dd>
        <code>{of.fingerprint}</code>
      </dd>
      {of.kind === "token" && (
        <>
          <dt>{words.goodUntil}</dt>
          <dd>
            {timeText(of.expiresAt * 1000, Date.now(), true)}{" "}
            {of.isExpired && <State mood="bad">{words.expired}</State>}
          </dd>
        </>
      )}
    </dl>
  );
}

/** Own addresses; "" lets the node find one in the network of the members. */
function useLinks() {
  const [links, setLinks] = useState<readonly string[]>(["", ""]);
  const given = Object.fromEntries(
    links.flatMap((link, at) => (link === "" ? [] : [[`link${at}`, link]])),
  );
  const fields = (
    <details>
      <summary>{words.ownAddresses}</summary>
      {links.map((link, at) => (
        <Field key={at} label={words.linkAddress(at)} hint={words.ownAddressHint}>
          {({ id, describedBy }) => (
            <input
              {...{ id, "aria-describedby": describedBy, value: link }}
              autocomplete="off"
              spellcheck={false}
              maxLength={255}
              onInput={({ currentTarget }) =>
                setLinks(links.map((each, of) => (of === at ? currentTarget.value.trim() : each)))
              }
            />
          )}
        </Field>
      ))}
    </details>
  );
  return { given, fields };
}

interface TryProps {
  readonly api: Api;
  readonly introduction: Introduction;
  readonly begun: (answer: v.InferOutput<typeof joinTask>) => void;
}

/**
 * The checks of the node itself come first; nothing is changed by them, and a token stays good. With a password the member is asked by this node too: a
 * browser could not see its certificate.
 */
function Try({ api, introduction, begun }: TryProps) {
  const [password, setPassword] = useState("");
  const [found, setFound] = useState<Answer<Checks>>();
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const { given, fields } = useLinks();
  const isByToken = introduction.kind === "token";
  const call = { ...whom(introduction), ...(isByToken ? {} : { password }), ...given };
  const mayAsk = isByToken || password !== "";
  const check = async (): Promise<void> => {
    if (!mayAsk) return;
    setFound(undefined);
    setRefusal(undefined);
    setBusy(true);
    setFound(await api.post(joinChecks, "/api/v1/join/checks", call));
    setBusy(false);
  };
  const join = async (): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    const answer = await api.post(joinTask, "/api/v1/join", call);
    setBusy(false);
    if (answer.ok) begun(answer.data);
    else setRefusal(answer);
  };
  // A token is tried at once: nothing more is to be typed.
  useEffect(() => void (isByToken && check()), []);
  const mayJoin = found?.ok === true && found.data.report !== undefined;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void (mayJoin ? join() : check());
      }}
    >
      {!isByToken && <Password {...{ password, onChange: setPassword }} />}
      {fields}
      <h3>{words.checks}</h3>
      {isBusy && found === undefined && <Busy />}
      <Refusals of={[found, refusal]} />
      {found?.ok === true && <ChecksMade found={found.data} />}
      <div class="buttons">
        {mayJoin && (
          <button class="main" type="submit" aria-disabled={isBusy}>
            {isBusy ? words.busy : words.joinNow(introduction.cluster)}
          </button>
        )}
        <button type="button" aria-disabled={isBusy || !mayAsk} onClick={() => void check()}>
          {found === undefined ? words.check : words.checkAgain}
        </button>
      </div>
    </form>
  );
}

function Password(props: {
  readonly password: string;
  readonly onChange: (password: string) => void;
}) {
  return (
    <Field label={words.peerPassword} hint={words.peerPasswordHint}>
      {({ id, describedBy }) => (
        <input
          {...{ id, "aria-describedby": describedBy, value: props.password }}
          type="password"
          autocomplete="off"
          maxLength={128}
          required
          onInput={({ currentTarget }) => props.onChange(currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** What was pasted, for the calls that check and join. */
function whom(introduction: Introduction) {
  const { hosts, fingerprint } = introduction;
  const shared = { hosts: hosts.join(","), fingerprint };
  if (introduction.kind === "information") return { ...shared, trust: "certificate" };
  const { port, token } = introduction;
  return { ...shared, trust: "authority", port, token };
}

const checkMoods: Readonly<Record<JoinCheck["state"], Mood>> = {
  ...{ good: "good", note: "warn", bad: "bad", skipped: "calm" },
};

/** Each check with what was found, and what to do where it is bad. */
export function ChecksMade({ found: { checks, report } }: { readonly found: Checks }) {
  const bad = checks.filter(({ state }) => state === "bad").length;
  return (
    <>
      <p role="status">
        {bad === 0 && report !== undefined ? (
          <State mood="good">{words.checksGood}</State>
        ) : (
          <State mood="bad">{said.summaryBad(bad)}</State>
        )}
      </p>
      <ul class="checks">
        {checks.map(({ name, state, text, remedy }, at) => (
          <li key={at}>
            <State mood={checkMoods[state]}>{said[state]}</State>
            <div>
              <h4>{said.names[name]}</h4>
              {text !== "" && <p>{text}</p>}
              {remedy !== "" && (
                <p>
                  <strong>{said.remedy}</strong> {remedy}
                </p>
              )}
            </div>
          </li>
        ))}
      </ul>
      {report !== undefined && <Checked report={report} />}
    </>
  );
}

/** What is beside the checks: notes of the cluster, and the file that would change. */
export function Checked({ report: { notes, before, after } }: { readonly report: Report }) {
  return (
    <>
      {notes.length > 0 && (
        <ul>
          {notes.map((note) => (
            <li key={note}>{note}</li>
          ))}
        </ul>
      )}
      {after !== undefined && (
        <details>
          <summary>{words.planFiles}</summary>
          <pre class="log" tabIndex={0}>
            {unifiedDifference("etc/pve/corosync.conf", before, after)}
          </pre>
        </details>
      )}
    </>
  );
}
