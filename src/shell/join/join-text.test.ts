// What a person pastes to join: the original's join information and the one-time token, both ways and under every damage.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  decodeJoinInformation,
  encodeJoinInformation,
  type JoinInformation,
  looksLikeJoinInformation,
} from "./join-information.ts";
import {
  cutJoinTokenText,
  decodeJoinToken,
  encodeJoinToken,
  looksLikeJoinToken,
} from "./join-token.ts";
import { admit, decodeTokenRecord, encodeTokenRecord, isSpent, tokenPath } from "./token-record.ts";

const fingerprint = Array.from({ length: 32 }, (_, at) =>
  (at * 7 + 10).toString(16).padStart(2, "0"),
)
  .join(":")
  .toUpperCase();

const information: JoinInformation = {
  ipAddress: "192.168.15.91",
  fingerprint,
  peerLinks: { "0": "10.0.0.1", "1": "10.1.0.1" },
  totem: {
    cluster_name: "prod",
    config_version: "3",
    interface: { "0": { linknumber: "0" }, "1": { linknumber: "1" } },
    ip_version: "ipv4-6",
    secauth: "on",
    version: "2",
  },
};

const base64 = (object: unknown): string => Buffer.from(JSON.stringify(object)).toString("base64");

describe("join information", () => {
  test("is the text of Proxmox's page, byte for byte", () => {
    const text = encodeJoinInformation(information);
    expect(Buffer.from(text, "base64").toString()).toBe(
      `{"ipAddress":"192.168.15.91","fingerprint":"${fingerprint}",` +
        '"peerLinks":{"0":"10.0.0.1","1":"10.1.0.1"},"ring_addr":["10.0.0.1","10.1.0.1"],' +
        '"totem":{"cluster_name":"prod","config_version":"3","interface":{"0":{"linknumber":"0"},"1":{"linknumber":"1"}},' +
        '"ip_version":"ipv4-6","secauth":"on","version":"2"}}',
    );
    expect(looksLikeJoinInformation(text)).toBe(true);
    expect(decodeJoinInformation(text)).toEqual({ ok: true, value: information });
    expect(decodeJoinInformation(`${text.slice(0, 60)}\n ${text.slice(60)}\n`).ok).toBe(true);
  });

  test("of a page that wrote only the list of addresses is read, and a small fingerprint too", () => {
    const { peerLinks: _, ...rest } = information;
    const text = base64({
      ...rest,
      fingerprint: fingerprint.toLowerCase(),
      ring_addr: ["10.0.0.1", null, "10.2.0.1"],
    });
    const read = decodeJoinInformation(text);
    expect(read).toMatchObject({
      ok: true,
      value: { fingerprint, peerLinks: { "0": "10.0.0.1", "2": "10.2.0.1" } },
    });
  });

  test.each<[string, unknown, RegExp]>([
    ["no totem", { ipAddress: "10.0.0.1", fingerprint }, /no "totem" part/],
    ["a list", [1], /no "totem" part/],
    ["no fingerprint", { ...information, fingerprint: "AA:BB" }, /no usable fingerprint/],
    ["an address that is none", { ...information, ipAddress: "-rf /" }, /no usable ipAddress/],
    [
      "a link that cannot be",
      { ...information, peerLinks: { "8": "10.0.0.1" } },
      /no usable peerLinks/,
    ],
    ["a number in totem", { ...information, totem: { version: 2 } }, /no usable totem.version/],
    [
      "a control character",
      { ...information, totem: { cluster_name: "a\u001b[2J" } },
      /totem.cluster_name/,
    ],
    ["an interface that is text", { ...information, totem: { interface: "x" } }, /no usable totem/],
    [
      "a section where text stands",
      { ...information, totem: { version: { "0": {} } } },
      /no usable totem/,
    ],
    [
      "too many words",
      {
        ...information,
        totem: Object.fromEntries(Array.from({ length: 129 }, (_, at) => [`k${at}`, ""])),
      },
      /no usable totem/,
    ],
  ])("with %s is refused with what to do", (_, object, reason) => {
    const read = decodeJoinInformation(base64(object));
    expect(read.ok).toBe(false);
    if (!read.ok) expect(read.reason).toMatch(reason);
  });

  test("nothing that is pasted makes it throw, and too much is not read", () => {
    fc.assert(
      fc.property(fc.string(), fc.base64String(), fc.json(), (text, code, json) => {
        decodeJoinInformation(text);
        decodeJoinInformation(code);
        decodeJoinInformation(Buffer.from(json).toString("base64"));
      }),
    );
    expect(decodeJoinInformation("A".repeat(65_537)).ok).toBe(false);
    expect(looksLikeJoinInformation("pve1.example.org")).toBe(false);
    expect(looksLikeJoinInformation("2001:db8::1")).toBe(false);
  });
});

describe("the join token", () => {
  const token = {
    cluster: "prod",
    addresses: ["10.0.0.1", "fd00::1"],
    port: 8006,
    fingerprint: new Uint8Array(32).fill(7),
    secret: new Uint8Array(16).fill(9),
    expiresAt: 1_800_000_000,
  };

  test("comes back as it went, and is not taken for a vote server's invitation", () => {
    const text = encodeJoinToken(token);
    expect(text).toStartWith("quoratejoin1.");
    expect(looksLikeJoinToken(text)).toBe(true);
    expect(looksLikeJoinToken("quorate1.AbC")).toBe(false);
    expect(decodeJoinToken(text)).toEqual({ ok: true, value: token });
  });

  test("that was copied in part is no name of a machine", () => {
    const text = encodeJoinToken(token);
    const [beginning = "", code = ""] = text.split(".");
    for (const part of [beginning, code, code.slice(0, 70), `join1.${code}`]) {
      expect(cutJoinTokenText(part)).toEndWith(
        part === beginning || part === code
          ? 'copy the whole line that "quorate join-token" printed'
          : "give it in small letters",
      );
    }
    expect(decodeJoinToken(text.slice(0, 60))).toMatchObject({
      reason: expect.stringContaining("the token is cut, its end is missing"),
    });
    expect(["pve1", "pve1.example.org", "10.0.0.1"].map(cutJoinTokenText)).toEqual(["", "", ""]);
  });

  test("with a wrong letter says who prints the right one", () => {
    const text = encodeJoinToken(token);
    const damaged = `${text.slice(0, 30)}${text[30] === "A" ? "B" : "A"}${text.slice(31)}`;
    expect(decodeJoinToken(damaged)).toMatchObject({
      ok: false,
      reason: 'the token is damaged: copy the whole line that "quorate join-token" printed',
    });
  });
});

describe("a token's record", () => {
  const hash = "ab".repeat(32);
  const authority = "cd".repeat(32);
  const record = { hash, createdAt: 1000, expiresAt: 4600, by: "root@pam", authority };

  test("comes back as it went, and has no secret in its place or text", () => {
    expect(decodeTokenRecord(encodeTokenRecord(record))).toEqual(record);
    expect(tokenPath(hash)).toBe("priv/quorate/join-tokens/abababababababab");
  });

  test("that is damaged lets nobody in", () => {
    fc.assert(fc.property(fc.uint8Array(), (bytes) => decodeTokenRecord(bytes) === undefined));
    const text = (object: unknown) => new TextEncoder().encode(JSON.stringify(object));
    expect(decodeTokenRecord(text({ ...record, hash: "x" }))).toBeUndefined();
    expect(decodeTokenRecord(text({ ...record, node: "../etc" }))).toBeUndefined();
    expect(decodeTokenRecord(new Uint8Array(5000).fill(0x20))).toBeUndefined();
  });

  test("of another cluster lets nobody in, and neither does one that says of none which it is of", () => {
    const asked = { node: "pve2", nowS: 1001, authority };
    const { authority: _, ...unbound } = record;
    for (const [of, at] of [
      [{ ...record, authority: "ef".repeat(32) }, asked],
      [unbound, asked],
      [record, { ...asked, authority: undefined }],
    ] as const) {
      expect(admit(of, at)).toMatchObject({
        ok: false,
        reason: expect.stringContaining("made for another cluster"),
      });
    }
  });

  test("lets the first node in, the same one again, and no other", () => {
    expect(admit(record, { node: "pve2", nowS: 4599, authority }).ok).toBe(true);
    expect(admit({ ...record, node: "pve2" }, { node: "pve2", nowS: 4599, authority }).ok).toBe(
      true,
    );
    expect(
      admit({ ...record, node: "pve2" }, { node: "pve3", nowS: 4599, authority }),
    ).toMatchObject({
      ok: false,
      reason: expect.stringContaining("already taken by node 'pve2'"),
    });
  });

  test("says whether it is unknown, expired or used, and what to do", () => {
    expect(admit(undefined, { node: "pve2", nowS: 2000, authority })).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/does not know .*"quorate join-token"/),
    });
    expect(admit(record, { node: "pve2", nowS: 4600, authority })).toMatchObject({
      ok: false,
      reason: expect.stringContaining("expired on 1970-01-01 01:16:40 UTC"),
    });
    expect(
      admit({ ...record, node: "pve2", usedAt: 1500 }, { node: "pve2", nowS: 2000, authority }),
    ).toMatchObject({
      ok: false,
      reason: expect.stringContaining("was used by node 'pve2' on 1970-01-01 00:25:00 UTC"),
    });
    expect(isSpent(record, 4599)).toBe(false);
    expect(isSpent(record, 4600)).toBe(true);
  });
});
