// What the removal of a node means: whether it runs, the votes before and after, what it leaves in the tree (pvecm.md §3.6).
import type { ComponentChildren } from "preact";
import type { RemovalReport } from "../../../../answers/removal.ts";
import { Card, Check, Name, Notice, State } from "../../parts.tsx";
import { nameInText } from "../../shown.ts";
import { words } from "../../words.ts";

const said = words.removal;

export function Runs(props: {
  readonly report: RemovalReport;
  readonly asItRuns: boolean;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { report, asItRuns, onChange } = props;
  const { name, isMember, isEnded } = report;
  return (
    <Card title={said.runs} isWide>
      {isMember ? (
        <>
          <p>
            <State mood="warn">{words.online}</State> {said.isOn(nameInText(name))}
          </p>
          <Check
            {...{ isOn: asItRuns, onChange, label: said.asItRuns }}
            hint={isEnded ? said.asItRunsEnded : said.asItRunsAlone}
          />
        </>
      ) : (
        <p>
          <State mood="good">{words.offline}</State> {said.isOff}
        </p>
      )}
    </Card>
  );
}

export function Meaning({ report }: { readonly report: RemovalReport }) {
  const { before, after, notes } = report;
  const isEnough = after.present >= after.needed;
  return (
    <Card title={said.means} isWide>
      <dl class="facts">
        <dt>{said.now}</dt>
        <dd>{votesText(before)}</dd>
        <dt>{said.afterwards}</dt>
        <dd>{votesText(after)}</dd>
      </dl>
      {!isEnough && <Notice mood="warn">{said.losesQuorum}</Notice>}
      {after.all > 0 && after.all % 2 === 0 && <p class="soft">{said.even}</p>}
      {notes.map((note) => (
        <p key={note} class="soft">
          {note}
        </p>
      ))}
    </Card>
  );
}

function votesText({ present, all, needed }: RemovalReport["before"]): string {
  const spare = Math.max(0, present - needed);
  const votes = said.votes(present, all, needed);
  return present >= needed ? `${votes} ${said.mayFail(spare)}` : votes;
}

export function LeftBehind(props: {
  readonly report: RemovalReport;
  readonly children: ComponentChildren;
}) {
  const { guests, files, lines, naming } = props.report;
  return (
    <Card title={said.left} isWide>
      {guests.length === 0 ? (
        <p>{said.noGuests}</p>
      ) : (
        <Notice mood="warn">
          <p>{said.guests(guests.length)}</p>
          <ul>
            {guests.map((path) => (
              <li key={path}>
                <Name of={path} />
              </li>
            ))}
          </ul>
        </Notice>
      )}
      <ul>
        {files.length > 0 && <li>{said.files(files.length)}</li>}
        {lines.map((path) => (
          <li key={path}>{said.lines(nameInText(path))}</li>
        ))}
        {naming.map((path) => (
          <li key={path}>{said.naming(nameInText(path))}</li>
        ))}
      </ul>
      <p class="soft">{said.keyStays}</p>
      {props.children}
    </Card>
  );
}
