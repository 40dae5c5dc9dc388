// `quorate events`: the list of what happened, or a stream of it that goes on behind the last event when it was cut.
import { setTimeout as wait } from "node:timers/promises";
import * as v from "valibot";
import { eventList } from "../../answers/monitor.ts";
import { eventSchema, type RecordedEvent } from "../../monitor/event.ts";
import { SseReader, type SseMessage } from "../../monitor/sse-reader.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";
import { LocalApi } from "../cluster/local-api.ts";

const readySchema = v.object({ isComplete: v.boolean(), reason: v.string() });
const endSchema = v.object({ reason: v.string() });
/** How long a node may be away before the stream is given up. */
const absenceMsMax = 120_000;
const againMs = 1000;

export interface EventsOptions {
  readonly root: string;
  readonly json: boolean;
  readonly isFollowed: boolean;
  readonly kinds: string | undefined;
  readonly since: string | undefined;
  readonly write: (text: string) => void;
  /** Ends the following; never, unless a test does. */
  readonly signal?: AbortSignal;
}

export async function eventsCommand(options: EventsOptions): Promise<number> {
  const { root, kinds, since, json, isFollowed } = options;
  const api = new LocalApi(nodePaths(root).socket);
  const list = await api.call(eventList, "GET", "/events/list", { kinds, since });
  const show = shower(options);
  if (!isFollowed && json) {
    options.write(`${JSON.stringify(list, undefined, 2)}\n`);
    return exitOk;
  }
  if (list.gap !== "") show.gap(list.gap);
  for (const event of list.events) show.event(event);
  if (!isFollowed) {
    if (list.events.length === 0) options.write("Nothing has happened.\n");
    return exitOk;
  }
  await follow(api, { ...options, last: list.newest }, show);
  return exitOk;
}

interface Shower {
  readonly event: (event: RecordedEvent) => void;
  /** Events may be missing here. */
  readonly gap: (reason: string) => void;
}

function shower({ json, write }: EventsOptions): Shower {
  return json
    ? {
        event: (event) => write(`${JSON.stringify(event)}\n`),
        gap: (gap) => write(`${JSON.stringify({ gap })}\n`),
      }
    : {
        event: ({ at, kind, text }) => write(`${timeText(at)}  ${kind.padEnd(10)}  ${text}\n`),
        gap: (reason) => write(`(${reason})\n`),
      };
}

/** UTC, as logs have it. */
function timeText(at: number): string {
  return new Date(at).toISOString().slice(0, 19).replace("T", " ");
}

async function follow(
  api: LocalApi,
  { last, kinds, signal }: EventsOptions & { readonly last: string },
  show: Shower,
): Promise<void> {
  let lastId = last;
  let seenAt = performance.now();
  const isOver = (): boolean => signal?.aborted === true;
  for (;;) {
    const body = await api.stream("/events", { kinds, "last-event-id": lastId }, signal);
    if (body !== undefined) {
      for await (const message of messagesOf(body)) {
        seenAt = performance.now();
        if (message.id !== "") lastId = message.id;
        showMessage(message, show);
      }
    }
    if (isOver()) return;
    if (performance.now() - seenAt > absenceMsMax) {
      throw new CommandFailure("the node does not answer any more: see its log");
    }
    await wait(againMs);
  }
}

function showMessage({ event, data }: SseMessage, show: Shower): void {
  const value: unknown = JSON.parse(data);
  if (event === "ready") {
    const { isComplete, reason } = v.parse(readySchema, value);
    if (!isComplete) show.gap(reason);
  } else if (event === "end") {
    const { reason } = v.parse(endSchema, value);
    // It comes back by itself; who is refused then hears why.
    show.gap(`the stream was ended: ${reason}`);
  } else show.event(v.parse(eventSchema, value));
}

/** Until the stream ends, however it does: whoever reads begins again. */
async function* messagesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<SseMessage> {
  const reader = new SseReader();
  const pieces = body.getReader();
  for (;;) {
    const { value, done } = await pieces.read().catch(() => ({ value: undefined, done: true }));
    if (done || value === undefined) return;
    yield* reader.take(value);
  }
}
