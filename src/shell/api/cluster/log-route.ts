// GET /cluster/log: the log of the cluster, newest first (pvecm.md §4.2, pmxcfs.md §3.6). Without Sys.Syslog on / a caller sees its own entries.
import * as v from "valibot";
import { textOfByteString } from "../../../bytes.ts";
import type { LogLine } from "../../../fs/plugin/clusterlog.ts";
import * as parameter from "../parameters.ts";
import { anyUser, type Caller, type Route, route } from "../route.ts";

const shownMax = 50;
/** More does not fit into the ring of 128 KiB. */
const entriesMax = 10_000;

const entrySchema = v.object({
  ...{ id: v.string(), uid: v.number(), time: v.number(), pri: v.number(), tag: v.string() },
  ...{ pid: v.number(), node: v.string(), user: v.string(), msg: v.string() },
});

/** `entries`: newest first; texts are byte strings, messages are escaped for JSON. */
export function clusterLogRoute(entries: () => Iterable<LogLine>): Route {
  return route({
    method: "GET",
    path: "/cluster/log",
    description: "The log of the cluster, newest first.",
    permission: anyUser,
    parameters: { max: parameter.optional(parameter.integer({ min: 1 }), shownMax) },
    returns: v.array(entrySchema),
    handle: ({ parameters: { max }, caller }) => {
      const found: v.InferOutput<typeof entrySchema>[] = [];
      const isAll = caller.may("/", "Sys.Syslog");
      for (const entry of entries()) {
        if (found.length >= Math.min(max, entriesMax)) break;
        if (isAll || isOwn(entry, caller)) found.push(shown(entry));
      }
      return found;
    },
  });
}

function isOwn({ ident }: LogLine, { user }: Caller): boolean {
  return textOfByteString(ident) === user;
}

function shown(entry: LogLine): v.InferOutput<typeof entrySchema> {
  const { uid, time, priority: pri, pid } = entry;
  const node = textOfByteString(entry.node);
  const tag = textOfByteString(entry.tag);
  const user = textOfByteString(entry.ident);
  return {
    id: `${uid}:${node}`,
    uid,
    time,
    pri,
    tag,
    pid,
    node,
    user,
    msg: unescaped(entry.message),
  };
}

/** What the writer of an entry escaped; a backslash that begins no escape is one. */
function unescaped(message: string): string {
  return textOfByteString(message).replace(/\\(?:(["\\/])|u([0-9a-fA-F]{4}))/g, (_, plain, hex) =>
    typeof plain === "string" ? plain : String.fromCharCode(Number.parseInt(String(hex), 16)),
  );
}
