// A real try of the arbiter, from every node that is here: how far each comes, and what is wrong where it ends.
import { useState } from "preact/hooks";
import { type DeviceCheck, type DeviceChecks, deviceChecks } from "../../../../answers/device.ts";
import { type Answer, failureText } from "../../api.ts";
import { Card, Notice, State } from "../../parts.tsx";
import type { ScreenProps } from "../../props.ts";
import { nameInText } from "../../shown.ts";
import type { Mood } from "../../verdict.ts";
import { words } from "../../words.ts";

const said = words.arbiterScreen;
const moods: Readonly<Record<DeviceCheck["state"], Mood>> = {
  ...{ good: "good", warn: "warn", bad: "bad", skipped: "calm" },
};

interface Tried {
  readonly node: string;
  readonly answer: Answer<DeviceChecks>;
}

export function Test({ parts, overview }: ScreenProps) {
  const [tried, setTried] = useState<readonly Tried[]>([]);
  const [isBusy, setBusy] = useState(false);
  const test = async (): Promise<void> => {
    if (isBusy) return;
    setBusy(true);
    setTried([]);
    const members = overview.nodes.filter(({ isMember }) => isMember);
    const all = members.map(async ({ name }) => {
      const path = `/api/v1/nodes/${encodeURIComponent(name)}/device/check`;
      return { node: name, answer: await parts.api.post(deviceChecks, path) };
    });
    setTried(await Promise.all(all));
    setBusy(false);
    parts.live.refresh();
  };
  return (
    <Card title={said.test} isWide>
      <p>{said.testText}</p>
      <div class="buttons">
        <button class="main" type="button" aria-disabled={isBusy} onClick={() => void test()}>
          {isBusy ? said.testing : said.test}
        </button>
      </div>
      <div role="status">
        {tried.map(({ node, answer }) => (
          <Outcome key={node} node={node} answer={answer} />
        ))}
      </div>
    </Card>
  );
}

export function Outcome({ node, answer }: Tried) {
  if (!answer.ok) {
    return (
      <Notice mood="bad">
        {nameInText(node)}: {failureText(answer)}
      </Notice>
    );
  }
  const { where, checks } = answer.data;
  return (
    <section aria-label={nameInText(node)}>
      <h3>{said.tested(nameInText(node), nameInText(where))}</h3>
      <ul class="checks">
        {checks.map(({ name, state, text }) => (
          <li key={name}>
            <State mood={moods[state]}>{said.checks[name]}</State>
            <span>{state === "skipped" ? said.skipped : text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}
