// corosync.conf: each key with what it means; for root an editor that asks the node about every state of the text, raises the version, and shows the
// difference before it is written (pvecm.md §5.9 G).
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import { treeChanged, treeFile } from "../../../answers/tree.ts";
import { unifiedDifference } from "../../../conf/difference.ts";
import { type Answer, type Failure, failureText } from "../api.ts";
import { confGroups, withRaisedVersion } from "../conf-view.ts";
import { Busy, Card, Field, Heading, Notice } from "../parts.tsx";
import type { Parts, ScreenProps } from "../props.ts";
import { shownText } from "../shown.ts";
import { words } from "../words.ts";

type FileRead = v.InferOutput<typeof treeFile>;
type Changed = v.InferOutput<typeof treeChanged>;

const path = "/api/v1/tree/file";
const file = "corosync.conf";
const typedMs = 500;

export function ConfigurationScreen({ parts, session }: ScreenProps) {
  const [read, setRead] = useState<Answer<FileRead>>();
  const [isEditing, setEditing] = useState(false);
  const [written, setWritten] = useState(0);
  useEffect(() => {
    // As it is: it is edited, and sent back.
    const call = { schema: treeFile, path, given: { path: file }, isRaw: true };
    void parts.api.call("GET", call).then(setRead);
  }, [parts.api, written]);
  const isRoot = session.user === "root@pam";
  return (
    <>
      <Heading text={words.screens.configuration} />
      {read === undefined && <Busy />}
      {read?.ok === false && <Notice mood="bad">{failureText(read)}</Notice>}
      {read?.ok === true &&
        (isEditing ? (
          <Editor
            parts={parts}
            read={read.data}
            onClose={() => {
              setEditing(false);
              setWritten(written + 1);
              parts.live.refresh();
            }}
          />
        ) : (
          <>
            <p class="soft">{words.confText}</p>
            {isRoot && (
              <div class="buttons">
                <button type="button" onClick={() => setEditing(true)}>
                  {words.edit}
                </button>
              </div>
            )}
            <Groups text={read.data.content} />
          </>
        ))}
    </>
  );
}

export function Groups({ text }: { readonly text: string }) {
  const groups = confGroups(text);
  if (groups === undefined) return <Notice mood="bad">{words.confUnreadable}</Notice>;
  return (
    <>
      {groups.map(({ title, rows }, at) => (
        <Card key={at} title={shownText(title)} isWide>
          <table class="foldable">
            <thead>
              <tr>
                <th scope="col">{words.key}</th>
                <th scope="col">{words.value}</th>
                <th scope="col">{words.meaning}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map(({ key, value, meaning }, row) => (
                <tr key={row}>
                  <th scope="row">
                    <code>{shownText(key)}</code>
                  </th>
                  <td data-label={words.value}>
                    <code>{shownText(value)}</code>
                  </td>
                  <td data-label={words.meaning} class="soft">
                    {meaning}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Card>
      ))}
    </>
  );
}

interface EditorProps {
  readonly parts: Parts;
  readonly read: FileRead;
  readonly onClose: () => void;
}

function Editor({ parts, read, onClose }: EditorProps) {
  const before = read.content;
  const [text, setText] = useState(before);
  const [refusal, setRefusal] = useState<Failure>();
  const [isBusy, setBusy] = useState(false);
  const given = { path: file, content: withRaisedVersion(text, before), version: read.version };
  const checked = useCheck(parts, text === before ? undefined : given);
  const difference =
    text === before ? "" : unifiedDifference(`etc/pve/${file}`, before, given.content);
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
      <Field label={`/etc/pve/${file}`} hint={words.editHint} fault={fault}>
        {({ id, describedBy }) => (
          <textarea
            {...{ id, "aria-describedby": describedBy, value: text, rows: 24 }}
            spellcheck={false}
            autocomplete="off"
            maxLength={60_000}
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
          {checked?.ok === true && <Notice mood="good">{words.confGood}</Notice>}
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
