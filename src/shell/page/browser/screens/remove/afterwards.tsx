// While a node is being removed, and afterwards: what to do at that machine, and another key for the cluster (pvecm.md §3.6).
import { Card, CopyText, Notice } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { nameInText } from "../../shown.ts";
import { words } from "../../words.ts";
import { useChanging, useTaskEnd } from "../asking.ts";
import { Refusals } from "../refusals.tsx";
import { Plan } from "../../change-form.tsx";

const said = words.removal;

export function Afterwards(of: {
  readonly props: ScreenProps;
  readonly upid: string;
  readonly node: string;
  readonly onAgain: () => void;
}) {
  const { props, upid, onAgain } = of;
  const node = nameInText(of.node);
  const end = useTaskEnd(props, upid);
  if (end === "runs" || end === "") return <Notice mood="calm">{said.goes(node)}</Notice>;
  if (end === "bad") {
    return (
      <>
        <Notice mood="bad" isAlert>
          {said.failed(node)}
        </Notice>
        <Again onAgain={onAgain} />
      </>
    );
  }
  return (
    <>
      <Notice mood="good" isAlert>
        {said.done(node)}
      </Notice>
      <Card title={said.next} isWide>
        <p>{said.machine(node)}</p>
        <CopyText text="quorate leave --local" label={said.machineCommand} />
        <p class="soft">
          {said.several} {said.again}
        </p>
      </Card>
      <AnotherKey {...props} />
      <Again onAgain={onAgain} />
    </>
  );
}

function Again({ onAgain }: { readonly onAgain: () => void }) {
  return (
    <div class="buttons">
      <button type="button" onClick={onAgain}>
        {said.another}
      </button>
    </div>
  );
}

export function AnotherKey(props: ScreenProps) {
  const change = useChanging(props, "POST", "/api/v1/cluster/key");
  const { planned, refused, isBusy } = change;
  const end = useTaskEnd(props, change.upid);
  return (
    <Card title={said.key} isWide>
      <p>{said.keyText}</p>
      {planned?.ok === true && <Plan plan={planned.data} />}
      <Refusals of={[planned, refused]} />
      {end === "runs" && <Notice mood="calm">{said.keyGoes}</Notice>}
      {end === "good" && <Notice mood="good">{said.keyDone}</Notice>}
      {(end === "" || end === "bad") && (
        <div class="buttons">
          {planned?.ok === true ? (
            <button
              class="main"
              type="button"
              aria-disabled={isBusy}
              onClick={() => void change.begin(said.keyTitle)}
            >
              {isBusy ? words.busy : said.keyNow}
            </button>
          ) : (
            <button type="button" aria-disabled={isBusy} onClick={() => void change.plan()}>
              {isBusy ? words.busy : said.keyCheck}
            </button>
          )}
        </div>
      )}
    </Card>
  );
}
