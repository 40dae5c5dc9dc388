// A change of the cluster at the page: what is wanted, what would be done, and then the doing, which is followed as a task.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type ChangeAnswer, changeAnswer } from "../../answers/change.ts";
import { type Failure, failureText, type Method } from "./api.ts";
import { Notice } from "./parts.tsx";
import type { ScreenProps } from "./props.ts";
import { words } from "./words.ts";

export interface Change {
  readonly method: Exclude<Method, "GET">;
  /** A route that answers its plan with `dry-run`, and the task that it has begun without. */
  readonly path: string;
  readonly given: Readonly<Record<string, string | number>>;
  /** For the task's heading. */
  readonly title: string;
}

interface ChangeFormProps extends Pick<ScreenProps, "parts" | "session"> {
  /** Undefined: not enough is typed yet. */
  readonly change: Change | undefined;
  /** Fields; `errors`: by parameter. */
  readonly children: (errors: Readonly<Record<string, string>>) => ComponentChildren;
  readonly onClose: () => void;
}

/** What is planned is of what was typed then: when that is another, it is planned anew. */
export function ChangeForm({ parts, session, change, children, onClose }: ChangeFormProps) {
  const [planned, setPlanned] = useState<{ readonly of: string; readonly plan: ChangeAnswer }>();
  const [refused, setRefused] = useState<{ readonly of: string; readonly failure: Failure }>();
  const [isBusy, setBusy] = useState(false);
  const of = JSON.stringify(change ?? null);
  const plan = planned?.of === of ? planned.plan : undefined;
  const failure = refused?.of === of ? refused.failure : undefined;
  const call = async (isDry: boolean): Promise<void> => {
    if (isBusy || change === undefined) return;
    setBusy(true);
    setRefused(undefined);
    const { method, path } = change;
    const given = isDry ? { ...change.given, "dry-run": true } : change.given;
    const answer = await parts.api.call(method, { schema: changeAnswer, path, given });
    setBusy(false);
    if (!answer.ok) return setRefused({ of, failure: answer });
    const { upid } = answer.data;
    if (upid === undefined) return setPlanned({ of, plan: answer.data });
    parts.follow.begin(change.title, session.node, upid);
    parts.live.refresh();
    onClose();
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void call(plan === undefined);
      }}
    >
      {children(failure?.errors ?? {})}
      {failure !== undefined && (
        <Notice mood="bad" isAlert>
          {failureText(failure)}
        </Notice>
      )}
      {plan !== undefined && <Plan plan={plan} />}
      {plan?.question !== undefined && <Notice mood="warn">{plan.question}</Notice>}
      <div class="buttons">
        {plan?.isDone !== true && (
          <button class="main" type="submit" aria-disabled={isBusy || change === undefined}>
            {isBusy ? words.busy : plan === undefined ? words.check : words.changeNow}
          </button>
        )}
        <button type="button" onClick={onClose}>
          {words.cancel}
        </button>
      </div>
    </form>
  );
}

/** Steps and files, as a dry run shows them. */
export function Plan({ plan }: { readonly plan: ChangeAnswer }) {
  return (
    <section aria-label={words.plan}>
      <h3>{words.plan}</h3>
      {plan.notes.map((note) => (
        <p key={note}>{note}</p>
      ))}
      <ol>
        {plan.steps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      {plan.changes.length > 0 && (
        <details>
          <summary>{words.planFiles}</summary>
          <pre class="log" tabIndex={0}>
            {plan.plan}
          </pre>
        </details>
      )}
    </section>
  );
}
