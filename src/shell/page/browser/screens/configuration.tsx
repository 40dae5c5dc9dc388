// corosync.conf: each key with what it means; for root an editor (pvecm.md §5.9 G).
import { useEffect, useState } from "preact/hooks";
import type * as v from "valibot";
import { treeFile } from "../../../answers/tree.ts";
import { type Answer, failureText } from "../api.ts";
import { confGroups } from "../conf-view.ts";
import { drafts } from "../drafts.ts";
import { Busy, Card, Heading, Notice } from "../parts.tsx";
import type { ScreenProps } from "../props.ts";
import { shownText } from "../shown.ts";
import { words } from "../words.ts";
import { FileEditor, readForEditing } from "./file-editor.tsx";

type FileRead = v.InferOutput<typeof treeFile>;

const file = "corosync.conf";

export function ConfigurationScreen({ parts, session, overview }: ScreenProps) {
  const [read, setRead] = useState<Answer<FileRead>>();
  const { user } = session;
  const [edited, setEdited] = useState(() => drafts.of(user, file)?.read);
  const [written, setWritten] = useState(0);
  const { configVersion } = overview.cluster;
  useEffect(() => {
    void readForEditing(parts.api, file).then(setRead);
  }, [parts.api, written, configVersion]);
  const isRoot = user === "root@pam";
  return (
    <>
      <Heading text={words.screens.configuration} />
      {read === undefined && <Busy />}
      {read?.ok === false && <Notice mood="bad">{failureText(read)}</Notice>}
      {read?.ok === true &&
        (edited !== undefined ? (
          <FileEditor
            {...{ parts, user, file, read: edited }}
            onClose={(isWritten) => {
              setEdited(undefined);
              if (isWritten) setWritten(written + 1);
              parts.live.refresh();
            }}
          />
        ) : (
          <>
            {written > 0 && (
              <Notice mood="good" isAlert>
                {words.written}
              </Notice>
            )}
            <p class="soft">{words.confText}</p>
            {isRoot && (
              <div class="buttons">
                <button type="button" onClick={() => setEdited(read.data)}>
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
