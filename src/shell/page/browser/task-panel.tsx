// The task that this page has begun, above every screen until it is closed.
import { useEffect, useRef } from "preact/hooks";
import { type FollowedTask, stepsOf, type TaskStep } from "./follow.ts";
import { Card, Notice, State } from "./parts.tsx";
import type { Parts } from "./props.ts";
import { duration } from "./shown.ts";
import { useStore } from "./store.ts";
import type { Mood } from "./verdict.ts";
import { words } from "./words.ts";

export function TaskPanel({ parts }: { readonly parts: Parts }) {
  const task = useStore(parts.follow.task);
  if (task === undefined) return null;
  return <Task task={task} onClose={() => parts.follow.close()} />;
}

function Task({ task, onClose }: { readonly task: FollowedTask; readonly onClose: () => void }) {
  const { title, lines, end, silence } = task;
  const log = useRef<HTMLPreElement>(null);
  useEffect(() => {
    log.current?.scrollTo({ top: log.current.scrollHeight });
  }, [lines.length]);
  return (
    <Card title={title} isWide>
      <p role="status">
        {end === "" ? (
          <State mood="calm">{words.taskRuns}</State>
        ) : (
          <State mood={end === "OK" ? "good" : "bad"}>
            {end === "OK" ? words.taskDone : words.taskFailed(end)}
          </State>
        )}
      </p>
      {silence !== "" && end === "" && (
        <Notice mood="warn">
          <p>{silence}</p>
          <p>{words.taskSilence}</p>
          <button type="button" onClick={() => location.reload()}>
            {words.reloadPage}
          </button>
        </Notice>
      )}
      <Steps steps={stepsOf(task)} />
      <details open={end !== "OK" && (task.steps.length === 0 || end !== "")}>
        <summary>{words.taskLog}</summary>
        <pre class="log" ref={log} tabIndex={0} aria-label={words.taskLog}>
          {lines.join("\n")}
        </pre>
      </details>
      <div class="buttons">
        <button type="button" onClick={onClose}>
          {end === "" ? words.hide : words.close}
        </button>
      </div>
    </Card>
  );
}

const moods: Readonly<Record<TaskStep["state"], Mood>> = {
  ...{ done: "good", runs: "warn", waits: "calm", failed: "bad" },
};

export function Steps({ steps }: { readonly steps: readonly TaskStep[] }) {
  if (steps.length === 0) return null;
  return (
    <ol class="steps" aria-label={words.checking.steps}>
      {steps.map(({ text, state, ms }, at) => (
        <li key={at}>
          <State mood={moods[state]}>{words.checking.stepStates[state]}</State>
          <p>
            {text} {ms !== undefined && <span class="soft">{duration(ms)}</span>}
          </p>
        </li>
      ))}
    </ol>
  );
}
