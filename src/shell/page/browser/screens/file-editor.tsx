// A file of the tree in an editor: the node is asked about every state of the text, the difference is shown before it is written, and nothing is
// written over what somebody else has changed meanwhile. Of corosync.conf the version is raised.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type * as v from "valibot";
import { treeChanged, treeFile } from "../../../answers/tree.ts";
import { unifiedDifference } from "../../../conf/difference.ts";
import { type Answer, type Api, type Failure, failureText } from "../api.ts";
import { withRaisedVersion } from "../conf-view.ts";
import { drafts } from "../drafts.ts";
import { Card, Field, Notice } from "../parts.tsx";
import type { Parts } from "../props.ts";
import { shownText } from "../shown.ts";
import { useStore } from "../store.ts";
import { words } from "../words.ts";

type FileRead = v.InferOutput<typeof treeFile>;
type Changed = v.InferOutput<typeof treeChanged>;

const path = "/api/v1/tree/file";
const confFile = "corosync.conf";
const typedMs = 500;
/** A request has 64 KiB for everything, the text as JSON. */
const editedBytesMax = 60_000;

/** As it is, not as it is shown: it is edited, and sent back. */
export function readForEditing(api: Api, file: string): Promise<Answer<FileRead>> {
  return api.call("GET", { schema: treeFile, path, given: { path: file }, isRaw: true });
}

/** Why this cannot be edited here, a sentence; "": it can. A field of a browser changes carriage returns. */
export function notEditable({ content, encoding }: Pick<FileRead, "content" | "encoding">): string {
  if (encoding !== "text") return words.editNoText;
  if (isTooLong(content)) return words.editTooLong;
  return content.includes("\r") ? words.editReturns : "";
}

function isTooLong(content: string): boolean {
  return new TextEncoder().encode(JSON.stringify(content)).length > editedBytesMax;
}

/** Without what only other callers of the API can do about it. */
function faultText(failure: Failure): string {
  return failureText(failure.hint.includes("force=1") ? { ...failure, hint: "" } : failure);
}

interface EditorProps {
  readonly parts: Parts;
  readonly user: string;
  /** Its path in the tree. */
  readonly file: string;
  readonly read: FileRead;
  /** `isWritten`: not given up. */
  readonly onClose: (isWritten: boolean) => void;
}

export function FileEditor({ parts, user, file, read, onClose }: EditorProps) {
  const before = read.content;
  const [text, setText] = useState(() => drafts.of(user, file)?.text ?? before);
  const isConf = file === confFile;
  const content = isConf ? withRaisedVersion(text, before) : text;
  const isChanged = text !== before;
  const given = { path: file, content, version: read.version };
  const { answer: checked, saving, save } = useSaving(parts, isChanged ? given : undefined);
  const difference = useMemo(
    () => (isChanged ? unifiedDifference(`etc/pve/${file}`, before, content) : ""),
    [isChanged, file, before, content],
  );
  useLeaveQuestion(isChanged);
  const type = (typed: string): void => {
    setText(typed);
    if (typed === before) drafts.drop(file);
    else drafts.keep(user, file, { read, text: typed });
  };
  const close = (isWritten: boolean): void => {
    drafts.drop(file);
    onClose(isWritten);
  };
  const isGood = checked?.ok === true;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void save().then((isWritten) => isWritten && close(true));
      }}
    >
      <Text
        {...{ file, text, onType: type }}
        fault={checked?.ok === false ? faultText(checked) : ""}
      />
      {difference !== "" && (
        <Card title={words.difference} isWide>
          {isGood && <Effect isConf={isConf} changed={checked.data} />}
          <pre class="log" tabIndex={0} aria-label={words.difference}>
            {shownText(difference)}
          </pre>
        </Card>
      )}
      <div class="buttons">
        <button class="main" type="submit" aria-disabled={saving || !isGood}>
          {saving ? words.busy : words.saveConf}
        </button>
        <button type="button" onClick={() => close(false)}>
          {words.cancel}
        </button>
      </div>
    </form>
  );
}

function Text(props: {
  readonly file: string;
  readonly text: string;
  readonly fault: string;
  readonly onType: (text: string) => void;
}) {
  const { file, text, fault, onType } = props;
  const field = useRef<HTMLTextAreaElement>(null);
  // Whoever has pressed the button with the keyboard goes on here.
  useEffect(() => field.current?.focus(), []);
  return (
    <Field
      label={`/etc/pve/${shownText(file)}`}
      hint={file === confFile ? words.editConfHint : words.editHint}
      fault={fault}
    >
      {({ id, describedBy }) => (
        <textarea
          {...{ id, "aria-describedby": describedBy, value: text, rows: 24, ref: field }}
          spellcheck={false}
          autocomplete="off"
          onInput={({ currentTarget }) => onType(currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** What the node says of a text that it would take. */
export function Effect({
  isConf,
  changed,
}: {
  readonly isConf: boolean;
  readonly changed: Changed;
}) {
  const notes = isConf ? changed.notes.slice(1) : [];
  return (
    <>
      <Notice mood="good">{isConf ? words.confGood : words.fileGood}</Notice>
      {notes.map((note) => (
        <Notice key={note} mood="warn">
          {note}
        </Notice>
      ))}
    </>
  );
}

/** The browser asks before it leaves a text that is not written. */
function useLeaveQuestion(isChanged: boolean): void {
  useEffect(() => {
    if (!isChanged) return undefined;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    addEventListener("beforeunload", ask);
    return () => removeEventListener("beforeunload", ask);
  }, [isChanged]);
}

interface Given {
  readonly path: string;
  readonly content: string;
  readonly version: number;
}

/**
 * What the node says of the text, once nobody types any more, and again when the node is back or its quorum is another; undefined: nothing yet. `save`
 * writes what was found good, and tells whether it is written; a refusal is the answer then.
 */
function useSaving(parts: Parts, given: Given | undefined) {
  const { api, live } = parts;
  const { failure, overview } = useStore(live.view);
  const [found, setFound] = useState<{ readonly of: string; readonly answer: Answer<Changed> }>();
  const [saving, setSaving] = useState(false);
  const isSaving = useRef(false);
  const content = given?.content;
  const situation = `${failure === undefined} ${overview?.quorum.quorate === true}`;
  useEffect(() => {
    setFound(undefined);
    if (given === undefined) return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      if (isTooLong(given.content)) {
        const refusal = {
          ok: false,
          status: 0,
          reason: words.editTooLong,
          hint: "",
          errors: {},
        } as const;
        return setFound({ of: given.content, answer: refusal });
      }
      const call = { schema: treeChanged, path, given: { ...given, "dry-run": true } };
      void api.call("PUT", call).then((answer) => {
        if (!isOver) setFound({ of: given.content, answer });
      });
    }, typedMs);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, content, situation]);
  const answer = found?.of === content ? found?.answer : undefined;
  const save = async (): Promise<boolean> => {
    if (given === undefined || isSaving.current || answer?.ok !== true) return false;
    isSaving.current = true;
    setSaving(true);
    const written = await api.call("PUT", { schema: treeChanged, path, given: { ...given } });
    isSaving.current = false;
    setSaving(false);
    if (!written.ok) setFound({ of: given.content, answer: written });
    return written.ok;
  };
  return { answer, saving, save };
}
