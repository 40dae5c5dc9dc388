// systemd's journal by journalctl, read as it prints: bounded in lines, bytes and time.
import * as v from "valibot";
import { Lines } from "./lines.ts";
import {
  answerCharactersMax,
  type Entries,
  entriesMax,
  type EntryRange,
  type LineRange,
  linesCountedMax,
  type NumberedLine,
  type SystemLog,
  LogFault,
} from "./log-range.ts";
import type { ProgramEnd, RunProgram } from "./programs.ts";

/** Below the 30 s that a call sent on by another node has. */
const waitMs = 20_000;
const unitAliases: Readonly<Record<string, string>> = { postfix: "postfix@-", sshd: "ssh" };

const entrySchema = v.object({
  __CURSOR: v.string(),
  __REALTIME_TIMESTAMP: v.pipe(v.string(), v.regex(/^\d{1,17}$/), v.transform(Number)),
  _HOSTNAME: v.optional(v.string()),
  SYSLOG_IDENTIFIER: v.optional(v.string()),
  _COMM: v.optional(v.string()),
  _PID: v.optional(v.string()),
  SYSLOG_PID: v.optional(v.string()),
  // Bytes where it is no text; null where it is too long for a line.
  MESSAGE: v.optional(v.nullable(v.union([v.string(), v.array(v.number())]))),
});

export class JournalLog implements SystemLog {
  readonly #run: RunProgram;

  constructor(run: RunProgram) {
    this.#run = run;
  }

  isCursor(text: string): boolean {
    return text.length <= 256 && /^[a-z]=[0-9a-f]+(?:;[a-z]=[0-9a-f]+)*$/.test(text);
  }

  async lines({ start, limit, since, until, service }: LineRange) {
    const found: NumberedLine[] = [];
    const counter = new Lines();
    let total = 0;
    let characters = 0;
    const unit = service === undefined ? undefined : (unitAliases[service] ?? service);
    const end = await this.#run(
      [
        ...["journalctl", "--output=short", "--no-pager", "--quiet"],
        ...(unit === undefined ? [] : [`--unit=${unit}`]),
        ...(since === undefined ? [] : [`--since=${since}`]),
        ...(until === undefined ? [] : [`--until=${until}`]),
      ],
      {
        waitMs,
        onOutput: (bytes) => {
          for (const line of counter.add(bytes)) {
            total += 1;
            if (total <= start || found.length >= limit || characters > answerCharactersMax) {
              continue;
            }
            characters += line.length;
            found.push({ n: total, t: line });
          }
          return total < linesCountedMax;
        },
      },
    );
    checkEnd(end);
    return { lines: found, total };
  }

  async entries(range: EntryRange): Promise<Entries> {
    const { before } = range;
    const isBackward = before !== undefined && range.after === undefined;
    const most = Math.min(range.last ?? entriesMax, entriesMax);
    const found: { readonly cursor: string; readonly line: string }[] = [];
    const lines = new Lines();
    let characters = 0;
    const end = await this.#run(this.#command(range, most, isBackward), {
      waitMs,
      onOutput: (bytes) => {
        for (const text of lines.add(bytes)) {
          const entry = entryOf(text);
          if (entry === undefined) continue;
          // The one before which all are is not among them.
          if (entry.cursor === before && isBackward) continue;
          if (entry.cursor === before || found.length >= most) return false;
          characters += entry.line.length;
          found.push(entry);
          if (characters > answerCharactersMax) return false;
        }
        return found.length < most;
      },
    });
    checkEnd(end);
    if (isBackward) found.reverse();
    return {
      first: found[0]?.cursor ?? "",
      last: found.at(-1)?.cursor ?? "",
      lines: found.map(({ line }) => line),
    };
  }

  #command(
    { since, until, after, before }: EntryRange,
    most: number,
    isBackward: boolean,
  ): readonly string[] {
    const fields = "_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,_PID,SYSLOG_PID,MESSAGE";
    // The newest of the range, where nothing says from where to go on.
    const isNewest = after === undefined && !isBackward;
    return [
      ...["journalctl", "--output=json", "--no-pager", "--quiet", `--output-fields=${fields}`],
      ...(since === undefined ? [] : [`--since=@${since}`]),
      ...(until === undefined ? [] : [`--until=@${until}`]),
      ...(after === undefined ? [] : [`--after-cursor=${after}`]),
      ...(isBackward ? [`--cursor=${before}`, "--reverse"] : []),
      ...(isNewest ? [`--lines=${most}`] : []),
    ];
  }
}

function checkEnd({ kind, code, words }: ProgramEnd): void {
  if (kind === "enough" || (kind === "exited" && code === 0)) return;
  if (kind === "late") {
    throw new LogFault(
      `the journal of this node was not read within ${waitMs / 1000} s: ask for a shorter time (since, until)`,
    );
  }
  throw new LogFault(`the journal of this node cannot be read: ${words || `exit code ${code}`}`);
}

/** One line of journalctl's JSON as its short form; undefined: it is none. */
function entryOf(text: string): { readonly cursor: string; readonly line: string } | undefined {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined; // Cut by the bound of a line.
  }
  const read = v.safeParse(entrySchema, json);
  if (!read.success) return undefined;
  const { output } = read;
  const name = output.SYSLOG_IDENTIFIER ?? output._COMM ?? "unknown";
  const pid = output.SYSLOG_PID ?? output._PID;
  const time = shortTime(output.__REALTIME_TIMESTAMP / 1000);
  const who = pid === undefined ? name : `${name}[${pid}]`;
  const line = `${time} ${output._HOSTNAME ?? "localhost"} ${who}: ${messageOf(output.MESSAGE)}`;
  return { cursor: output.__CURSOR, line };
}

function messageOf(message: string | readonly number[] | null | undefined): string {
  if (typeof message === "string") return message;
  if (message === undefined) return "";
  if (message === null) return "(a message that is too long to be shown)";
  return new TextDecoder().decode(Uint8Array.from(message));
}

const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

/** "Nov 30 17:00:00", local time. `ms`: since 1970. */
function shortTime(ms: number): string {
  const at = new Date(ms);
  const two = (value: number): string => String(value).padStart(2, "0");
  const clock = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return `${months[at.getMonth()]} ${two(at.getDate())} ${clock}`;
}
