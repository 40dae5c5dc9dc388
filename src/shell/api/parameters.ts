// Parameters of the network API as the original declares and refuses them (pvecm.md §4.1, §4.4): everything may arrive as text, booleans
// are 0 and 1, and the words of a refusal are those that its clients show. The last schema of each is what a handler gets, and what the
// API's description says (openapi/).
import * as v from "valibot";

/** A string of `min` to `max` characters. */
export function text(limits: { readonly min?: number; readonly max: number }) {
  const { min = 0, max } = limits;
  return v.pipe(
    v.union([v.string(), v.pipe(v.number(), v.transform(String))], "type check ('string') failed"),
    v.string(),
    v.minLength(min, `value must be at least ${min} characters long`),
    v.maxLength(max, `value may only be ${max} characters long`),
    v.check((value) => !value.includes("\0"), "value may not contain NUL"),
  );
}

/** A string in a form; `words`: as in "invalid format - value does not look like a valid …". */
export function formatted(max: number, pattern: RegExp, words: string) {
  return v.pipe(text({ max }), v.regex(pattern, words));
}

/** A string that `isRight`; `words`: why it is refused. */
export function checkedText(max: number, isRight: (text: string) => boolean, words: string) {
  return v.pipe(text({ max }), v.check(isRight, words));
}

/** The number of a guest. */
export function vmid() {
  return integer({ min: 100, max: 999_999_999 });
}

/** One of some words. */
export function oneOf<const W extends string>(words: readonly W[]) {
  return v.picklist(words, `value does not have a value in the enumeration '${words.join(", ")}'`);
}

/** A whole number. */
export function integer(limits: { readonly min?: number; readonly max?: number } = {}) {
  const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = limits;
  return v.pipe(
    v.union([v.string(), v.number()], "type check ('integer') failed"),
    v.check(
      (value) => /^[+-]?\d{1,15}$/.test(String(value)),
      (issue) => `type check ('integer') failed - got '${shown(issue.input)}'`,
    ),
    v.transform(Number),
    v.number(),
    v.integer(),
    v.minValue(min, `value must have a minimum value of ${min}`),
    v.maxValue(max, `value must have a maximum value of ${max}`),
  );
}

/** 0 or 1, and the words that the original takes for them. */
export function boolean() {
  return v.pipe(
    v.union([v.string(), v.number(), v.boolean()], "type check ('boolean') failed"),
    v.check(
      (value) => /^(?:0|1|no|off|false|yes|on|true)$/i.test(String(value)),
      (issue) => `type check ('boolean') failed - got '${shown(issue.input)}'`,
    ),
    v.transform((value) => isTrue(value)),
    v.boolean(),
  );
}

/** Of what `boolean` takes. */
export function isTrue(value: unknown): boolean {
  return /^(?:1|yes|on|true)$/i.test(String(value));
}

/** The name of a node: a label of a host name. */
export function nodeName() {
  return formatted(
    63,
    /^[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?$/,
    "invalid format - value does not look like a valid node name",
  );
}

/** May be absent, and is undefined in the handler then. */
export const optional = v.optional;

/** A schema by name. */
export type Parameters = Readonly<Record<string, v.GenericSchema<unknown, unknown>>>;
export type ParametersOf<S extends Parameters> = v.InferOutput<v.ObjectSchema<S, undefined>>;

export type Checked<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly errors: Readonly<Record<string, string>> };

/** Holds what came against what a route declares; the errors are by parameter. */
export function checkParameters<const S extends Parameters>(
  declared: S,
  given: Readonly<Record<string, unknown>>,
): Checked<ParametersOf<S>> {
  const isKnown = (name: string) => Object.hasOwn(declared, name);
  // JSON's null is what is absent elsewhere.
  const present = Object.entries(given).filter(([, value]) => value !== null);
  const known = Object.fromEntries(present.filter(([name]) => isKnown(name)));
  const result = v.safeParse(v.object(declared), known, { abortPipeEarly: true });
  const unknown = present
    .filter(([name]) => !isKnown(name))
    .map(([name]) => [
      shown(name),
      "property is not defined in schema and the schema does not allow additional properties",
    ]);
  if (result.success && unknown.length === 0) return { ok: true, value: result.output };
  const wrong = (result.issues ?? []).map((issue) => {
    const key = issue.path?.[0]?.key;
    const name = typeof key === "string" ? key : "";
    const isMissing = !Object.hasOwn(known, name);
    return [name, isMissing ? "property is missing and it is not optional" : issue.message];
  });
  return { ok: false, errors: Object.fromEntries([...unknown, ...wrong]) };
}

/** Foreign text in an answer: short, and without what steers a terminal. */
function shown(value: unknown): string {
  return String(value)
    .replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "?")
    .slice(0, 64);
}
