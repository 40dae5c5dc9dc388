// Keys and signatures that minisign 0.11 made, every damage to them, and what no bytes may do.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { checkSignature, type PublicKey, readPublicKey, readSignature } from "./minisign.ts";

const message = Buffer.from('{"product":"quorate"}\n');
const pub = `untrusted comment: minisign public key FB8E04D922E08973
RWRzieAi2QSO+6b9+9HXVA1tx0EwojC7u42Nqq3JogaAJeKVE+rFaU6U
`;
const minisig = `untrusted comment: signature from minisign secret key
RURzieAi2QSO+6cFFBf3i44G2+GNShuUEteVgKqEHXh4xXQfhyC1UA+X426GlZC02oaVgp1uF+uTL0aqqaQMT4tJNGy3BVz52g4=
trusted comment: quorate test
R5x6d8kMKL27qZVNf5tE+sjJUX1Y+CIoA2O2WkPfTBKUHYmnp7z5tVKUkU7ukvGaa/0CAyYybRnE4TMgJjEHBQ==
`;
const oldForm = `untrusted comment: signature from minisign secret key
RWRzieAi2QSO++aBa9+t5AAnQyrWVvU3NmGwqcsWiXvAdl/Xv9jc0vWS5JQD/Rw6o3/5GrEP7Sk/GWOoisN3laWvBbMzpwpahQ0=
trusted comment: quorate test
ZFGABRnL2AuLcQvmiRBzAxGBunTOlr0B5yHYHP+cighDx/wE1T68LsBPktTXSWYmVhs1+3JoJ3bI+te+VmNVDg==
`;

function key(text = pub): PublicKey {
  const read = readPublicKey(text);
  if (!read.ok) throw new Error(read.reason);
  return read.value;
}

/** The sentence why not, or "" when it holds. */
function problem(signed: Uint8Array, signature: string, keys = [key()]): string {
  const read = readSignature(Buffer.from(signature));
  if (!read.ok) return read.reason;
  const checked = checkSignature(signed, read.value, keys);
  return checked.ok ? "" : checked.reason;
}

describe("what minisign made", () => {
  test("holds, with its trusted comment", () => {
    const read = readSignature(Buffer.from(minisig));
    if (!read.ok) throw new Error(read.reason);
    expect(checkSignature(message, read.value, [key()])).toEqual({
      ok: true,
      value: "quorate test",
    });
  });

  test("has the id that minisign prints in the comment of the key", () => {
    expect(pub).toContain(`minisign public key ${key().id}`);
  });

  test("holds with Windows line ends, and with the key's base64 alone", () => {
    const bare = pub.split("\n")[1]!;
    expect(problem(message, minisig.replaceAll("\n", "\r\n"), [key(bare)])).toBe("");
  });

  test("of the old form is refused with what to do", () => {
    expect(problem(message, oldForm)).toContain("sign again without -l");
  });
});

describe("damage", () => {
  test("every flipped bit of the message is seen", () => {
    for (let bit = 0; bit < message.length * 8; bit += 1) {
      const altered = Buffer.from(message);
      altered[bit >> 3]! ^= 1 << (bit & 7);
      expect(problem(altered, minisig)).toContain("it was altered");
    }
  });

  test("every changed character of the signature is seen, but for the first line, which nobody signed", () => {
    const first = minisig.indexOf("\n") + 1;
    for (let at = first; at < minisig.length - 1; at += 1) {
      const other = minisig[at] === "A" ? "B" : "A";
      const altered = minisig.slice(0, at) + other + minisig.slice(at + 1);
      expect({ at, problem: problem(message, altered) }).not.toEqual({ at, problem: "" });
    }
  });

  test("every cut is seen", () => {
    for (let length = 0; length < minisig.length - 1; length += 1)
      expect(problem(message, minisig.slice(0, length))).not.toBe("");
  });

  test("another key is named, and the same id with another key does not hold", () => {
    const other: PublicKey = { ...key(), id: "0123456789ABCDEF" };
    expect(problem(message, minisig, [other])).toContain("not by 0123456789ABCDEF");
    const impostor: PublicKey = { id: key().id, key: new Uint8Array(32).fill(9) };
    expect(problem(message, minisig, [impostor])).not.toBe("");
    expect(problem(message, minisig, [])).toContain("not by a key known here");
  });
});

describe("any bytes", () => {
  test("are a sentence, never an exception", () => {
    const lines = fc.array(fc.oneof(fc.string(), fc.constantFrom(...minisig.split("\n"))));
    const some = fc.oneof(
      fc.uint8Array({ maxLength: 5000 }),
      lines.map((each) => Buffer.from(each.join("\n"))),
    );
    fc.assert(
      fc.property(some, (bytes) => {
        const read = readSignature(bytes);
        if (read.ok) expect(checkSignature(bytes, read.value, [key()]).ok).toBe(false);
        else expect(read.reason).not.toBe("");
        expect(readPublicKey(Buffer.from(bytes).toString("latin1")).ok).toBe(false);
      }),
      { numRuns: 500 },
    );
  });

  test("a large file is refused before it is read as text", () => {
    expect(readSignature(new Uint8Array(1 << 20))).toMatchObject({ ok: false });
  });

  test("a key of another algorithm is refused", () => {
    const bytes = Buffer.from(pub.split("\n")[1]!, "base64");
    bytes.write("Xx", 0, "latin1");
    expect(readPublicKey(bytes.toString("base64"))).toMatchObject({
      ok: false,
      reason: expect.stringContaining("Ed25519") as string,
    });
  });
});
