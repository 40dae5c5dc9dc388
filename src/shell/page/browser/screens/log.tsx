// What happened, on all nodes: cluster log, tasks, and the events of this node, on one time line.
import { useRef, useState } from "preact/hooks";
import * as v from "valibot";
import { clusterLogAnswer, eventList } from "../../../answers/monitor.ts";
import { taskListed } from "../../../answers/task.ts";
import type { RecordedEvent } from "../../../monitor/event.ts";
import { failureText } from "../api.ts";
import { useReading } from "../chart/reading.ts";
import { Busy, Card, Field, Heading, Name, Notice, State } from "../parts.tsx";
import type { Parts, ScreenProps } from "../props.ts";
import { timeText } from "../shown.ts";
import { useStore } from "../store.ts";
import {
  type Entry,
  entryKinds,
  exported,
  type Filter,
  filtered,
  type Sources,
  timeline,
} from "../timeline.ts";
import { words } from "../words.ts";

const everyMs = 10_000;
const shownAtOnce = 200;
const logMax = 1000;
const tasksMax = 500;

export function LogScreen({ parts, session }: ScreenProps) {
  const { sources, failure } = useSources(parts, session.node);
  const [filter, setFilter] = useState<Filter>({
    node: "",
    kind: "",
    onlyTrouble: false,
    text: "",
  });
  const [shown, setShown] = useState(shownAtOnce);
  const now = useStore(parts.clock);
  if (sources === undefined) {
    return (
      <>
        <Heading text={words.screens.log} />
        {failure === undefined ? <Busy /> : <Notice mood="bad">{failureText(failure)}</Notice>}
      </>
    );
  }
  const all = timeline(sources);
  const entries = filtered(all, filter);
  return (
    <>
      <Heading text={words.screens.log} />
      {failure !== undefined && <Notice mood="warn">{failureText(failure)}</Notice>}
      <Card title={words.filter} isWide>
        <Filters
          {...{ filter, setFilter, nodes: [...new Set(all.map(({ node }) => node))].toSorted() }}
        />
        <div class="buttons">
          <button type="button" onClick={() => save("quorate-log.txt", exported(entries))}>
            {words.export(entries.length)}
          </button>
          <span class="soft">
            {words.timeZone(Intl.DateTimeFormat().resolvedOptions().timeZone)}
          </span>
        </div>
      </Card>
      {entries.length === 0 ? (
        <p class="soft">{words.nothingFound}</p>
      ) : (
        <Timeline entries={entries.slice(0, shown)} now={now} parts={parts} />
      )}
      {entries.length > shown && (
        <button type="button" onClick={() => setShown(shown + shownAtOnce)}>
          {words.more(entries.length - shown)}
        </button>
      )}
    </>
  );
}

/** What was read stays when a later reading fails. */
function useSources({ api, live }: Parts, node: string) {
  const events = useStore(live.events);
  const last = useRef<Omit<Sources, "node"> | undefined>(undefined);
  const read = async () => {
    const answers = await Promise.all([
      api.get(clusterLogAnswer, "/api/v1/cluster-log", { max: logMax }),
      api.get(v.array(taskListed), "/api/v1/tasks", { source: "all", limit: tasksMax }),
      api.get(eventList, "/api/v1/events/list", {
        kinds: "membership,quorum,link,device,upgrade",
      }),
    ]);
    const [log, tasks, listed] = answers;
    if (log.ok && tasks.ok && listed.ok)
      last.current = { log: log.data, tasks: tasks.data, events: listed.data.events };
    return { all: last.current, failure: answers.find((answer) => !answer.ok) };
  };
  const { all, failure } = useReading(read, everyMs, [api]) ?? {};
  return { sources: all && { ...all, node, events: merged(all.events, events) }, failure };
}

function merged(
  read: readonly RecordedEvent[],
  live: readonly RecordedEvent[],
): readonly RecordedEvent[] {
  return [...new Map([...read, ...live].map((event) => [event.id, event])).values()];
}

export function Timeline(props: {
  readonly entries: readonly Entry[];
  readonly now: number;
  readonly parts: Parts;
}) {
  const { entries, now, parts } = props;
  return (
    <ol class="timeline">
      {entries.map((entry) => (
        <Line key={entry.key} entry={entry} now={now} parts={parts} />
      ))}
    </ol>
  );
}

function Line(props: { readonly entry: Entry; readonly now: number; readonly parts: Parts }) {
  const { entry, now, parts } = props;
  const { upid, node, at, mood, kind, by, text } = entry;
  return (
    <li>
      <time dateTime={new Date(at).toISOString()}>{timeText(at, now)}</time>
      <State mood={mood}>{words.entryKinds[kind]}</State>
      <Name of={node} />
      <span class="soft">
        <Name of={by} />
      </span>
      <span class="text">
        {text}{" "}
        {upid !== undefined && (
          <button type="button" class="link" onClick={() => parts.follow.begin(text, node, upid)}>
            {words.taskLog}
          </button>
        )}
      </span>
    </li>
  );
}

function Filters(props: {
  readonly filter: Filter;
  readonly setFilter: (filter: Filter) => void;
  readonly nodes: readonly string[];
}) {
  const { filter, setFilter, nodes } = props;
  return (
    <div class="filters">
      <Field label={words.node}>
        {({ id, describedBy }) => (
          <select
            {...{ id, "aria-describedby": describedBy, value: filter.node }}
            onChange={({ currentTarget }) => setFilter({ ...filter, node: currentTarget.value })}
          >
            <option value="">{words.all}</option>
            {nodes.map((node) => (
              <option key={node} value={node}>
                {node}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={words.kind}>
        {({ id, describedBy }) => (
          <select
            {...{ id, "aria-describedby": describedBy, value: filter.kind }}
            onChange={({ currentTarget }) => {
              const kind = entryKinds.find((each) => each === currentTarget.value) ?? "";
              setFilter({ ...filter, kind });
            }}
          >
            <option value="">{words.all}</option>
            {entryKinds.map((kind) => (
              <option key={kind} value={kind}>
                {words.entryKinds[kind]}
              </option>
            ))}
          </select>
        )}
      </Field>
      <Field label={words.search}>
        {({ id, describedBy }) => (
          <input
            {...{ id, "aria-describedby": describedBy, value: filter.text, type: "search" }}
            maxLength={100}
            onInput={({ currentTarget }) => setFilter({ ...filter, text: currentTarget.value })}
          />
        )}
      </Field>
      <label class="check">
        <input
          type="checkbox"
          checked={filter.onlyTrouble}
          onChange={({ currentTarget }) =>
            setFilter({ ...filter, onlyTrouble: currentTarget.checked })
          }
        />{" "}
        {words.onlyTrouble}
      </label>
    </div>
  );
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
