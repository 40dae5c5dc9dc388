// A test helper: requests as the bytes that no decent client sends, drawn around any declared route: broken heads, bodies of the wrong type, size,
// encoding or depth, parameters given twice, broken cookies and tokens. Each has a parameter that no route has, twice, so that none is carried out.
import fc from "fast-check";
import type { Route } from "../../src/shell/api/route.ts";
import { type Drawn, type Given, malformed } from "./api-requests.ts";

export interface HostileRequest {
  /** What is wrong with it, besides its parameters. */
  readonly kind: string;
  readonly bytes: Uint8Array;
  /** Its method has answers without bodies. */
  readonly isHead: boolean;
  /** False: it says that more comes than does, and its sender ends. */
  readonly isWhole: boolean;
}

export interface Wire {
  /** "a: b" */
  readonly headers: readonly string[];
  /** Byte strings. */
  readonly method: string;
  readonly target: string;
  readonly body: string | undefined;
}

const noRoutesParameter = "zz=1";
const json = "Content-Type: application/json";
const form = "Content-Type: application/x-www-form-urlencoded";

function wireOf({ method, path, headers, body }: Drawn, credentials: readonly string[]): Wire {
  const isAsked = path.includes("?");
  return {
    method,
    target: `${path}${isAsked ? "&" : "?"}${noRoutesParameter}`,
    headers: [
      ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
      ...credentials,
    ],
    body: body === undefined ? undefined : byteString(body),
  };
}

function byteString(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function textOf({ method, target, headers, body }: Wire, lengthText?: string): string {
  const length = lengthText ?? (body === undefined ? undefined : String(body.length));
  const lines = [`${method} ${target} HTTP/1.1`, "Host: node", ...headers];
  if (length !== undefined) lines.push(`Content-Length: ${length}`);
  return `${lines.join("\r\n")}\r\n\r\n${body ?? ""}`;
}

/** Another head or body, or other bytes of the whole; undefined: `wire` as it is. */
type Change = (wire: Wire) => { readonly text: string; readonly isWhole?: boolean };
type Kind = readonly [name: string, changes: fc.Arbitrary<Change>];

const withHeaders =
  (...more: readonly string[]): Change =>
  (wire) => ({ text: textOf({ ...wire, headers: [...wire.headers, ...more] }) });
const withBody =
  (type: string, body: string): Change =>
  (wire) => ({ text: textOf({ ...wire, method: "POST", headers: [...wire.headers, type], body }) });
const withCredentials =
  (...lines: readonly string[]): Change =>
  (wire) => {
    const others = wire.headers.filter((line) => !/^(?:cookie|authorization|csrf)/i.test(line));
    return { text: textOf({ ...wire, headers: [...others, ...lines] }) };
  };

/** JSON's `text` in an encoding that JSON does not come in. */
function utf16(text: string): string {
  return Buffer.from(`\ufeff${text}`, "utf16le").toString("latin1");
}

const binary = fc
  .uint8Array({ minLength: 1, maxLength: 80 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"));
const headerText = binary.map((text) => text.replace(/[\r\n]/g, "?"));

const bodies: fc.Arbitrary<Change> = fc.oneof(
  fc
    .constantFrom(
      ...[
        "{",
        "[]",
        "null",
        '"zz"',
        "1e999",
        "\xff\xfe{}",
        '{"zz":"\\ud800"}',
        '{"zz":1}\0',
        "{}{}",
      ],
      ...[
        '{"zz":1,"zz":2}',
        '{"__proto__":{"zz":1},"zz":1}',
        '{"constructor":null,"zz":1}',
        '{"zz":1e999}',
      ],
      ...[
        "[".repeat(30_000),
        `{"zz":${'{"a":'.repeat(9000)}1${"}".repeat(9000)}}`,
        utf16('{"zz":1}'),
      ],
      ...[`{"zz":"${"\\u0000".repeat(9000)}"}`, `{${'"a":1,'.repeat(8000)}"zz":1}`],
    )
    .map((body) => withBody(json, body)),
  fc
    .constantFrom(
      ...["%zz=%", "=&=&", "a=1&a=2", "\0=\0", "a;b;c", "&".repeat(65_536), "%00=%00&%ff=%c0%80"],
      ...[
        Array.from({ length: 400 }, (_, at) => `p${at}=`).join("&"),
        `zz=${"%".repeat(60_000)}`,
        "\xff=\xfe",
      ],
    )
    .map((body) => withBody(form, body)),
  fc
    .tuple(
      fc.constantFrom(
        "multipart/form-data; boundary=a",
        "text/xml",
        "application/json; charset=utf-16",
        "*/*",
        "json",
        "",
      ),
      binary,
    )
    .map(([type, body]) => withBody(`Content-Type: ${type}`, body)),
);

const sizes: fc.Arbitrary<Change> = fc.oneof(
  fc
    .constantFrom(
      "65537",
      "999999999",
      "99999999999999999999",
      "-1",
      "+5",
      "1e3",
      "0x10",
      "5, 5",
      " ",
      "5;5",
    )
    .map((length): Change => (wire) => ({ text: textOf(wire, length), isWhole: false })),
  fc.constant<Change>((wire) => ({
    text: textOf({ ...wire, method: "POST", body: "a".repeat(70_000) }),
  })),
  // It ends before its body does.
  fc.nat(200).map((more): Change => (wire) => ({
    text: textOf({ ...wire, method: "POST" }, String((wire.body?.length ?? 0) + 1 + more)),
    isWhole: false,
  })),
  fc
    .constantFrom("chunked", "gzip, chunked", "chunked, identity", "xchunked", "\x0bchunked")
    .map((coding): Change => (wire) => ({
      text: textOf({ ...wire, headers: [...wire.headers, `Transfer-Encoding: ${coding}`] }),
      isWhole: false,
    })),
);

const heads: fc.Arbitrary<Change> = fc.oneof(
  fc
    .constantFrom(
      ...[
        "Expect: 100-continue",
        "Expect: nonsense",
        "Upgrade: websocket",
        "Connection: upgrade",
        "Upgrade: h2c",
      ],
      ...[
        "Host: other",
        "Host:",
        "X: a\0b",
        "X: \x7f",
        "no colon",
        ": no name",
        "X : space",
        " folded: yes",
        "X:\x01",
      ],
      ...[
        "Accept-Encoding: gzip, gzip, \xff",
        "Last-Event-ID: -1",
        "Range: bytes=0-",
        "PVEDisableProxy: 1",
      ],
      ...[
        "Content-Type: \xff",
        "Content-Encoding: gzip",
        "X-Forwarded-For: 127.0.0.1",
        "Trailer: Content-Length",
      ],
      ...[
        `X: ${"a".repeat(20_000)}`,
        Array.from({ length: 300 }, (_, at) => `X${at}: ${at}`).join("\r\n"),
      ],
    )
    .map((line) => withHeaders(line)),
  fc.tuple(headerText, headerText).map(([name, value]) => withHeaders(`${name}: ${value}`)),
  fc
    .constantFrom(
      "HTTP/1.0",
      "HTTP/0.9",
      "HTTP/2.0",
      "HTTP/1.9",
      "http/1.1",
      "HTTP/1.1 x",
      "",
      "ICY/1.1",
    )
    .map((version): Change => (wire) => ({
      text: textOf(wire).replace("HTTP/1.1", version),
      isWhole: false,
    })),
  fc
    .constantFrom(
      "*",
      "node:443",
      "http://node/api2/json/version?zz=1",
      "//",
      "",
      "/%",
      "/api2/json/\xff?zz=1",
      "/..//../?zz=1",
      "/api2/json/%2e%2e/x?zz=1",
      `/${"a".repeat(20_000)}`,
    )
    .map((target): Change => (wire) => ({ text: textOf({ ...wire, target }), isWhole: false })),
  fc
    .constantFrom("get", "TRACE", "CONNECT", "PRI", "M-SEARCH", "G\0T", "\u00e9", "X".repeat(5000))
    .map((method): Change => (wire) => ({ text: textOf({ ...wire, method }), isWhole: false })),
  fc.constantFrom("\n", "\r", "\n\r").map((end): Change => (wire) => ({
    text: textOf(wire).replaceAll("\r\n", end),
    isWhole: false,
  })),
);

const targets: fc.Arbitrary<Change> = fc
  .constantFrom(
    "zz=2",
    "%=%",
    "%00=1",
    "%ff=%c0%80",
    "a[]=1&a[]=2",
    "__proto__=1",
    "=",
    "&".repeat(2000),
    "_dc=1&_dc=2",
    "zz=%u0041",
    "zz=%F0%9F%92%A9",
    "node=other&node=n1",
  )
  .map((more): Change => (wire) => ({
    text: textOf({ ...wire, target: `${wire.target}&${more}` }),
  }));

const credentials: fc.Arbitrary<Change> = fc.oneof(
  fc
    .constantFrom(
      ...[
        "Cookie: PVEAuthCookie=",
        "Cookie: PVEAuthCookie=%",
        "Cookie: PVEAuthCookie=%ff",
        "Cookie: =;;;=; PVEAuthCookie",
      ],
      ...[
        "Cookie: PVEAuthCookie=PVE:root@pam:00000000::AAAA",
        "Cookie: PVEAuthCookie=PVE:root@pam:FFFFFFFF::====",
        "Cookie: PVEAuthCookie=PVE:%21tfa%21:67E0A1B2::AA",
      ],
      ...[`Cookie: PVEAuthCookie=${"A".repeat(9000)}`, `Cookie: ${"a=b; ".repeat(2500)}`],
      ...[
        "Authorization: PVEAPIToken=",
        "Authorization: PVEAPIToken=root@pam!a=b",
        "Authorization: PVEAPIToken=root@pam!aa=00000000-0000-0000-0000-000000000000",
      ],
      ...[
        "Authorization: Basic cm9vdDpyb290",
        "Authorization: PVEAPIToken root@pam\xff!aa=b",
        `Authorization: PVEAPIToken=${"!".repeat(9000)}`,
      ],
    )
    .map((line) => withCredentials(line)),
  headerText.map((text) => withCredentials(`Cookie: PVEAuthCookie=${text}`)),
  headerText.map((text) => withCredentials(`Authorization: PVEAPIToken=${text}`)),
  // The right cookie, and no CSRF token or a wrong one.
  fc
    .constantFrom("CSRFPreventionToken:", "CSRFPreventionToken: 67E0A1B2:AAAA", "X: y")
    .map((line): Change => (wire) => {
      const cookie = wire.headers.filter((each) => /^cookie/i.test(each));
      return withCredentials(...cookie, line)(wire);
    }),
);

const cut: fc.Arbitrary<Change> = fc
  .double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  .map((share): Change => (wire) => {
    const text = textOf(wire);
    return { text: text.slice(0, Math.floor(text.length * share)), isWhole: false };
  });

/** Some bytes are others; never "#", behind which the parameter that no route has would be gone. */
const spoilt: fc.Arbitrary<Change> = fc
  .array(
    fc.tuple(
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      fc.integer({ min: 0, max: 255 }).filter((byte) => byte !== 0x23),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((changes): Change => (wire) => {
    const bytes = Buffer.from(textOf(wire), "latin1");
    for (const [share, byte] of changes) bytes[Math.floor(bytes.length * share)] = byte;
    return { text: bytes.toString("latin1"), isWhole: false };
  });

const kinds: readonly Kind[] = [
  ["parameters", fc.constant<Change>((wire) => ({ text: textOf(wire) }))],
  ["body", bodies],
  ["size", sizes],
  ["head", heads],
  ["target", targets],
  ["credentials", credentials],
  ["cut", cut],
  ["spoilt", spoilt],
];

export const hostileKinds = kinds.map(([name]) => name);

/** `good`: for names of the path for which the route has something to say. `headers`: by which the caller is known. */
export function hostile(
  route: Route,
  good: Given,
  headers: readonly string[],
): fc.Arbitrary<HostileRequest> {
  const drawnWires = malformed(route, good).map((drawn) => wireOf(drawn, headers));
  return fc.constantFrom(...kinds).chain(([kind, changes]) =>
    fc.tuple(drawnWires, changes).map(([wire, change]) => {
      const { text, isWhole = true } = change(wire);
      return {
        kind,
        bytes: Buffer.from(text, "latin1"),
        isHead: text.startsWith("HEAD "),
        isWhole,
      };
    }),
  );
}
