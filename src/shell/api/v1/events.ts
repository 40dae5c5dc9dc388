// What happens on this node: as a list, and as streams of server-sent events with replay behind the last one that came; changes of the tree likewise.
import { eventList } from "../../answers/monitor.ts";
import type { EventKind, RecordedEvent } from "../../monitor/event.ts";
import { eventKinds } from "../../monitor/event-kinds.ts";
import type { Monitor } from "../../monitor/monitor.ts";
import * as parameter from "../parameters.ts";
import { pathOfText } from "../path-text.ts";
import {
  ApiError,
  type Authenticate,
  type Call,
  type Caller,
  type RequestFacts,
  type Route,
  route,
} from "../route.ts";
import { mayAudit } from "./v1-rules.ts";
import { checkReadable, isRoot, isSecretPath, storedPath } from "./tree-path.ts";
import type { Files } from "../../../fs/tree/files.ts";

export interface EventsSource {
  readonly monitor: Pick<Monitor, "ring" | "streams">;
  readonly files: Pick<Files, "readlink">;
  /** Who asks, once more: a stream ends when its login has. */
  readonly authenticate: Authenticate;
}

const eventId = parameter.text({ max: 64 });
const kinds = parameter.formatted(
  100,
  /^[a-z]+(?:,[a-z]+)*$/,
  "invalid format - must be kinds of events with commas between them",
);
const listMax = 1000;

const streamType = "text/event-stream";

/** All of this file. */
export function eventRoutes(source: EventsSource): readonly Route[] {
  return [listRoute(source), streamRoute(source), watchRoute(source)];
}

function listRoute({ monitor: { ring } }: EventsSource): Route {
  return route({
    method: "GET",
    path: "/events/list",
    isOurs: true,
    description:
      "What happened on this node lately, oldest first; with since only what came after.",
    permission: mayAudit,
    returns: eventList,
    parameters: {
      since: parameter.optional(eventId),
      kinds: parameter.optional(kinds),
      limit: parameter.optional(parameter.integer({ min: 1, max: listMax })),
    },
    handle: ({ parameters, caller }) => {
      const wanted = kindsOf(parameters.kinds);
      const { since, limit = listMax } = parameters;
      const { after, gap } =
        since === undefined ? { after: 0, gap: "" } : ring.resume(since, wanted);
      const { events } = ring.after(after, wanted, Number.MAX_SAFE_INTEGER);
      const seen = events.flatMap((event) => visible(event, caller) ?? []);
      return { newest: ring.newestId, gap, events: seen.slice(-limit) };
    },
  });
}

function streamRoute(source: EventsSource): Route {
  return route({
    method: "GET",
    path: "/events",
    isOurs: true,
    description:
      "What happens on this node, as server-sent events; with Last-Event-ID (or last-event-id) also what came after that event.",
    permission: mayAudit,
    contentType: streamType,
    parameters: {
      "last-event-id": parameter.optional(eventId),
      kinds: parameter.optional(kinds),
    },
    handle: (call) =>
      streamed(source, call, {
        kinds: kindsOf(call.parameters.kinds),
        lastId: call.parameters["last-event-id"],
        shown: (event) => visible(event, call.caller),
      }),
  });
}

function watchRoute(source: EventsSource): Route {
  return route({
    method: "GET",
    path: "/tree/watch",
    isOurs: true,
    description:
      "Changes of an object of /etc/pve and of all below it, as server-sent events; replay as for /events.",
    permission: mayAudit,
    contentType: streamType,
    parameters: {
      path: parameter.optional(parameter.text({ max: 4096 })),
      "last-event-id": parameter.optional(eventId),
    },
    handle: (call) => {
      const watched = storedPath(source.files, call.parameters.path ?? "");
      checkReadable(watched, call.caller);
      const isBelow = (path: string): boolean =>
        watched === "" || path === watched || path.startsWith(`${watched}/`);
      return streamed(source, call, {
        kinds: ["tree"],
        lastId: call.parameters["last-event-id"],
        shown: (event) => withPaths(visible(event, call.caller), isBelow),
      });
    },
  });
}

interface Wish {
  readonly kinds: readonly EventKind[];
  readonly lastId: string | undefined;
  readonly shown: (event: RecordedEvent) => RecordedEvent | undefined;
}

function streamed(
  { monitor, authenticate }: EventsSource,
  { caller, request }: Pick<Call<unknown>, "caller" | "request">,
  { kinds: wanted, lastId, shown }: Wish,
): Response {
  const started = monitor.streams.start({
    user: caller.user,
    kinds: wanted,
    // What a browser sends by itself when it comes back.
    lastId: request.headers.get("last-event-id") ?? lastId,
    shown,
    isStillAllowed: () => isStillAllowed(authenticate, request),
  });
  if (!started.ok) {
    throw new ApiError(503, started.reason, { code: "tooManyStreams" });
  }
  const headers = {
    "content-type": `${streamType};charset=UTF-8`,
    "cache-control": "no-store",
    // A proxy in between is not to gather pieces.
    "x-accel-buffering": "no",
  };
  return new Response(started.value, { headers });
}

async function isStillAllowed(authenticate: Authenticate, request: RequestFacts): Promise<boolean> {
  // The local socket: its users are root for as long as they are connected.
  if (request.address === "") return true;
  const known = await authenticate(request);
  return known.ok && known.caller.may("/", "Sys.Audit");
}

function kindsOf(text: string | undefined): readonly EventKind[] {
  if (text === undefined) return eventKinds;
  return text.split(",").map((word) => {
    const kind = eventKinds.find((each) => each === word);
    if (kind !== undefined) return kind;
    throw new ApiError(400, "Parameter verification failed.", {
      errors: { kinds: `'${word}' is no kind of event: ${eventKinds.join(", ")}` },
    });
  });
}

/** Undefined: nothing of it is for this reader's eyes. */
function visible(event: RecordedEvent, caller: Caller): RecordedEvent | undefined {
  return isRoot(caller) ? event : withPaths(event, (path) => !isSecretPath(path));
}

/** The event with those paths only; undefined: none is left. */
function withPaths(
  event: RecordedEvent | undefined,
  isMeant: (path: string) => boolean,
): RecordedEvent | undefined {
  if (event?.kind !== "tree" || event.facts.isAll) return event;
  const paths = event.facts.paths.filter((path) => isMeant(pathOfText(path)));
  if (paths.length === 0) return undefined;
  if (paths.length === event.facts.paths.length) return event;
  const [first = ""] = paths;
  const text =
    paths.length === 1
      ? `/${first} has changed`
      : `${paths.length} objects of the tree have changed`;
  return { ...event, text, facts: { paths, isAll: false } };
}
