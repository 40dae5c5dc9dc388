// Joining a cluster: what was pasted, what it says, whether it can be done, and the doing (pvecm.md §5.5, §5.9 D).
import { useEffect, useState } from "preact/hooks";
import * as v from "valibot";
import { joinReport, joinTask, readIntroduction } from "../../../answers/join.ts";
import { unifiedDifference } from "../../../conf/difference.ts";
import { type Api, type Answer, type Failure, failureText } from "../api.ts";
import { Busy, Card, Field, Name, Notice, State } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { timeText } from "../shown.ts";
import { words } from "../words.ts";

type Introduction = v.InferOutput<typeof readIntroduction>;
type Report = v.InferOutput<typeof joinReport>;

const typedMs = 400;

export function Join({ parts, session, onBack }: ScreenProps & { readonly onBack: () => void }) {
  const [text, setText] = useState("");
  const introduction = useIntroduction(parts.api, text);
  const begun = (upid: string): void => {
    parts.follow.begin(words.joinTitle, session.node, upid);
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
          {introduction.data.kind === "token" ? (
            <ByToken key={text} {...{ api: parts.api, token: introduction.data, begun }} />
          ) : (
            <ByPassword key={text} {...{ api: parts.api, information: introduction.data, begun }} />
          )}
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

interface ByTokenProps {
  readonly api: Api;
  readonly token: Extract<Introduction, { readonly kind: "token" }>;
  readonly begun: (upid: string) => void;
}

/** The checks of the node itself come first; nothing is changed by them, and the token stays good. */
function ByToken({ api, token, begun }: ByTokenProps) {
  const [report, setReport] = useState<Answer<Report>>();
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const { given, fields } = useLinks();
  const call = {
    ...{ hosts: token.hosts.join(","), port: token.port, trust: "authority" },
    ...{ fingerprint: token.fingerprint, token: token.token, ...given },
  };
  const check = async (): Promise<void> => {
    setReport(undefined);
    setBusy(true);
    setReport(await api.post(joinReport, "/api/v1/join", { ...call, "dry-run": true }));
    setBusy(false);
  };
  const join = async (): Promise<void> => {
    setBusy(true);
    const answer = await api.post(joinTask, "/api/v1/join", call);
    setBusy(false);
    if (answer.ok) begun(answer.data.upid);
    else setRefusal(answer);
  };
  useEffect(() => void check(), []);
  return (
    <>
      {fields}
      <h3>{words.checks}</h3>
      {report === undefined && <Busy />}
      {report?.ok === false && (
        <Notice mood="bad" isAlert>
          {failureText(report)}
        </Notice>
      )}
      {report?.ok === true && <Checked report={report.data} />}
      {refusal !== undefined && (
        <Notice mood="bad" isAlert>
          {failureText(refusal)}
        </Notice>
      )}
      <div class="buttons">
        {report?.ok === true && (
          <button class="main" type="button" aria-disabled={isBusy} onClick={() => void join()}>
            {isBusy ? words.busy : words.joinNow(token.cluster)}
          </button>
        )}
        <button type="button" aria-disabled={isBusy} onClick={() => void check()}>
          {words.checkAgain}
        </button>
      </div>
    </>
  );
}

export function Checked({ report }: { readonly report: Report }) {
  const { links, effect, notes, before, after } = report;
  return (
    <>
      <p>
        <State mood="good">{words.checksGood}</State>
      </p>
      <ul>
        {Object.entries(links).map(([link, address]) => (
          <li key={link}>
            {words.link(Number(link))}: <Name of={address} />
          </li>
        ))}
        {notes.map((note) => (
          <li key={note}>{note}</li>
        ))}
        <li>{effect}</li>
      </ul>
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

interface ByPasswordProps {
  readonly api: Api;
  readonly information: Extract<Introduction, { readonly kind: "information" }>;
  readonly begun: (upid: string) => void;
}

/** The member is asked by this node, with that password: a browser could not see its certificate. */
function ByPassword({ api, information, begun }: ByPasswordProps) {
  const [password, setPassword] = useState("");
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const { given, fields } = useLinks();
  const join = async (): Promise<void> => {
    setBusy(true);
    setRefusal(undefined);
    const answer = await api.post(v.string(), "/api2/json/cluster/config/join", {
      ...{ hostname: information.hosts[0] ?? "", fingerprint: information.fingerprint },
      ...{ password, ...given },
    });
    setBusy(false);
    if (answer.ok) begun(answer.data);
    else setRefusal(answer);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy && password !== "") void join();
      }}
    >
      {fields}
      <Field label={words.peerPassword} hint={words.peerPasswordHint}>
        {({ id, describedBy }) => (
          <input
            {...{ id, "aria-describedby": describedBy, value: password }}
            type="password"
            autocomplete="off"
            maxLength={128}
            required
            onInput={({ currentTarget }) => setPassword(currentTarget.value)}
          />
        )}
      </Field>
      {refusal !== undefined && (
        <Notice mood="bad" isAlert>
          {failureText(refusal)}
        </Notice>
      )}
      <div class="buttons">
        <button class="main" type="submit" aria-disabled={isBusy}>
          {isBusy ? words.busy : words.joinNow(information.cluster)}
        </button>
      </div>
    </form>
  );
}
