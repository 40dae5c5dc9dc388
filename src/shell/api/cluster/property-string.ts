// Values made of several ("type=secure,network=10.0.0.0/24"), as Proxmox's files and API have them: checked with the original's words. Pure.
import { type Result, failure, success } from "../../../result.ts";

export interface Property {
  readonly type: "string" | "boolean" | "integer" | "number";
  /** What a word without a key is. */
  readonly isDefault?: true;
  readonly isRequired?: true;
  readonly words?: readonly string[];
  readonly pattern?: RegExp;
  readonly min?: number;
  readonly max?: number;
  readonly charactersMax?: number;
}

export type PropertyFormat = Readonly<Record<string, Property>>;

/** By key; numbers stay text, as the original answers them. */
export type Properties = Readonly<Record<string, string | boolean>>;

/** A failure says what is wrong, as the refusal of a parameter does. */
export function parseProperties(format: PropertyFormat, text: string): Result<Properties> {
  // It is one line of a file.
  if (/[\n\r\0]/.test(text)) return failure("value may not have several lines");
  const found = new Map<string, string>();
  const defaultKey = Object.keys(format).find((key) => format[key]?.isDefault === true);
  for (const part of text.split(",")) {
    if (part.trim() === "") continue;
    const [, given, value] = /^([^=]+)=(.+)$/s.exec(part) ?? [];
    if (given === undefined && part.includes("=")) {
      return failure("missing key in comma-separated list property");
    }
    const key = given ?? defaultKey;
    if (key === undefined) {
      return failure("value without key, but schema does not define a default key");
    }
    if (!Object.hasOwn(format, key)) {
      return failure(`invalid key in comma-separated list property: ${key.slice(0, 64)}`);
    }
    if (found.has(key)) return failure(`duplicate key in comma-separated list property: ${key}`);
    found.set(key, value ?? part);
  }
  const faults = Object.entries(format).flatMap(([key, property]) => {
    const value = found.get(key);
    const fault = value === undefined ? absenceFault(property) : valueFault(property, value);
    return fault === "" ? [] : [`${key}: ${fault}`];
  });
  if (faults.length > 0) return failure(["format error", ...faults].join("\n"));
  const values = [...found].map(([key, value]): [string, string | boolean] => [
    key,
    format[key]?.type === "boolean" ? booleanOf(value) === true : value,
  ]);
  return success(Object.fromEntries(values));
}

function absenceFault({ isRequired }: Property): string {
  return isRequired === true ? "property is missing and it is not optional" : "";
}

/** "" when it is right. */
function valueFault(property: Property, value: string): string {
  const { type, words, pattern, min = -Infinity, max = Infinity, charactersMax } = property;
  const isNumber = type === "integer" ? /^[+-]?\d{1,15}$/ : /^[+-]?\d{1,15}(?:\.\d{1,15})?$/;
  switch (type) {
    case "boolean":
      return booleanOf(value) === undefined ? `type check ('boolean') failed - got '${value}'` : "";
    case "integer":
    case "number":
      if (!isNumber.test(value)) return `type check ('${type}') failed - got '${value}'`;
      if (Number(value) < min) return `value must have a minimum value of ${min}`;
      return Number(value) > max ? `value must have a maximum value of ${max}` : "";
    case "string":
      if (words !== undefined && !words.includes(value)) {
        return `value '${value}' does not have a value in the enumeration '${words.join(", ")}'`;
      }
      if (charactersMax !== undefined && value.length > charactersMax) {
        return `value may only be ${charactersMax} characters long`;
      }
      return pattern === undefined || pattern.test(value)
        ? ""
        : "value does not match the regex pattern";
  }
  return type satisfies never;
}

/** Of 0 and 1 and the words for them; undefined: neither. */
export function booleanOf(text: string): boolean | undefined {
  if (/^(?:1|on|yes|true)$/i.test(text)) return true;
  return /^(?:0|off|no|false)$/i.test(text) ? false : undefined;
}
