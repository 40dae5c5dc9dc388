import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import { challengeOf, checkSecondFactor, hotp, parseTotpUri } from "./second-factor.ts";

const user = "root@pam";
const uri =
  "otpauth://totp/Proxmox:root?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8&algorithm=SHA1&period=30";
const secret = "0123456789abcdef";
const recoveryCode = "1a2b-3c4d-5e6f-7a8b";
const recoveryHash = createHmac("sha256", secret).update(recoveryCode).digest("hex");

function fileOf(
  factors: object,
  more: object = {},
): { readonly text: string; readonly user: string } {
  return {
    text: JSON.stringify({ users: { [user]: factors, "eve@pve": { strange: 1 } }, ...more }),
    user,
  };
}

const totpEntry = { id: "1", description: "phone", enable: true, created: 1, entry: uri };
const withTotp = fileOf({ totp: [totpEntry] }, { webauthn: { rp: "x" } });

describe("time-based codes", () => {
  test("the vectors of RFC 6238", () => {
    const bytes = (digits: string, length: number) =>
      new TextEncoder().encode(digits.repeat(7).slice(0, length));
    const of = (algorithm: "sha1" | "sha256" | "sha512", length: number, time: number) =>
      hotp(
        { secret: bytes("1234567890", length), digits: 8, algorithm, period: 30 },
        Math.floor(time / 30),
      );
    expect(of("sha1", 20, 59)).toBe("94287082");
    expect(of("sha256", 32, 59)).toBe("46119246");
    expect(of("sha512", 64, 59)).toBe("90693936");
    expect(of("sha1", 20, 1111111109)).toBe("07081804");
    expect(of("sha1", 20, 20000000000)).toBe("65353130");
  });

  const check = (
    file: { readonly text: string; readonly user: string },
    code: string,
    now: number,
    earlierFailures = 0,
  ) => checkSecondFactor(file, `totp:${code}`, { now, earlierFailures });

  test("one step to either side is taken, and each code once", () => {
    for (const now of [59, 29, 89]) expect(check(withTotp, "94287082", now).ok).toBe(true);
    for (const now of [119, 150]) expect(check(withTotp, "94287082", now).ok).toBe(false);
    const first = check(withTotp, "94287082", 59);
    if (!first.ok) return expect.unreachable();
    expect(first.step).toBe(1);
    const written = JSON.parse(first.text) as Record<string, unknown>;
    // What belongs to others stays as it was.
    expect(written).toEqual({
      users: {
        [user]: { totp: [{ ...totpEntry, entry: { totp: uri, "last-count": 1 } }] },
        "eve@pve": { strange: 1 },
      },
      webauthn: { rp: "x" },
    });
    const again = check({ text: first.text, user }, "94287082", 59);
    expect(again).toEqual({ ok: false, reason: "a time-based code was used again" });
  });

  test("after eight wrong ones only a recovery code helps", () => {
    const file = fileOf({
      totp: [totpEntry],
      recovery: { secret, entries: [null, recoveryHash], created: 1 },
    });
    expect(check(file, "00000000", 59, 6)).toEqual({
      ok: false,
      reason: "a wrong time-based code",
    });
    const locked = check(file, "00000000", 59, 7);
    if (locked.ok || locked.text === undefined) return expect.unreachable();
    expect(check({ text: locked.text, user }, "94287082", 59).ok).toBe(false);
    const opened = checkSecondFactor({ text: locked.text, user }, `recovery:${recoveryCode}`, {
      now: 59,
      earlierFailures: 0,
    });
    if (!opened.ok) return expect.unreachable();
    expect(check({ text: opened.text, user }, "94287082", 59).ok).toBe(true);
  });

  test("what is switched off, or of an unknown form, is never taken", () => {
    const off = fileOf({ totp: [{ ...totpEntry, enable: false }] });
    expect(check(off, "94287082", 59).ok).toBe(false);
    expect(challengeOf(off)).toEqual({ ok: true, value: undefined });
    const weak = fileOf({ totp: [{ ...totpEntry, entry: uri.replace("digits=8", "digits=1") }] });
    for (let digit = 0; digit < 10; digit += 1) {
      expect(check(weak, String(digit), 59).ok).toBe(false);
    }
  });
});

test("a recovery code is good once", () => {
  const file = fileOf({ recovery: { secret, entries: [null, recoveryHash], created: 1 } });
  const answer = `recovery:${recoveryCode}`;
  const settings = { now: 1, earlierFailures: 0 };
  expect(challengeOf(file)).toEqual({ ok: true, value: { recovery: [1] } });
  const used = checkSecondFactor(file, answer, settings);
  if (!used.ok) return expect.unreachable();
  expect(used.step).toBeUndefined();
  expect(checkSecondFactor({ text: used.text, user }, answer, settings).ok).toBe(false);
  // With no code left the factor is still wanted.
  expect(challengeOf({ text: used.text, user })).toEqual({ ok: true, value: { recovery: [] } });
  expect(checkSecondFactor(file, "recovery:0000-0000-0000-0000", settings).ok).toBe(false);
});

test("challenges name every factor; a file that cannot be read lets nobody in", () => {
  const on = [{ id: "1", enable: true }];
  expect(challengeOf(fileOf({ totp: [totpEntry], webauthn: on, u2f: on, yubico: on }))).toEqual({
    ok: true,
    value: { totp: true, webauthn: true, u2f: true, yubico: true },
  });
  expect(challengeOf({ text: "", user })).toEqual({ ok: true, value: undefined });
  expect(challengeOf({ text: '{"users":{}}', user })).toEqual({ ok: true, value: undefined });
  expect(challengeOf({ text: '{"users":{}}', user: "__proto__" })).toEqual({
    ok: true,
    value: undefined,
  });
  for (const text of ["{", "[]x", '{"users":7}', '{"users":{"root@pam":{"totp":7}}}']) {
    expect(challengeOf({ text, user }).ok).toBe(false);
    const settings = { now: 1, earlierFailures: 0 };
    expect(checkSecondFactor({ text, user }, "totp:1", settings).ok).toBe(false);
  }
  const locked = fileOf({ totp: [totpEntry], "tfa-locked-until": 1000 });
  expect(checkSecondFactor(locked, "totp:94287082", { now: 59, earlierFailures: 0 }).ok).toBe(
    false,
  );
});

test("factors of a kind that is not known let nobody in with a password alone", () => {
  const passkey = { passkey: [{ id: "1" }] };
  const alone = challengeOf(fileOf(passkey));
  expect(alone.ok ? "" : alone.reason).toContain("a kind that is not known here");
  const beside = challengeOf(fileOf({ ...passkey, totp: [totpEntry] }));
  expect(beside).toEqual({ ok: true, value: { totp: true } });
  for (const none of [{ passkey: [] }, { note: "x" }]) {
    expect(challengeOf(fileOf(none))).toEqual({ ok: true, value: undefined });
  }
});

test("property: no file, address or answer throws, and no answer is right by chance", () => {
  fc.assert(
    fc.property(
      fc.string({ unit: "binary", maxLength: 200 }),
      fc.jsonValue({ maxDepth: 5 }),
      (text, value) => {
        parseTotpUri(text);
        parseTotpUri(`otpauth://totp/x?secret=${text}`);
        const settings = { now: 59, earlierFailures: 0 };
        expect(checkSecondFactor(withTotp, text, settings).ok).toBe(false);
        for (const file of [
          text,
          JSON.stringify(value),
          JSON.stringify({ users: { [user]: value } }),
        ]) {
          challengeOf({ text: file, user });
          expect(checkSecondFactor({ text: file, user }, "totp:000000", settings).ok).toBe(false);
        }
      },
    ),
  );
});
