// A file of the tree in an editor: the node is asked about every state of the text, the difference is shown before it is written, and nothing is
// written over what somebody else has changed meanwhile. Of corosync.conf the version is raised.
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import { treeChanged, treeFile } from "../../../answers/tree.ts";
import { unifiedDifference } from "../../../conf/difference.ts";
import { type Answer, type Api, type Failure, failureText } from "../api.ts";
import { withRaisedVersion } from "../conf-view.ts";
import { Card, Field, Notice } from "../parts.tsx";
import type { Parts } from "../props.ts";
import { shownText } from "../shown.ts";
import { words } from "../words.ts";

type FileRead = v.InferOutput<typeof treeFile>;
type Changed = v.InferOutput<typeof treeChanged>;

const path = "/api/v1/tree/file";
const confFile = "corosync.conf";
const typedMs = 500;
/** A request has 64 KiB for everything. */
const editedCharactersMax = 60_000;

/** As it is, not as it is shown: it is edited, and sent back. */
export function readForEditing(api: Api, file: string): Promise<Answer<FileRead>> {
  return api.call("GET", { schema: treeFile, path, given: { path: file }, isRaw: true });
}

/** Why this cannot be edited here, a sentence; "": it can. A field of a browser changes carriage returns. */
export function notEditable({ content, encoding }: Pick<FileRead, "content" | "encoding">): string {
  if (encoding !== "text") return words.editNoText;
  if (content.length > editedCharactersMax) return words.editTooLong;
  return content.includes("\r") ? words.editReturns : "";
}

interface EditorProps {
  readonly parts: Parts;
  /** Its path in the tree. */
  readonly file: string;
  readonly read: FileRead;
  readonly onClose: () => void;
}

export function FileEditor({ parts, file, read, onClose }: EditorProps) {
  const before = read.content;
  const [text, setText] = useState(before);
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const isConf = file === confFile;
  const content = isConf ? withRaisedVersion(text, before) : text;
  const given = { path: file, content, version: read.version };
  const checked = useCheck(parts, text === before ? undefined : given);
  const difference = text === before ? "" : unifiedDifference(`etc/pve/${file}`, before, content);
  const save = async (): Promise<void> => {
    if (isBusy || checked?.ok !== true) return;
    setBusy(true);
    setRefusal(undefined);
    const answer = await parts.api.call("PUT", { schema: treeChanged, path, given });
    setBusy(false);
    if (answer.ok) onClose();
    else setRefusal(answer);
  };
  const fault = checked?.ok === false ? failureText(checked) : "";
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <Field
        label={`/etc/pve/${shownText(file)}`}
        hint={isConf ? words.editConfHint : words.editHint}
        fault={fault}
      >
        {({ id, describedBy }) => (
          <textarea
            {...{ id, "aria-describedby": describedBy, value: text, rows: 24 }}
            spellcheck={false}
            autocomplete="off"
            maxLength={editedCharactersMax}
            onInput={({ currentTarget }) => setText(currentTarget.value)}
          />
        )}
      </Field>
      {refusal !== undefined && (
        <Notice mood="bad" isAlert>
          {failureText(refusal)}
        </Notice>
      )}
      {difference !== "" && (
        <Card title={words.difference} isWide>
          {checked?.ok === true && (
            <Notice mood="good">{isConf ? words.confGood : words.fileGood}</Notice>
          )}
          <pre class="log" tabIndex={0} aria-label={words.difference}>
            {shownText(difference)}
          </pre>
        </Card>
      )}
      <div class="buttons">
        <button class="main" type="submit" aria-disabled={isBusy || checked?.ok !== true}>
          {isBusy ? words.busy : words.saveConf}
        </button>
        <button type="button" onClick={onClose}>
          {words.cancel}
        </button>
      </div>
    </form>
  );
}

/** What the node says of the text, once nobody types any more; undefined: nothing yet. */
function useCheck(
  { api }: Parts,
  given: { readonly path: string; readonly content: string; readonly version: number } | undefined,
): Answer<Changed> | undefined {
  const [checked, setChecked] = useState<Answer<Changed>>();
  const content = given?.content;
  useEffect(() => {
    setChecked(undefined);
    if (given === undefined) return undefined;
    let isOver = false;
    const timer = setTimeout(() => {
      const call = { schema: treeChanged, path, given: { ...given, "dry-run": true } };
      void api.call("PUT", call).then((answer) => {
        if (!isOver) setChecked(answer);
      });
    }, typedMs);
    return () => {
      isOver = true;
      clearTimeout(timer);
    };
  }, [api, content]);
  return checked;
}
