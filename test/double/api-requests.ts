// A test helper: requests for any declared route, good and malformed, drawn from what it declares.
import fc from "fast-check";
import type { Route } from "../../src/shell/api/route.ts";
import { type JsonSchema, jsonSchemaOf } from "../../src/shell/openapi/json-schema.ts";

export interface Drawn {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

export type Given = Readonly<Record<string, string>>;

export function basePath({ isOurs, path }: Pick<Route, "isOurs" | "path">): string {
  return `${isOurs === true ? "/api/v1" : "/api2/json"}${path}`;
}

export function nameOf(route: Pick<Route, "method" | "isOurs" | "path">): string {
  return `${route.method} ${basePath(route)}`;
}

export function schemasOf(route: Route): ReadonlyMap<string, JsonSchema> {
  const entries = Object.entries(route.parameters);
  return new Map(entries.map(([name, schema]) => [name, jsonSchemaOf(schema, "boolean")]));
}

export function requiredOf({ parameters }: Route): readonly string[] {
  return Object.entries(parameters)
    .filter(([, { type }]) => type !== "optional")
    .map(([name]) => name);
}

/** In the path what stands there, the rest where the method has it. */
export function drawn(route: Route, given: Given): Drawn {
  const inPath = new Set<string>();
  const path = basePath(route).replace(/\{(\w+)\}/g, (_, name: string) => {
    inPath.add(name);
    return encodeURIComponent(given[name] ?? "");
  });
  const rest = new URLSearchParams(Object.entries(given).filter(([name]) => !inPath.has(name)));
  const text = rest.toString();
  if (route.method === "GET" || route.method === "DELETE") {
    return {
      method: route.method,
      path: text === "" ? path : `${path}?${text}`,
      headers: {},
      body: undefined,
    };
  }
  const headers = { "content-type": "application/x-www-form-urlencoded" };
  return { method: route.method, path, headers, body: text };
}

/** As the local socket's or the door's listener makes it. */
export function requestOf({ method, path, headers, body }: Drawn): Request {
  const bytes = body === undefined ? undefined : new TextEncoder().encode(body);
  const hasBody = bytes !== undefined && method !== "HEAD" && method !== "GET";
  return new Request(`https://node.invalid${path}`, {
    method,
    headers: hasBody ? { ...headers, "content-length": String(bytes.length) } : { ...headers },
    ...(hasBody ? { body: bytes } : {}),
  });
}

/** A value that the schema takes, as text. */
export function goodValue(schema: JsonSchema): fc.Arbitrary<string> {
  const { type, pattern, minimum, maximum, minLength = 0, maxLength } = schema;
  const words = schema["enum"];
  if (Array.isArray(words)) return fc.constantFrom(...words.map(String));
  if (type === "integer") {
    const [min, max] = [
      Math.max(Number(minimum ?? 0), -1e9),
      Math.min(Number(maximum ?? 1e9), 1e9),
    ];
    return fc.integer({ min, max: Math.max(min, max) }).map(String);
  }
  if (type === "boolean") return fc.constantFrom("0", "1", "yes", "off");
  const [min, max] = [Number(minLength), Math.min(Number(maxLength ?? 64), 300)];
  const texts =
    typeof pattern === "string"
      ? fc.stringMatching(new RegExp(pattern))
      : fc.string({ minLength: min, maxLength: Math.max(min, Math.min(max, 24)) });
  return texts.filter((text) => text.length >= min && text.length <= max);
}

/** One that it refuses. */
export function badValue(schema: JsonSchema): fc.Arbitrary<string> {
  const { type, pattern, minLength, maxLength } = schema;
  if (Array.isArray(schema["enum"])) return fc.constantFrom("no such word", "");
  if (type === "integer") {
    return fc.constantFrom("", "one", "1.5", "0x10", "1e3", "9".repeat(30), "-", "1 2", "NaN");
  }
  if (type === "boolean") return fc.constantFrom("", "2", "maybe", "-1", "truee");
  const long = "a".repeat(Math.min(Number(maxLength ?? 1e5) + 1, 40_000));
  const texts = ["a\0b", "\0", ...(Number(maxLength ?? 1e5) < 40_000 ? [long] : [])];
  if (typeof pattern === "string") {
    const form = new RegExp(pattern);
    texts.push(...["a b", "€", "\u202e", "%", "\n", "-"].filter((text) => !form.test(text)));
  }
  if (Number(minLength ?? 0) > 0) texts.push("");
  return fc.constantFrom(...texts);
}

const oddName = fc.constantFrom(
  ...["__proto__", "constructor", "toString", "", " ", "node[]", "a.b", "%", "\0", "é", "_dc2"],
);
const oddValue = fc.oneof(
  fc.constantFrom("", "null", "{}", "[]", "../../etc/shadow", "\0", "\u202e", "0", "-1", "1e999"),
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.constant("x".repeat(5000)),
);
const oddSegment = fc.oneof(
  fc.constantFrom(
    "..%2f",
    "%00",
    "%2e%2e%2f",
    "%ff",
    "{node}",
    "__proto__",
    "%2f",
    "a".repeat(300),
  ),
  fc
    .string({ minLength: 1, maxLength: 12 })
    .filter((text) => text !== "." && text !== "..")
    .map(encodeURIComponent),
);

/**
 * A request near the route with at least one fault: a bad or unknown parameter, a path or method that is not there, or a body that cannot
 * be read. `good`: for names of the path for which the route has something to say.
 */
export function malformed(route: Route, good: Given): fc.Arbitrary<Drawn> {
  const schemas = schemasOf(route);
  const names = [...schemas.keys()];
  const isInPath = (name: string): boolean => route.path.includes(`{${name}}`);
  const some = fc.subarray(names.filter((name) => !isInPath(name)));
  const given = some.chain((chosen) =>
    fc.record(
      Object.fromEntries(
        names
          .filter((name) => isInPath(name) || chosen.includes(name))
          .map((name) => {
            const known = good[name];
            const schema = schemas.get(name) ?? {};
            const fine = known === undefined ? goodValue(schema) : fc.constant(known);
            return [
              name,
              fc.oneof({ weight: 3, arbitrary: fine }, { weight: 1, arbitrary: oddValue }),
            ];
          }),
      ),
    ),
  );
  const withUnknown = fc
    .tuple(given, oddName, oddValue)
    .map(([values, name, value]) => drawn(route, own({ ...values }, name, value)));
  const withBad =
    names.length === 0
      ? withUnknown
      : fc.tuple(given, fc.constantFrom(...names)).chain(([values, name]) =>
          badValue(schemas.get(name) ?? {})
            // A path with nothing between its slashes is another one.
            .filter((bad) => bad !== "" || !isInPath(name))
            .map((bad) => drawn(route, { ...values, [name]: bad })),
        );
  const elsewhere = fc
    .tuple(given, fc.array(oddSegment, { minLength: 2, maxLength: 4 }))
    .map(([values, segments]) => {
      const { path, ...rest } = drawn(route, values);
      const [where = "", query = ""] = path.split("?");
      return { ...rest, path: `${where}/${segments.join("/")}${query === "" ? "" : `?${query}`}` };
    });
  const otherwise = fc
    .tuple(given, fc.constantFrom("PATCH", "OPTIONS", "HEAD", "LINK", "CHECKOUT"))
    .map(([values, method]) => ({ ...drawn(route, values), method }));
  const unreadable = fc
    .tuple(
      given,
      fc.constantFrom("application/json", "multipart/form-data; boundary=a", "text/xml", "\u00e9"),
      fc.oneof(
        fc.constantFrom("{", "[]", "null", '"a"', "\xff\xfe", '{"__proto__":{"a":1},"zz":1}'),
        fc.string({ minLength: 1, maxLength: 60 }),
        fc.json({ maxDepth: 3 }).map((json) => `{"zz":[${json}]}`),
        fc.constant(`{"zz":${"[".repeat(5000)}${"]".repeat(5000)}}`),
      ),
    )
    .map(([values, type, body]) => {
      const base = drawn(route, values);
      const { method } = base;
      // A GET has no body: there it is an unknown parameter.
      if (method === "GET" || method === "DELETE") {
        return drawn(route, own({ ...values }, "zz", body.slice(0, 60)));
      }
      return { ...base, headers: { "content-type": type }, body };
    });
  return fc.oneof(withUnknown, withBad, elsewhere, otherwise, unreadable);
}

/** With `name` as a property of its own, "__proto__" too. */
function own(values: Record<string, string>, name: string, value: string): Given {
  return Object.fromEntries([...Object.entries(values), [name, value]]);
}
