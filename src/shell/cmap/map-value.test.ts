import { expect, test } from "bun:test";
import fc from "fast-check";
import { mapTypes } from "./map-entry.ts";
import { entryLine, parseValue, valueText } from "./map-value.ts";

const numbers = mapTypes.filter((type) => type !== "bin" && type !== "str");

const limits: readonly (readonly [type: (typeof numbers)[number], text: string, value: string])[] =
  [
    ["i8", "-128", "-128"],
    ["u16", " +65535 more", "65535"],
    ["u64", "-1", "18446744073709551615"],
    ["u64", "99999999999999999999", "18446744073709551615"],
    ["i64", "-99999999999999999999", "-9223372036854775808"],
    ["flt", "0.1", "0.100000"],
    ["flt", "1e40", "inf"],
    ["dbl", "-inf", "-inf"],
    ["dbl", "0x1.8p1", "3.000000"],
    ["dbl", ".5", "0.500000"],
    ["dbl", "1e22", "10000000000000000000000.000000"],
  ];

test.each(limits)("%s %s is %s", (type, text, value) => {
  expect(parseValue(type, text)).toEqual({ ok: true, value });
});

test("any text is a value or refused, and a value is a value again", () => {
  fc.assert(
    fc.property(fc.constantFrom(...numbers), fc.string(), (type, text) => {
      const parsed = parseValue(type, text);
      if (!parsed.ok) return parsed.reason.startsWith(text);
      const again = parseValue(type, parsed.value);
      return again.ok && again.value === parsed.value;
    }),
  );
});

test("any whole number is taken within its type's range, and refused outside", () => {
  const ranges = { i8: 8, u8: 8, i16: 16, u16: 16, i32: 32, u32: 32 } as const;
  const names = ["i8", "u8", "i16", "u16", "i32", "u32"] as const;
  fc.assert(
    fc.property(fc.constantFrom(...names), fc.bigInt(-(1n << 40n), 1n << 40n), (type, number) => {
      const bits = ranges[type];
      const fits = type.startsWith("i")
        ? BigInt.asIntN(bits, number) === number
        : BigInt.asUintN(bits, number) === number;
      return parseValue(type, String(number)).ok === fits;
    }),
  );
});

test("bytes are one printable line", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), (bytes) => {
      const value = Buffer.from(bytes).toString("base64");
      return /^[\x20-\x7e]+$/.test(valueText({ key: "a.b", type: "bin", value }));
    }),
  );
  expect(entryLine({ key: "a.b", type: "bin", value: "" }, true)).toBe("a.b (bin) = *empty*");
});
