// Entries of priv/tfa.cfg changed: what is added can be taken away again, and what is not known of the file stays.
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  addRecovery,
  addTotp,
  listFactors,
  removeFactor,
  unlockFactors,
  updateFactor,
  withoutUser,
} from "./factor-entries.ts";
import { checkSecondFactor, hotp, parseTotpUri } from "./second-factor.ts";

const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const now = 1_800_000_000;
const user = "ann@pve";

function valueOf<T>(result: { ok: true; value: T } | { ok: false; reason: string }): T {
  if (!result.ok) throw new Error(result.reason);
  return result.value;
}

function code(steps: number): string {
  const settings = parseTotpUri(uri);
  if (settings === undefined) throw new Error("no settings");
  return hotp(settings, Math.floor(now / 30) + steps);
}

const phone = { description: "phone", uri, code: code(0), now };

test("recovery codes: ten, each good once, not in the file", () => {
  const { text, value } = valueOf(addRecovery("", user, now));
  expect(new Set(value).size).toBe(10);
  for (const each of value) {
    expect(each).toMatch(/^[0-9a-f]{4}(?:-[0-9a-f]{4}){3}$/);
    expect(text).not.toContain(each);
  }
  const used = checkSecondFactor({ text, user }, `recovery:${value[4]}`, {
    now,
    earlierFailures: 0,
  });
  expect(used.ok).toBe(true);
  const after = used.text ?? "";
  const again = checkSecondFactor({ text: after, user }, `recovery:${value[4]}`, {
    now,
    earlierFailures: 0,
  });
  expect(again.ok).toBe(false);
});

test("codes by time need one of now, and are good after", () => {
  expect(addTotp("", user, { ...phone, code: code(3) }).ok).toBe(false);
  expect(addTotp("", user, { ...phone, uri: "otpauth://hotp/x?secret=AA" }).ok).toBe(false);
  const { text, value: id } = valueOf(addTotp("", user, phone));
  const check = (of: string) =>
    checkSecondFactor({ text: of, user }, `totp:${code(1)}`, { now, earlierFailures: 0 }).ok;
  expect(check(text)).toBe(true);
  const off = valueOf(updateFactor(text, user, id, { description: undefined, enable: false })).text;
  expect(check(off)).toBe(false);
  expect(updateFactor(text, user, "recovery", { description: "x", enable: undefined }).ok).toBe(
    false,
  );
});

test("property: a factor added and removed leaves the file as it meant; no file throws", () => {
  const entry = fc.record({
    id: fc.uuid(),
    description: fc.string(),
    created: fc.nat(),
    key: fc.json(),
  });
  const factors = fc.record(
    {
      webauthn: fc.array(entry, { minLength: 1, maxLength: 3 }),
      later: fc.array(fc.string(), { minLength: 1 }),
      "totp-locked": fc.constant(true),
    },
    { requiredKeys: [] },
  );
  const file = fc.record({
    webauthn: fc.jsonValue(),
    users: fc.dictionary(fc.constantFrom(user, "joe@pve"), factors),
  });
  fc.assert(
    fc.property(file, (made) => {
      const before = JSON.stringify(made);
      const added = valueOf(addTotp(before, user, phone));
      const recovered = valueOf(addRecovery(added.text, user, now));
      expect(addRecovery(recovered.text, user, now).ok).toBe(false);
      const one = valueOf(removeFactor(recovered.text, user, "recovery"));
      const { text, isAnyLeft } = valueOf(removeFactor(one.text, user, added.value));
      const own = made.users[user];
      expect(isAnyLeft).toBe(own?.webauthn !== undefined || own?.later !== undefined);
      const rest = JSON.parse(text);
      expect(rest.webauthn).toEqual(JSON.parse(before).webauthn);
      expect(rest.users["joe@pve"]).toEqual(JSON.parse(before).users["joe@pve"]);
      expect(rest.users[user]?.later).toEqual(JSON.parse(before).users[user]?.later);
      expect(removeFactor(text, user, added.value).ok).toBe(false);
      expect(valueOf(withoutUser(text, user))).not.toContain(user);
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), fc.string(), (text, id) => {
      listFactors(text);
      addRecovery(text, user, now);
      removeFactor(text, user, id);
      unlockFactors(text, user, now);
      updateFactor(text, user, id, { description: id, enable: true });
      withoutUser(text, user);
    }),
    { numRuns: 50 },
  );
});
