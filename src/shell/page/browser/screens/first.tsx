// A node that is in no cluster: create one, or join one, and nothing else (pvecm.md §5.3, §5.9 D).
import { useState } from "preact/hooks";
import type { ScreenProps } from "../props.ts";
import { Heading, Notice } from "../parts.tsx";
import { verdictOf, warningsOf } from "../verdict.ts";
import { words } from "../words.ts";
import { Create } from "./create.tsx";
import { Join } from "./join.tsx";

export function FirstScreen(props: ScreenProps) {
  const [chosen, setChosen] = useState<"none" | "create" | "join">("none");
  const { overview, session } = props;
  const mayChange = session.user === "root@pam";
  const back = (): void => setChosen("none");
  return (
    <>
      <Heading text={words.welcome(session.node)} />
      <Notice mood="calm">{verdictOf(overview).sentence}</Notice>
      {warningsOf(overview).map(({ text, mood }) => (
        <Notice key={text} mood={mood}>
          {text}
        </Notice>
      ))}
      {!mayChange && <Notice mood="warn">{words.noRightChange}</Notice>}
      {mayChange && chosen === "none" && (
        <div class="cards">
          <Choice
            {...{ title: words.createTitle, text: words.createText }}
            onChosen={() => setChosen("create")}
          />
          <Choice
            {...{ title: words.joinTitle, text: words.joinText }}
            onChosen={() => setChosen("join")}
          />
        </div>
      )}
      {mayChange && chosen === "create" && <Create {...props} onBack={back} />}
      {mayChange && chosen === "join" && <Join {...props} onBack={back} />}
    </>
  );
}

function Choice(props: {
  readonly title: string;
  readonly text: string;
  readonly onChosen: () => void;
}) {
  return (
    <section class="card">
      <h2>{props.title}</h2>
      <p>{props.text}</p>
      <div class="buttons">
        <button class="main" type="button" onClick={props.onChosen}>
          {props.title}
        </button>
      </div>
    </section>
  );
}
