// The screen of alerts as it is drawn: states in words, what nobody hears, and names of strangers as text.
import { expect, test } from "bun:test";
import { renderToString } from "preact-render-to-string";
import { strangersNames } from "../../../../../test/double/overviews.ts";
import type { AlertsAnswer } from "../../../answers/alerts.ts";
import { Api } from "../api.ts";
import { shownText } from "../shown.ts";
import { AlertList, SettingField, TestResult, Told } from "./alerts.tsx";

const api = new Api({
  fetch: () => Promise.reject(new Error("a test has no network")),
  onUnknown: () => undefined,
});
const never = async (): Promise<void> => undefined;

const alert: AlertsAnswer["alerts"][number] = {
  ...{ id: "node/3", kind: "node", isOpen: true, since: 1_790_000_000_000, until: null },
  ...{
    what: "pve3 is not in the cluster.",
    effect: "No further node may fail.",
    nextStep: "Look at it.",
  },
  ...{ isUrgent: false, mutedUntil: null, sentBy: "pve1", sentAt: 1_790_000_030_000, waitsFor: [] },
};
const answer: AlertsAnswer = {
  at: 1_790_000_100_000,
  sender: { nodeid: 1, name: "pve1", isHere: true },
  isQuiet: false,
  channels: [{ name: "webhook", target: "https://hooks.example.org/********", fault: "" }],
  ...{ problems: [], alerts: [alert] },
};

function text(html: string): string {
  return html
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}
const list = (alerts: AlertsAnswer["alerts"]) =>
  renderToString(<AlertList alerts={alerts} now={answer.at} mute={never} />);

test("an open alert: what, since, effect, next step, who told it", () => {
  const seen = text(list([alert]));
  for (const words of [alert.what, alert.effect, alert.nextStep, "by pve1", "Mute for 1 hour"]) {
    expect(seen).toContain(words);
  }
});

test("none is open, one is over, one is muted, one could not be told", () => {
  const over = {
    ...alert,
    id: "arbiter",
    isOpen: false,
    until: alert.since + 60_000,
    nextStep: "",
  };
  const seen = text(list([over]));
  expect(seen).toContain("No alert is open.");
  expect(seen).toContain("Over lately");
  expect(text(list([{ ...alert, mutedUntil: answer.at + 1000 }]))).toContain(
    "Send it again node/3",
  );
  expect(text(list([{ ...alert, waitsFor: ["mail"] }]))).toContain("not yet by mail");
  expect(text(list([{ ...alert, sentBy: "", sentAt: null }]))).toContain("to nobody");
});

test("who sends to whom; nobody; a quiet time; what is wrong", () => {
  const told = (more: Partial<AlertsAnswer>) =>
    text(renderToString(<Told answer={{ ...answer, ...more }} api={api} />));
  expect(told({})).toContain("One member sends for all, now pve1 (this node)");
  expect(told({})).toContain("✓ webhook https://hooks.example.org/********");
  expect(told({ channels: [] })).toContain("Nobody is told");
  expect(told({ isQuiet: true, sender: null, problems: ["a problem"] })).toMatch(
    /Nobody is ready.*quiet time.*a problem/,
  );
});

test("a test tells of each channel", () => {
  const results = [
    { channel: "webhook" as const, ok: true, text: "sent" },
    { channel: "mail" as const, ok: false, text: "there is no sendmail" },
  ];
  const seen = text(
    renderToString(<TestResult result={{ ok: true, data: { node: "pve1", results } }} />),
  );
  expect(seen).toBe("✓ webhook sent ✗ mail there is no sendmail");
});

test("a secret is not in the field, and its input hides it", () => {
  const field = (name: string, isSecret: boolean, values: string[]) =>
    renderToString(
      <SettingField
        setting={{ name, what: "about it", isSecret, isRepeated: false, values }}
        {...{ api, saved: never }}
      />,
    );
  expect(field("smtp-password", true, ["********"])).toContain('type="password"');
  expect(field("smtp-password", true, ["********"])).toMatch(/ value(?: |="")/);
  expect(field("quiet", false, ["22:00-07:00"])).toContain('value="22:00-07:00"');
});

test.each(strangersNames)("a stranger's text is text: %j", (name) => {
  const shown = shownText(name);
  const strange = { ...alert, what: shown, effect: shown, nextStep: shown, sentBy: shown };
  const html =
    list([strange, { ...strange, id: "arbiter", isOpen: false, until: 1 }]) +
    renderToString(
      <Told
        answer={{
          ...answer,
          sender: { nodeid: 1, name: shown, isHere: false },
          channels: [{ name: "mail", target: shown, fault: shown }],
          problems: [shown],
        }}
        api={api}
      />,
    );
  expect(html).not.toMatch(/<(?:script|img|b)\b/);
  for (const steering of ["\u202e", "\u2066", "\u202c", "\0", "\u001b"]) {
    expect(html).not.toContain(steering);
  }
});
