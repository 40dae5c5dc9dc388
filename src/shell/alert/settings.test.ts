// Settings of alerts: what their files may hold, what is said about the rest, and what a change leaves alone. Quiet times.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { isQuiet, minuteOfWeek, parseQuiet, weekMinutes } from "./quiet.ts";
import {
  faultOf,
  muteValue,
  placeOf,
  readAlertSettings,
  shownValue,
  valuesIn,
  withMute,
  withSetting,
} from "./settings.ts";
import { settingNames } from "./setting-names.ts";

test("nothing is set: nobody is told, and every rule has a value", () => {
  const { rules, webhook, mail, problems } = readAlertSettings("", "");
  expect(webhook).toBeUndefined();
  expect(mail).toBeUndefined();
  expect(problems).toEqual([]);
  expect(rules).toMatchObject({
    ...{ delayMs: 20_000, clearMs: 60_000, repeatMs: 86_400_000, urgent: ["quorum"], channels: [] },
  });
});

test("both files together", () => {
  const open = [
    "metrics-from: 10.0.0.0/8",
    "# a comment",
    "alert-mail-to: a@example.org, b@example.org",
    "alert-mail-by: smtps://mail.example.org",
    "alert-quiet: mon-fri 22:00-07:00",
    "alert-urgent: none",
    "alert-delay: 5",
    "alert-mute: node/3 until 2030-01-31T12:00:00Z",
    "alert-mute: link until 2030-01-31T12:00:00Z",
  ].join("\n");
  const secret =
    "webhook: https://hooks.example.org/x?y=1\nwebhook-header: Authorization: Bearer T\nsmtp-user: u\nsmtp-password: p: q\n";
  const { rules, webhook, mail, problems } = readAlertSettings(open, secret);
  expect(problems).toEqual([]);
  expect(webhook).toEqual({
    url: "https://hooks.example.org/x?y=1",
    headers: { Authorization: "Bearer T" },
  });
  expect(mail).toEqual({
    to: ["a@example.org", "b@example.org"],
    from: "",
    server: { host: "mail.example.org", port: 465, isTls: true },
    ...{ user: "u", password: "p: q" },
  });
  expect(rules.channels).toEqual(["webhook", "mail"]);
  expect(rules.urgent).toEqual([]);
  expect(rules.delayMs).toBe(5000);
  expect([...rules.mutes.keys()]).toEqual(["node/3", "link"]);
});

test.each([
  [
    "alert-delay: soon",
    "quorate.cfg, line 1: alert-delay: it is a number of seconds from 1 to 3600",
  ],
  [
    "alert-mail-to: a@example.org\nalert-mail-to: b@example.org",
    "quorate.cfg, line 2: alert-mail-to stands there twice; the first counts",
  ],
  [
    "alert-colour: red",
    "quorate.cfg, line 1: there is no setting alert-colour here; `quorate alert settings` shows all",
  ],
  [
    "alert-webhook: https://x.example.org/",
    "quorate.cfg, line 1: there is no setting alert-webhook here; `quorate alert settings` shows all",
  ],
  [
    "alert-mail-from: a@example.org",
    "quorate.cfg: no mail is sent, for alert-mail-to names nobody",
  ],
])("what is wrong is named with its line, and the rest holds: %j", (text, problem) => {
  expect(readAlertSettings(text, "").problems).toEqual([problem]);
});

test.each([
  ["webhook", "ftp://example.org/"],
  ["webhook", "https://user:password@example.org/"],
  ["webhook", "example.org"],
  ["webhook-header", "Host: elsewhere"],
  ["webhook-header", "X: a\r\nY: b"],
  ["webhook-header", "Transfer-Encoding: chunked"],
  ["mail-to", "-oQ/tmp@example.org"],
  ["mail-to", "a@example.org\nBcc: b@example.org"],
  ["mail-to", "no address"],
  ["mail-from", "a@example.org, b@example.org"],
  ["mail-by", "smtp://"],
  ["mail-by", "smtp://host:99999"],
  ["mail-by", "http://host"],
  ["quiet", "25:00-07:00"],
  ["quiet", "xyz 22:00-07:00"],
  ["quiet", "22:00-22:00"],
  ["urgent", "everything"],
  ["repeat", "721"],
  ["mute", "node/3 until tomorrow"],
  ["mute", "nothing until 2030-01-31T12:00:00Z"],
] as const)("no %s is %j", (name, value) => {
  expect(faultOf(name, value)).not.toBe("");
});

test("a secret is shown as one, and of a webhook the machine", () => {
  expect(shownValue("webhook", "https://hooks.example.org:8443/secret?t=1")).toBe(
    "https://hooks.example.org:8443/********",
  );
  expect(shownValue("smtp-password", "p")).toBe("********");
  expect(shownValue("mail-to", "a@example.org")).toBe("a@example.org");
  for (const name of ["webhook", "webhook-header", "smtp-user", "smtp-password"] as const) {
    expect(placeOf(name).path).toBe("priv/quorate/alert.cfg");
  }
});

test("property: any text is read without harm, and a change leaves all other lines as they are", () => {
  const line = fc.oneof(
    fc.string({ unit: "binary", maxLength: 60 }).map((text) => text.replace(/\n/g, " ")),
    fc.constantFrom("metrics-from: 10.0.0.1", "alert-delay: 7", "alert-delay: x", "alert-mute: a"),
  );
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 12 }),
      fc.constantFrom(...settingNames),
      (lines, name) => {
        const text = lines.map((each) => `${each}\n`).join("");
        expect(readAlertSettings(text, text).rules.delayMs).toBeGreaterThanOrEqual(1000);
        const value = { delay: "9", webhook: "https://example.org/" }[name as string] ?? "22";
        const after = withSetting(text, name, [value]);
        expect(valuesIn(after, name)).toEqual([value]);
        const others = (of: string) =>
          of
            .split("\n")
            .filter(
              (each) => valuesIn(each, name).length === 0 && !each.includes(placeOf(name).key),
            );
        expect(others(after)).toEqual(others(text));
        expect(valuesIn(withSetting(after, name, []), name)).toEqual([]);
      },
    ),
  );
});

test("mutes: one more, one no more, those that are over go", () => {
  const wallMs = Date.parse("2030-01-01T00:00:00Z");
  const old = muteValue({ what: "node/1", until: wallMs - 1000 });
  const other = muteValue({ what: "link", until: wallMs + 60_000 });
  const more = withMute([old, other], { what: "node/3", seconds: 3600, wallMs });
  expect(more).toEqual({ ok: true, value: [other, "node/3 until 2030-01-01T01:00:00Z"] });
  expect(withMute([other], { what: "link", seconds: 0, wallMs })).toEqual({ ok: true, value: [] });
  const many = Array.from({ length: 32 }, (_, index) =>
    muteValue({ what: `node/${index + 1}`, until: wallMs + 1000 }),
  );
  expect(withMute(many, { what: "link", seconds: 60, wallMs }).ok).toBe(false);
});

function at(text: string, minute: number): boolean {
  const read = parseQuiet(text);
  if (!read.ok) throw new Error(read.reason);
  return isQuiet(read.value, minute);
}

test("quiet times over midnight, over the end of the week, on some days", () => {
  const minute = (day: number, hour: number) => day * 1440 + hour * 60;
  expect(at("22:00-07:00", minute(2, 23))).toBe(true);
  expect(at("22:00-07:00", minute(2, 7))).toBe(false);
  expect(at("sun 22:00-07:00", minute(0, 6))).toBe(true);
  expect(at("mon-fri 22:00-07:00", minute(5, 6))).toBe(true);
  expect(at("mon-fri 22:00-07:00", minute(5, 23))).toBe(false);
  expect(at("fri-mon 00:00-24:00", minute(6, 12))).toBe(true);
  expect(at("fri-mon 00:00-24:00", minute(1, 12))).toBe(false);
  expect(at("", 0)).toBe(false);
});

test("property: a window is as long as it says, each day", () => {
  const time = fc.integer({ min: 0, max: 1439 });
  const shown = (minutes: number) =>
    `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`;
  fc.assert(
    fc.property(time, time, (from, to) => {
      fc.pre(from !== to);
      const all = Array.from({ length: weekMinutes }, (_, minute) => minute);
      const text = `${shown(from)}-${shown(to)}`;
      const read = parseQuiet(text);
      if (!read.ok) throw new Error(read.reason);
      const count = all.filter((minute) => isQuiet(read.value, minute)).length;
      expect(count).toBe(7 * ((to - from + 1440) % 1440));
    }),
    { numRuns: 20 },
  );
});

test("the week begins on Monday", () => {
  expect(minuteOfWeek(new Date(2026, 10, 30, 0, 1))).toBe(1);
  expect(minuteOfWeek(new Date(2026, 10, 29, 23, 59))).toBe(weekMinutes - 1);
});
