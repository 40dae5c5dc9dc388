// The files of /etc/pve: what is there, how large, when it was changed; text with line numbers, for root in an editor. What is secret is fetched only when
// somebody asks for it.
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import { treeFile, treeListed } from "../../../answers/tree.ts";
import { type Answer, failureText } from "../api.ts";
import { drafts } from "../drafts.ts";
import { Busy, Card, Heading, Name, Notice, TableFrame } from "../parts.tsx";
import type { Parts, ScreenProps } from "../props.ts";
import { size, timeText } from "../shown.ts";
import { useStore } from "../store.ts";
import { words } from "../words.ts";
import { FileEditor, notEditable, readForEditing } from "./file-editor.tsx";

type Listed = v.InferOutput<typeof treeListed>;
type FileRead = v.InferOutput<typeof treeFile>;

const entriesShown = 500;
const linesShown = 2000;

export function FilesScreen({ parts, session }: ScreenProps) {
  const [path, setPath] = useState("");
  const [readings, setReadings] = useState(0);
  /** The file that was written last, while it is still here. */
  const [written, setWritten] = useState<string>();
  const { failure } = useStore(parts.live.view);
  // Names as they are: they are sent back. All of them are shown by <Name>.
  const call = { schema: treeListed, path: "/api/v1/tree", given: { path }, isRaw: true };
  const listed = useAnswer(() => parts.api.call("GET", call), [path, readings]);
  // What could not be read while the node was away is read when it is back.
  useEffect(() => {
    if (listed?.ok === false && failure === undefined) setReadings(readings + 1);
  }, [failure === undefined]);
  const go = (to: string): void => {
    setPath(to);
    setWritten(undefined);
  };

  const now = useStore(parts.clock);
  return (
    <>
      <Heading text={words.screens.files} />
      <Place path={path} go={go} />
      {listed === undefined && <Busy />}
      {listed?.ok === false && <Notice mood="bad">{failureText(listed)}</Notice>}
      {listed?.ok === true &&
        (listed.data.type === "directory" ? (
          <Folder folder={listed.data} {...{ path, now, go }} />
        ) : (
          <File
            key={path}
            {...{ parts, path, now, facts: listed.data, user: session.user }}
            mayEdit={session.user === "root@pam" && !listed.data.generated}
            isWritten={written === path}
            onEdited={() => {
              setWritten(path);
              setReadings(readings + 1);
            }}
          />
        ))}
    </>
  );
}

/** Read anew when `of` changes; what comes too late is not taken. */
export function useAnswer<T>(
  read: () => Promise<Answer<T>>,
  of: readonly unknown[],
): Answer<T> | undefined {
  const [answer, setAnswer] = useState<Answer<T>>();
  useEffect(() => {
    let isOver = false;
    setAnswer(undefined);
    void read().then((came) => {
      if (!isOver) setAnswer(came);
    });
    return () => {
      isOver = true;
    };
  }, of);
  return answer;
}

function Place({ path, go }: { readonly path: string; readonly go: (path: string) => void }) {
  const parts = path === "" ? [] : path.split("/");
  return (
    <nav class="place" aria-label={words.place}>
      <ol>
        <li>
          <button type="button" class="link" onClick={() => go("")}>
            /etc/pve
          </button>
        </li>
        {parts.map((part, at) => (
          <li key={at}>
            <button
              type="button"
              class="link"
              aria-current={at === parts.length - 1 ? "page" : undefined}
              onClick={() => go(parts.slice(0, at + 1).join("/"))}
            >
              <Name of={part} />
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}

export function Folder(props: {
  readonly folder: Listed;
  readonly path: string;
  readonly now: number;
  readonly go: (path: string) => void;
}) {
  const { folder, path, now, go } = props;
  const entries = folder.entries ?? [];
  const isFolder = ({ type }: { readonly type: string }) => type === "directory";
  const sorted = entries.toSorted(
    (a, b) => Number(isFolder(b)) - Number(isFolder(a)) || a.name.localeCompare(b.name),
  );
  if (entries.length === 0) return <p class="soft">{words.emptyFolder}</p>;
  return (
    <TableFrame label={words.screens.files}>
      <table class="listing">
        <thead>
          <tr>
            <th scope="col">{words.name}</th>
            <th scope="col">{words.size}</th>
            <th scope="col">{words.changedAt}</th>
            <th scope="col">{words.treeVersion}</th>
          </tr>
        </thead>
        <tbody>
          {sorted.slice(0, entriesShown).map((entry) => (
            <tr key={entry.name}>
              <th scope="row">
                <button
                  type="button"
                  class="link"
                  onClick={() => go(path === "" ? entry.name : `${path}/${entry.name}`)}
                >
                  <span aria-hidden="true">{isFolder(entry) ? "▸ " : "  "}</span>
                  <Name of={entry.name} />
                  {isFolder(entry) ? "/" : ""}
                </button>{" "}
                {entry.target !== undefined && (
                  <span class="soft">
                    → <Name of={entry.target} />
                  </span>
                )}
                {entry.generated && <span class="soft"> {words.generated}</span>}
              </th>
              <td>{entry.type === "file" ? size(entry.size) : ""}</td>
              <td>{entry.mtime === 0 ? "" : timeText(entry.mtime * 1000, now)}</td>
              <td>{entry.version === 0 ? "" : entry.version}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {entries.length > entriesShown && (
        <p class="soft">{words.more(entries.length - entriesShown)}</p>
      )}
    </TableFrame>
  );
}

interface ContentProps {
  readonly parts: Parts;
  readonly user: string;
  readonly path: string;
  readonly mayEdit: boolean;
  /** Just now. */
  readonly isWritten: boolean;
  readonly onEdited: () => void;
}

/** As the API judges it: root's alone. */
export function isSecret(path: string): boolean {
  return /(?:^|\/)priv(?:\/|$)|\.key(?:\.|$)/.test(path) || path === "domains.cfg";
}

interface FileProps extends ContentProps {
  readonly now: number;
  readonly facts: Listed;
}

function File({ now, facts, ...props }: FileProps) {
  const { path, user } = props;
  const [isWanted, setWanted] = useState(!isSecret(path) || drafts.of(user, path) !== undefined);
  return (
    <Card title={words.content} isWide>
      <p class="soft">
        {size(facts.size)}, {facts.mode}
        {facts.generated
          ? `, ${words.generated}`
          : `, ${timeText(facts.mtime * 1000, now, true)}, ${words.treeVersionOf(facts.version)}`}
      </p>
      <p class="soft">
        <meter min={0} max={1024 * 1024} value={facts.size} aria-label={words.ofLargest} />{" "}
        {words.ofLargest}
      </p>
      {isWanted ? (
        <Content {...props} />
      ) : (
        <>
          <p>{words.secret}</p>
          <button type="button" onClick={() => setWanted(true)}>
            {words.showSecret}
          </button>
        </>
      )}
    </Card>
  );
}

function Content({ parts, user, path, mayEdit, isWritten, onEdited }: ContentProps) {
  const [edited, setEdited] = useState<Answer<FileRead> | undefined>(() => {
    const draft = drafts.of(user, path);
    return draft && { ok: true, data: draft.read };
  });
  const [isNew, setNew] = useState(isWritten);
  const file = { schema: treeFile, path: "/api/v1/tree/file", given: { path } };
  const read = useAnswer(() => parts.api.call("GET", file), [path]);
  if (edited?.ok === true && notEditable(edited.data) === "") {
    const onClose = (isDone: boolean): void => {
      setEdited(undefined);
      setNew(false);
      if (isDone) onEdited();
    };
    return <FileEditor {...{ parts, user, file: path, read: edited.data, onClose }} />;
  }
  if (read === undefined) return <Busy />;
  if (!read.ok) return <Notice mood="bad">{failureText(read)}</Notice>;
  const why = edited?.ok === true ? notEditable(edited.data) : edited && failureText(edited);
  return (
    <>
      {isNew && (
        <Notice mood="good" isAlert>
          {words.written}
        </Notice>
      )}
      {mayEdit && (
        <div class="buttons">
          <button
            type="button"
            onClick={() => void readForEditing(parts.api, path).then(setEdited)}
          >
            {words.edit}
          </button>
        </div>
      )}
      {why !== undefined && (
        <Notice mood="warn" isAlert>
          {why}
        </Notice>
      )}
      <Lines file={read.data} />
    </>
  );
}

export function Lines({ file }: { readonly file: Pick<FileRead, "content" | "encoding"> }) {
  const lines = file.content.replace(/\n$/, "").split("\n");
  return (
    <>
      {file.encoding === "base64" && <p class="soft">{words.base64}</p>}
      <div class="frame" role="region" aria-label={words.content} tabIndex={0}>
        <ol class="lines">
          {lines.slice(0, linesShown).map((line, at) => (
            <li key={at}>{line}</li>
          ))}
        </ol>
      </div>
      {lines.length > linesShown && <p class="soft">{words.more(lines.length - linesShown)}</p>}
    </>
  );
}
