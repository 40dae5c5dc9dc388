import { beforeAll, expect, test } from "bun:test";
import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import fc from "fast-check";
import { credentialsOf } from "./credentials.ts";
import { csrfSecret, csrfToken, isCsrfToken } from "./csrf.ts";
import { ageRange, rotationReason } from "./key-rules.ts";
import { halfTicketData, isHalf, isTicketOf, makeTicket, parseTicket } from "./ticket.ts";
import { isWithin } from "./time-text.ts";
import { parseUserId } from "../users/user-id.ts";

let pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject };
let other: typeof pair;
beforeAll(() => {
  pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  other = generateKeyPairSync("rsa", { modulusLength: 2048 });
});

const at = 0x67e0a1b2;

test("a ticket in the original's form, checked with the public key", () => {
  const text = makeTicket(pair.privateKey, { data: "root@pam", at });
  expect(text).toMatch(/^PVE:root@pam:67E0A1B2::[A-Za-z0-9+/]{342}==$/);
  const ticket = parseTicket(text);
  if (ticket === undefined) return expect.unreachable();
  expect(ticket).toMatchObject({ data: "root@pam", at });
  expect(isTicketOf(pair.publicKey, ticket)).toBe(true);
  expect(isTicketOf(other.publicKey, ticket)).toBe(false);
  expect(isTicketOf(pair.publicKey, ticket, "root@pam")).toBe(false);
});

test("a signature over SHA-256 is taken too, another's is not", () => {
  const plain = "PVE:root@pam:67E0A1B2";
  const made = (digest: string) => {
    const signature = sign(digest, Buffer.from(plain), pair.privateKey).toString("base64");
    const ticket = parseTicket(`${plain}::${signature}`);
    return ticket !== undefined && isTicketOf(pair.publicKey, ticket);
  };
  expect([made("sha1"), made("sha256"), made("sha512")]).toEqual([true, true, false]);
});

test("a half ticket needs its user", () => {
  const data = halfTicketData({ totp: true, recovery: [0, 3] });
  const text = makeTicket(pair.privateKey, { data, at, secret: "root@pam" });
  const ticket = parseTicket(text);
  if (ticket === undefined) return expect.unreachable();
  expect(isHalf(ticket)).toBe(true);
  expect(text.split(":")[1]).toBe(`!tfa!${encodeURIComponent('{"totp":true,"recovery":[0,3]}')}`);
  expect(isTicketOf(pair.publicKey, ticket, "root@pam")).toBe(true);
  expect(isTicketOf(pair.publicKey, ticket, "eve@pam")).toBe(false);
  expect(isTicketOf(pair.publicKey, ticket)).toBe(false);
});

test("property: a user's name comes back from its ticket; a changed character is never taken", () => {
  const name = fc
    .string({ unit: "binary-ascii", minLength: 1, maxLength: 30 })
    .filter((text) => /^[\x21-\x7e]+$/.test(text) && !text.startsWith("!tfa!"));
  fc.assert(
    fc.property(name, fc.nat(), fc.integer({ min: 33, max: 126 }), (data, where, code) => {
      const text = makeTicket(pair.privateKey, { data, at });
      expect(parseTicket(text)?.data).toBe(data);
      const index = where % text.length;
      const changed = text.slice(0, index) + String.fromCharCode(code) + text.slice(index + 1);
      if (changed === text) return;
      const ticket = parseTicket(changed);
      if (ticket === undefined) return;
      const isSame = Buffer.from(parseTicket(text)?.signature ?? []).equals(ticket.signature);
      // Base64 has letters whose last bits do not count.
      if (isSame && ticket.plain === parseTicket(text)?.plain) return;
      expect(isTicketOf(pair.publicKey, ticket)).toBe(false);
    }),
    { numRuns: 50 },
  );
});

test("property: any text is a ticket or none, and never throws", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      for (const each of [text, `PVE:${text}:67E0A1B2::AAAA`, `PVE:a:67E0A1B2::${text}`]) {
        const ticket = parseTicket(each);
        if (ticket !== undefined) expect(isTicketOf(pair.publicKey, ticket)).toBe(false);
      }
      credentialsOf(
        new Map([
          ["cookie", text],
          ["authorization", text],
        ]) as never,
      );
      parseUserId(text);
      isCsrfToken("secret", "root@pam", text, at);
    }),
  );
  expect(parseTicket(`PVE:${"x".repeat(9000)}:67E0A1B2::AAAA`)).toBeUndefined();
});

test("a CSRF token in the original's form", () => {
  const secret = csrfSecret(Buffer.from("key file"));
  expect(secret).toBe(
    createHmac("sha256", "").update("key file").digest("base64").replace(/=+$/, ""),
  );
  const token = csrfToken(secret, "root@pam", at);
  expect(token).toMatch(/^67E0A1B2:[A-Za-z0-9+/]{43}$/);
  const good = (now: number, user = "root@pam", text = token) =>
    isCsrfToken(secret, user, text, now);
  expect([good(at), good(at - 299), good(at + 7199)]).toEqual([true, true, true]);
  expect([good(at - 300), good(at + 7200)]).toEqual([false, false]);
  expect(good(at, "eve@pam")).toBe(false);
  expect(good(at, "root@pam", `${token}A`)).toBe(false);
  expect(good(at, "root@pam", "")).toBe(false);
});

test("when the key pair is replaced", () => {
  const now = 1_000_000;
  const reason = (current: number | undefined, old?: number, isQuorate = true) =>
    rotationReason(now, { current, old }, isQuorate);
  expect(reason(undefined)).toBe("there is none");
  expect(reason(now - 86_399)).toBe("");
  expect(reason(now - 86_400)).toBe("it is a day old");
  expect(reason(now - 86_400, undefined, false)).toBe("");
  expect(reason(undefined, undefined, false)).toBe("");
  expect(reason(now + 300)).toBe("");
  expect(reason(now + 301)).toContain("a clock that was ahead");
  expect(reason(now + 301, now - 1)).toBe("");
  expect(reason(now + 7200, now)).toContain("a clock that was ahead");
});

test("which tickets a key vouches for", () => {
  const now = 1_000_000;
  const range = (keyAge: number, isOld = false, isQuorate = true) =>
    ageRange(now, { writtenAt: now - keyAge, isOld }, isQuorate);
  // A ticket cannot be older than its key, but for clocks that differ.
  expect(range(100)).toEqual({ min: -300, max: 400 });
  expect(range(-50)).toEqual({ min: -300, max: 300 });
  expect(range(7200)).toEqual({ min: -300, max: 7200 });
  // Overdue for replacement: tickets made since are not taken, unless nothing could be replaced.
  expect(range(86_500)).toEqual({ min: 100, max: 7200 });
  expect(range(86_500, false, false)).toEqual({ min: -300, max: 7200 });
  expect(range(86_400 + 7201)).toBeUndefined();
  // The key of before has made none since.
  expect(range(1000, true)).toEqual({ min: 700, max: 7200 });
  expect(range(7501, true)).toBeUndefined();
  expect([isWithin(-300, { min: -300, max: 1 }), isWithin(0, { min: -300, max: 1 })]).toEqual([
    false,
    true,
  ]);
});

test("credentials: cookie before header, ticket before token", () => {
  const of = (headers: Record<string, string>) => credentialsOf(new Headers(headers));
  const ticket = "PVE:root@pam:67E0A1B2::abc+/==";
  const encoded = `PVEAuthCookie=${encodeURIComponent(ticket)}`;
  expect(of({})).toEqual({ kind: "none" });
  expect(of({ cookie: `a=b; ${encoded}; c=d` })).toEqual({ kind: "ticket", ticket });
  expect(of({ authorization: encoded })).toEqual({ kind: "ticket", ticket });
  expect(of({ authorization: "PVEAPIToken=root@pam!a=b", cookie: encoded }).kind).toBe("ticket");
  expect(of({ authorization: "PVEAPIToken=root@pam!a=b" })).toEqual({
    kind: "token",
    token: "root@pam!a=b",
  });
  expect(of({ authorization: "Basic cm9vdDp4" })).toEqual({ kind: "none" });
  expect(of({ cookie: "PVEAuthCookie=" })).toEqual({ kind: "none" });
  expect(of({ cookie: "XPVEAuthCookie=a; PVEAuthCookieX=b" })).toEqual({ kind: "none" });
  expect(of({ cookie: "PVEAuthCookie=%zz" })).toEqual({ kind: "malformed" });
  expect(of({ cookie: `PVEAuthCookie=${"a".repeat(9000)}` })).toEqual({ kind: "malformed" });
  expect(of({ authorization: `PVEAPIToken=${"a".repeat(600)}` })).toEqual({ kind: "malformed" });
});

test("users", () => {
  expect(parseUserId("root@pam")).toEqual({ name: "root", realm: "pam" });
  expect(parseUserId("a@b@pve")).toEqual({ name: "a@b", realm: "pve" });
  for (const text of [
    "root",
    "@pam",
    "root@",
    "root@p",
    "ro:ot@pam",
    "ro/ot@pam",
    "a b@pam",
    "a\n@pam",
  ]) {
    expect(parseUserId(text)).toBeUndefined();
  }
});
