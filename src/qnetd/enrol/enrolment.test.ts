// Enrolment without a network: the token and the messages both ways and under every damage, the decisions, and which connections are admitted.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decodeInvite,
  encodeInvite,
  findInvite,
  inviteBytesMax,
  type Invite,
  checkRequest,
} from "./enrolment.ts";
import { originOf } from "../server/origin.ts";
import { EnrolmentAdmission, enrolmentLimits } from "./enrolment-admission.ts";
import {
  decodeAnswer,
  decodeOffer,
  decodeRequest,
  encodeAnswer,
  encodeOffer,
  encodeRequest,
  EnrolmentFrame,
} from "./enrolment-message.ts";
import {
  addressesMax,
  cutTokenText,
  decodeToken,
  encodeToken,
  fingerprintBytes,
  type InviteToken,
  looksLikeToken,
  secretBytes,
  type TokenForm,
} from "./enrolment-token.ts";

const bytes = (size: number) => fc.uint8Array({ minLength: size, maxLength: size });
const tokens: fc.Arbitrary<InviteToken> = fc.record({
  cluster: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9 _.ä-]{0,40}$/),
  addresses: fc.array(fc.oneof(fc.ipV4(), fc.constantFrom("fd00::1", "::1", "qnetd.example.org")), {
    minLength: 1,
    maxLength: addressesMax,
  }),
  port: fc.integer({ min: 1, max: 65_535 }),
  fingerprint: bytes(fingerprintBytes),
  secret: bytes(secretBytes),
  expiresAt: fc.integer({ min: 0, max: 0xffff_ffff }),
});

describe("the token", () => {
  test("comes back as it went, also with the line breaks of a terminal", () => {
    fc.assert(
      fc.property(tokens, (token) => {
        const text = encodeToken(token);
        expect(looksLikeToken(text)).toBe(true);
        expect(decodeToken(text)).toEqual({ ok: true, value: token });
        expect(decodeToken(` ${text.slice(0, 40)}\n  ${text.slice(40)}\n`).ok).toBe(true);
      }),
    );
  });

  test("one wrong letter is seen", () => {
    fc.assert(
      fc.property(tokens, fc.nat(), fc.constantFrom("A", "z", "_", "7"), (token, at, letter) => {
        const text = encodeToken(token);
        const place = "quorate1.".length + (at % (text.length - "quorate1.".length - 1));
        fc.pre(text[place] !== letter);
        const damaged = text.slice(0, place) + letter + text.slice(place + 1);
        expect(decodeToken(damaged).ok).toBe(false);
      }),
    );
  });

  test("one that is cut is said to be cut, whichever part of it is there", () => {
    fc.assert(
      fc.property(tokens, fc.nat(), (token, cut) => {
        const text = encodeToken(token);
        const [beginning = "", code = ""] = text.split(".");
        const end = `${beginning}.`.length + (cut % code.length);
        expect(decodeToken(text.slice(0, end))).toMatchObject({
          reason: expect.stringContaining("the token is cut, its end is missing"),
        });
        expect(cutTokenText(text)).toBe("");
        expect(cutTokenText(` ${beginning}\n`)).toContain(`"${beginning}" is only its beginning`);
        expect(cutTokenText(code)).toContain('its beginning "quorate1." is missing');
        // 64 letters are more than a name has.
        expect(cutTokenText(code.slice(-64))).toContain("looks like a part of a token");
      }),
    );
    const other: TokenForm = { prefix: "quoratejoin1.", printer: '"quorate join-token"' };
    const token = { cluster: "prod", addresses: ["10.0.0.1"], port: 8006, expiresAt: 1 };
    const secrets = { fingerprint: new Uint8Array(32), secret: new Uint8Array(16) };
    expect(cutTokenText(encodeToken({ ...token, ...secrets }), other)).toContain("of another kind");
    expect(cutTokenText("eFgH01jKlMnOpQrStUvW")).toContain("give it in small letters");
  });

  test.each([
    ...["quorate", "pve1", "PVE1", "quorate1.example.org", "10.0.0.1", "fd00::1", "a.b-c.example"],
    ...["Compute-Node-01.Datacenter.example.org", "a-node-with-a-rather-long-name-12", ""],
  ])("%p may be a name or an address", (word) => expect(cutTokenText(word)).toBe(""));

  test("nothing that is pasted makes it throw", () => {
    fc.assert(
      fc.property(fc.string(), fc.base64String(), (text, code) => {
        cutTokenText(text);
        expect(decodeToken(text).ok).toBe(false);
        expect(decodeToken(`quorate1.${code}`).ok).toBe(false);
      }),
    );
    expect(decodeToken(`quorate1.${"A".repeat(9000)}`)).toMatchObject({ ok: false });
  });
});

const invite: Invite = {
  cluster: "lab",
  secretHash: "a".repeat(64),
  createdAt: 1000,
  expiresAt: 2000,
  used: undefined,
};
const asked = { cluster: "lab", commonName: "lab", requestHash: "c".repeat(64) };

describe("the decision", () => {
  test("finds the one invitation of the secret, while it lasts", () => {
    const others = [{ ...invite, secretHash: "b".repeat(64) }, invite];
    expect(findInvite(others, invite.secretHash, 1999)).toBe(invite);
    expect(findInvite(others, invite.secretHash, 2000)).toMatchObject({ code: "expired" });
    expect(findInvite(others, "0".repeat(64), 1500)).toMatchObject({ code: "secret" });
    expect(findInvite(others, "", 1500)).toMatchObject({ code: "secret" });
  });

  test("once, for one name; the same request again", () => {
    expect(checkRequest(invite, asked)).toEqual({ kind: "issue" });
    expect(checkRequest(invite, { ...asked, cluster: "Lab" })).toMatchObject({ code: "cluster" });
    expect(checkRequest(invite, { ...asked, commonName: "*" })).toMatchObject({ code: "request" });
    const used = {
      ...invite,
      used: { requestHash: asked.requestHash, certificate: "AA==", at: 1 },
    };
    expect(checkRequest(used, asked)).toEqual({ kind: "repeat", certificate: "AA==" });
    expect(checkRequest(used, { ...asked, requestHash: "d".repeat(64) })).toMatchObject({
      code: "used",
    });
    for (const each of [invite, used]) {
      expect(decodeInvite(encodeInvite(each))).toEqual({ ok: true, value: each });
    }
  });

  test("what lies on disk is read with care", () => {
    expect(decodeInvite("x".repeat(inviteBytesMax + 1)).ok).toBe(false);
    const value = JSON.parse(encodeInvite(invite)) as Record<string, unknown>;
    for (const key of ["cluster", "secretHash", "createdAt", "expiresAt"]) {
      expect(decodeInvite(JSON.stringify({ ...value, [key]: -1 })).ok).toBe(false);
    }
    expect(decodeInvite(JSON.stringify({ ...value, used: { at: 1 } })).ok).toBe(false);
    fc.assert(fc.property(fc.json(), (text) => expect(decodeInvite(text).ok).toBe(false)));
  });
});

describe("the messages", () => {
  const all = (frame: Uint8Array): string => {
    const text = new EnrolmentFrame(1 << 16).push(frame);
    if (text?.ok !== true) throw new Error("not whole");
    return text.value;
  };

  test("come back as they went, in pieces of any size", () => {
    const some = fc.uint8Array({ minLength: 1, maxLength: 300 });
    fc.assert(
      fc.property(some, some, fc.string(), fc.integer({ min: 1, max: 50 }), (a, b, name, step) => {
        const request = { secret: a, cluster: name, request: b };
        const frame = new EnrolmentFrame(1 << 16);
        const whole = encodeRequest(request);
        let text: ReturnType<EnrolmentFrame["push"]>;
        for (let at = 0; at < whole.length; at += step) {
          expect(text).toBeUndefined();
          text = frame.push(whole.subarray(at, at + step));
        }
        if (text?.ok !== true) throw new Error("not whole");
        expect(decodeRequest(text.value)).toEqual({ ok: true, value: request });
        expect(decodeOffer(all(encodeOffer({ authority: a })))).toEqual({
          ok: true,
          value: { authority: a },
        });
        const answers = [
          { kind: "signed", certificate: b },
          { kind: "refuse", code: "used", reason: name },
        ] as const;
        for (const answer of answers) {
          expect(decodeAnswer(all(encodeAnswer(answer)))).toEqual({ ok: true, value: answer });
        }
      }),
    );
  });

  test("a length beyond the limit, or bytes behind the end, are refused at once", () => {
    expect(new EnrolmentFrame(10).push(Uint8Array.of(0, 0, 0, 11))).toMatchObject({ ok: false });
    expect(new EnrolmentFrame(10).push(Uint8Array.of(0, 0, 0, 1, 1, 1))).toMatchObject({
      ok: false,
    });
    expect(new EnrolmentFrame(10).push(Uint8Array.of(0, 0, 0))).toBeUndefined();
  });

  test("foreign JSON is an answer of nobody", () => {
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), (text) => {
        for (const decode of [decodeOffer, decodeRequest, decodeAnswer]) {
          expect(decode(text).ok).toBe(false);
        }
      }),
    );
    expect(decodeOffer('{"version":2,"authority":"AA=="}')).toMatchObject({
      reason: expect.stringContaining("version 2"),
    });
  });
});

describe("admission", () => {
  const isIn = { kind: "admitted", evicted: undefined } as const;
  const isOut = { kind: "refused", why: "too many enrolments at the same time" } as const;

  test("few at once, of one network and in all: the oldest that has not asked makes room", () => {
    const admission = new EnrolmentAdmission();
    const { atOnceMax, atOncePerNetworkMax } = enrolmentLimits;
    for (let id = 0; id < atOncePerNetworkMax; id += 1) {
      expect(admission.admit(id, "10.0.0.1", 0)).toEqual(isIn);
      admission.asked(id);
    }
    expect(admission.admit(100, "::ffff:10.0.0.1", 0)).toEqual(isOut);
    for (let id = atOncePerNetworkMax; id < atOnceMax; id += 1) {
      expect(admission.admit(id, `10.0.1.${id}`, 0)).toEqual(isIn);
    }
    const oldest = atOncePerNetworkMax;
    expect(admission.admit(101, "10.0.2.1", 0)).toEqual({ kind: "admitted", evicted: oldest });
    expect(admission.admit(102, "10.0.2.1", 0)).toEqual({ kind: "admitted", evicted: oldest + 1 });
    // A network at its own limit gives up its own.
    expect(admission.admit(103, "10.0.2.1", 0)).toEqual({ kind: "admitted", evicted: 101 });
    expect(admission.connections).toBe(atOnceMax);
    for (let id = 0; id < 110; id += 1) admission.asked(id);
    expect(admission.admit(104, "10.0.3.1", 0)).toEqual(isOut);
    admission.leave(0);
    expect(admission.admit(104, "10.0.3.1", 0)).toEqual(isIn);
  });

  test("failures of one network shut it out for a while, and nobody else", () => {
    const admission = new EnrolmentAdmission();
    for (let count = 0; count < enrolmentLimits.failuresMax; count += 1) {
      expect(admission.admit(count, "fd00::1", 0)).toEqual(isIn);
      admission.leave(count);
      admission.failed(`fd00::${count}`, 0);
    }
    expect(admission.admit(7, "fd00::ffff", enrolmentLimits.memoryMs - 1).kind).toBe("refused");
    expect(admission.admit(8, "fd00:0:0:1::1", 1)).toEqual(isIn);
    expect(admission.admit(9, "fd00::1", enrolmentLimits.memoryMs)).toEqual(isIn);
  });

  test("remembers no more networks than its limit", () => {
    const admission = new EnrolmentAdmission();
    for (let at = 0; at < enrolmentLimits.networksMax * 2; at += 1) {
      admission.failed(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`, at);
    }
    expect(admission.remembered).toBe(enrolmentLimits.networksMax);
  });

  test("networks of addresses", () => {
    expect(originOf("192.0.2.7")).toBe("192.0.2.7");
    expect(originOf("::ffff:192.0.2.7")).toBe("192.0.2.7");
    expect(originOf("::1")).toBe("0:0:0:0::/64");
    expect(originOf("fe80::1%eth0")).toBe("fe80:0:0:0::/64");
    expect(originOf("2001:db8:0:5:6:7:8:9")).toBe("2001:db8:0:5::/64");
    expect(originOf("2001:db8::5:6")).toBe("2001:db8:0:0::/64");
  });
});
