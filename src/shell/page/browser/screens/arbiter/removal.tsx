// The arbiter's end: what it would do is shown first, and what is left on its machine.
import { Card, Notice } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { words } from "../../words.ts";
import { useChanging, useTaskEnd } from "../asking.ts";
import { Refusals } from "../refusals.tsx";
import { Plan } from "../../change-form.tsx";

const said = words.arbiterScreen;

export function Removal(props: ScreenProps) {
  const change = useChanging(props, "DELETE", "/api/v1/device");
  const { planned, refused, isBusy } = change;
  const isUnderway = useTaskEnd(props, change.upid) === "runs";
  return (
    <Card title={said.remove} isWide>
      <p>{said.removeText}</p>
      {planned?.ok === true && <Plan plan={planned.data} />}
      <Refusals of={[planned, refused]} />
      {isUnderway ? (
        <Notice mood="calm">{said.goes}</Notice>
      ) : (
        <div class="buttons">
          {planned?.ok === true && !planned.data.isDone ? (
            <button
              class="danger"
              type="button"
              aria-disabled={isBusy}
              onClick={() => void change.begin(said.removeTitle)}
            >
              {isBusy ? words.busy : said.removeNow}
            </button>
          ) : (
            <button type="button" aria-disabled={isBusy} onClick={() => void change.plan()}>
              {isBusy ? words.busy : said.removeCheck}
            </button>
          )}
        </div>
      )}
    </Card>
  );
}
