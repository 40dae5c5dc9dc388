// The ways out: a webhook and a mail server that do everything that a hostile or broken one may, and a sendmail that fails where the real one does.
import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, TLSSocket } from "node:tls";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pem } from "../../qnetd/pki/pki.ts";
import { issueCertificate, newRsaKey } from "../certificates/x509.ts";
import type { Mail } from "./mail.ts";
import { sendBySendmail } from "./sendmail.ts";
import { sendBySmtp } from "./smtp.ts";
import { postWebhook } from "./webhook.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-alert-"));
const closing: (() => void)[] = [() => rmSync(directory, { recursive: true })];
afterAll(() => {
  for (const close of closing) close();
});

const dayMs = 86_400_000;
const key = await newRsaKey(2048);
function certificateFor(names: readonly string[], until = Date.now() + dayMs): string {
  return pem(
    "CERTIFICATE",
    issueCertificate({
      ...{ subject: [["commonName", names[0] ?? ""]], key, issuer: undefined, serial: 7n },
      ...{ from: new Date(Date.now() - 2 * dayMs), until: new Date(until) },
      ...{ kind: "server", alternativeNames: names },
    }),
  );
}
const good = certificateFor(["127.0.0.1"]);
const elsewhere = certificateFor(["192.0.2.1"]);
const privateKey = key.export({ format: "pem", type: "pkcs8" });

function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  closing.push(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return new Promise((resolve, reject) => {
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      if (address === null || typeof address === "string") reject(new Error("no port"));
      else resolve(address.port);
    });
  });
}

interface Heard {
  readonly requests: string[];
}

/** Answers each request with `answer`, once its head and as much of a body as it says has come. */
async function webServer(
  answer: (socket: Socket) => void,
  identity?: { readonly cert: string; readonly key: string },
): Promise<Heard & { readonly port: number }> {
  const requests: string[] = [];
  const handle = (socket: Socket): void => {
    let text = "";
    socket.on("error", () => undefined);
    socket.on("data", (bytes) => {
      text += bytes.toString();
      const [head = "", body = ""] = text.split("\r\n\r\n");
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (!text.includes("\r\n\r\n") || Buffer.byteLength(body) < length) return;
      requests.push(text);
      text = "";
      answer(socket);
    });
  };
  const server = identity === undefined ? createServer(handle) : createTlsServer(identity, handle);
  return { requests, port: await listen(server) };
}

const reply =
  (text: string) =>
  (socket: Socket): void => {
    socket.end(text);
  };
const saying =
  (text: string) =>
  (socket: Socket): void => {
    socket.write(text);
  };
const ok = reply("HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n");
const message = { source: "quorate", text: "a line" };
const post = (url: string, more: { waitMs?: number; authorities?: string } = {}) =>
  postWebhook({ url, headers: { Authorization: "Bearer T" } }, message, {
    ...{ waitMs: 10_000, authorities: "" },
    ...more,
  });
const reasonOf = (result: { readonly ok: boolean; readonly reason?: string }) =>
  result.ok ? "taken" : (result.reason ?? "");

test("a webhook gets one POST of JSON with the headers that are set", async () => {
  const { requests, port } = await webServer(ok);
  expect(await post(`http://127.0.0.1:${port}/hook?a=1`)).toEqual({ ok: true, value: undefined });
  expect(requests).toHaveLength(1);
  const [head = "", body = ""] = (requests[0] ?? "").split("\r\n\r\n");
  expect(head).toStartWith("POST /hook?a=1 HTTP/1.1");
  expect(head.toLowerCase()).toContain("content-type: application/json");
  expect(head.toLowerCase()).toContain("authorization: bearer t");
  expect(JSON.parse(body)).toEqual(message);
});

test("a redirect is not followed", async () => {
  const target = await webServer(ok);
  const { port } = await webServer(
    reply(
      `HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:${target.port}/\r\ncontent-length: 0\r\n\r\n`,
    ),
  );
  expect(reasonOf(await post(`http://127.0.0.1:${port}/`))).toContain(
    "sends elsewhere (HTTP status 307)",
  );
  expect(target.requests).toEqual([]);
});

test("a refusal is told with its first words, without what steers a terminal", async () => {
  const { port } = await webServer(
    reply("HTTP/1.1 403 Forbidden\r\ncontent-length: 12\r\n\r\nno \u001b[31mway\n"),
  );
  const reason = reasonOf(await post(`http://127.0.0.1:${port}/secret`));
  expect(reason).toContain("refused it (HTTP status 403): no  [31mway");
  expect(reason).not.toContain("secret");
});

test("an answer without an end is not read to its end", async () => {
  const { port } = await webServer((socket) => {
    socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    const piece = `10000\r\n${"x".repeat(65_536)}\r\n`;
    const more = (): void => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on("drain", more);
    more();
  });
  expect(await post(`http://127.0.0.1:${port}/`)).toEqual({ ok: true, value: undefined });
});

test.each([
  ["silence", () => undefined],
  ["a head that does not end", saying("HTTP/1.1 200 OK\r\nx-")],
  ["half an answer", saying("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nab")],
] as const)("%s has a time limit", async (_, answer) => {
  const { port } = await webServer(answer);
  expect(reasonOf(await post(`http://127.0.0.1:${port}/`, { waitMs: 300 }))).toContain(
    "has not answered within 0.3 s",
  );
});

test.each([
  ["no HTTP", reply("SSH-2.0-OpenSSH\r\n")],
  [
    "nothing at all",
    (socket: Socket): void => {
      socket.destroy();
    },
  ],
] as const)("%s is a failure", async (_, answer) => {
  const { port } = await webServer(answer);
  expect((await post(`http://127.0.0.1:${port}/`)).ok).toBe(false);
});

test("nobody listens", async () => {
  const server = createServer();
  const port = await listen(server);
  await new Promise((resolve) => server.close(resolve));
  expect(reasonOf(await post(`http://127.0.0.1:${port}/`))).toContain(
    "nothing listens at that address and port",
  );
});

test("TLS: an authority that is given, and nobody else's certificate, name or time", async () => {
  const right = await webServer(ok, { cert: good, key: privateKey });
  const url = `https://127.0.0.1:${right.port}/`;
  expect(await post(url, { authorities: good })).toEqual({ ok: true, value: undefined });
  expect(reasonOf(await post(url))).toContain("shows a certificate that is not trusted here");
  const other = await webServer(ok, { cert: elsewhere, key: privateKey });
  expect(
    reasonOf(await post(`https://127.0.0.1:${other.port}/`, { authorities: elsewhere })),
  ).toContain("shows a certificate that is not trusted here");
  const past = certificateFor(["127.0.0.1"], Date.now() - dayMs);
  const late = await webServer(ok, { cert: past, key: privateKey });
  expect(reasonOf(await post(`https://127.0.0.1:${late.port}/`, { authorities: past }))).toContain(
    "shows a certificate that is not trusted here",
  );
  expect([...other.requests, ...late.requests]).toEqual([]);
});

const mail: Mail = {
  from: "root@pve1",
  to: ["a@example.org", "b@example.org"],
  content: [
    "From: quorate <root@pve1>",
    "To: a@example.org",
    "Subject: s",
    "",
    "first",
    ".",
    "..last",
    "",
  ].join("\r\n"),
};

/** As sendmail, postfix, exim and msmtp take a mail; exits are those of sysexits.h. */
function standIn(name: string, extra = ""): string {
  const path = mkdtempSync(join(directory, `${name}-`));
  const script = `#!/bin/sh
out=${path}
[ "$1" = -i ] || { echo "without -i a dot ends the mail" >&2; exit 64; }
[ "$2" = -f ] || { echo "no sender" >&2; exit 64; }
case "$3" in *@*) ;; *) echo "bad sender $3" >&2; exit 65;; esac
[ "$4" = -- ] || { echo "no end of options" >&2; exit 64; }
shift 4
[ $# -gt 0 ] || { echo "no recipients" >&2; exit 64; }
for to; do case "$to" in -*) exit 64;; *@*) ;; *) echo "$to: unknown user" >&2; exit 67;; esac; done
cat > $out/mail
if tr -d '\\n' < $out/mail | grep -q "$(printf '\\r')"; then echo "bare CR" >&2; exit 65; fi
if awk 'length > 998 { bad = 1 } END { exit !bad }' $out/mail; then echo "line too long" >&2; exit 65; fi
sed '/^$/q' $out/mail | grep -q '^From: ' || { echo "no From" >&2; exit 65; }
grep -q '^$' $out/mail || { echo "no end of headers" >&2; exit 65; }
${extra}
printf '%s\\n' "$@" > $out/to
`;
  writeFileSync(join(path, "sendmail"), script);
  chmodSync(join(path, "sendmail"), 0o755);
  return path;
}
const withTools = (path: string) => `${path}:/usr/bin:/bin`;

test("sendmail gets the text and each recipient", async () => {
  const path = standIn("good");
  expect(await sendBySendmail(mail, { waitMs: 20_000, path: withTools(path) })).toEqual({
    ok: true,
    value: undefined,
  });
  expect(readFileSync(join(path, "mail"), "utf8")).toContain("\n\nfirst\n.\n..last\n");
  expect(readFileSync(join(path, "to"), "utf8")).toBe("a@example.org\nb@example.org\n");
});

test.each([
  ["exit 75", "it cannot take the mail now"],
  ["echo 'queue full' >&2; exit 75", "(queue full)"],
  ["exit 69", "its service does not run"],
  ["exit 3", "it ended with 3"],
  [
    "yes complaint | head -c 300000 >&2; exit 78",
    "its configuration is wrong (complaint complaint",
  ],
  ["kill -9 $$", "sendmail refused the mail"],
])("sendmail that ends by %j", async (extra, words) => {
  const path = standIn("bad", extra);
  expect(reasonOf(await sendBySendmail(mail, { waitMs: 20_000, path: withTools(path) }))).toContain(
    words,
  );
});

test("sendmail that does not read, or does not end, is killed; one that is not there is said", async () => {
  const path = mkdtempSync(join(directory, "hangs-"));
  writeFileSync(join(path, "sendmail"), "#!/bin/sh\nexec sleep 1000\n");
  chmodSync(join(path, "sendmail"), 0o755);
  const long = { ...mail, content: `${mail.content}${"x".repeat(500)}\r\n`.repeat(1000) };
  expect(reasonOf(await sendBySendmail(long, { waitMs: 500, path: withTools(path) }))).toContain(
    "has not ended within 0.5 s",
  );
  expect(reasonOf(await sendBySendmail(mail, { waitMs: 500, path: directory }))).toContain(
    "there is no sendmail on this machine",
  );
});

interface SmtpServer extends Heard {
  readonly port: number;
}

/** A mail server by its answers: what it says to a line; "TLS" begins TLS behind 220. */
async function smtpServer(
  answer: (line: string, isTls: boolean) => string | undefined,
  greeting: string | undefined = "220 mail ESMTP\r\n",
): Promise<SmtpServer> {
  const requests: string[] = [];
  const talk = (socket: Socket, isTls: boolean): void => {
    let text = "";
    let isData = false;
    socket.on("error", () => undefined);
    socket.on("data", (bytes: Buffer) => {
      text += bytes.toString();
      for (let end = text.indexOf("\r\n"); end >= 0; end = text.indexOf("\r\n")) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        requests.push(line);
        if (isData && line !== ".") continue;
        const isEnd = isData;
        isData = line === "DATA";
        const said = isEnd ? answer("END", isTls) : answer(line, isTls);
        if (said === undefined) continue;
        if (said !== "TLS") {
          socket.write(said);
          continue;
        }
        socket.removeAllListeners("data");
        socket.write("220 go\r\n");
        talk(new TLSSocket(socket, { isServer: true, cert: good, key: privateKey }), true);
      }
    });
  };
  const server = createServer((socket) => {
    if (greeting !== undefined) socket.write(greeting);
    talk(socket, false);
  });
  return { requests, port: await listen(server) };
}

const normal = (line: string): string =>
  line.startsWith("EHLO")
    ? "250-mail\r\n250 8BITMIME\r\n"
    : line === "DATA"
      ? "354 go on\r\n"
      : "250 ok\r\n";
const smtp = (
  port: number,
  more: { user?: string; waitMs?: number; authorities?: string; isTls?: boolean } = {},
) => {
  const { isTls = false, ...rest } = more;
  return sendBySmtp(mail, {
    server: { host: "127.0.0.1", port, isTls },
    ...{ user: "", password: "geheim", hostname: "pve1", waitMs: 10_000, authorities: "" },
    ...rest,
  });
};

test("SMTP: envelope, recipients, text with its dots", async () => {
  const { requests, port } = await smtpServer(normal);
  expect(await smtp(port)).toEqual({ ok: true, value: undefined });
  expect(requests.slice(0, 5)).toEqual([
    ...[
      "EHLO pve1",
      "MAIL FROM:<root@pve1>",
      "RCPT TO:<a@example.org>",
      "RCPT TO:<b@example.org>",
      "DATA",
    ],
  ]);
  expect(requests.slice(9, 13)).toEqual(["first", "..", "...last", "."]);
});

test.each([
  ["a greeting of refusal", "554 go away\r\n", "refused this machine (554): go away"],
  ["another protocol", "SSH-2.0-OpenSSH\r\n", "does not speak SMTP"],
  ["a line without an end", "220 ".padEnd(5000, "x"), "sends a line without an end"],
  ["lines without an end", "220-x\r\n".repeat(200), "does not speak SMTP"],
])("SMTP: %s", async (_, greeting, words) => {
  const { port } = await smtpServer(normal, greeting);
  expect(reasonOf(await smtp(port))).toContain(words);
});

test("SMTP: a recipient that is refused, silence, an end in the middle", async () => {
  const refuses = await smtpServer((line) =>
    line.includes("b@") ? "550 no \u001b[31mb\r\n" : normal(line),
  );
  expect(reasonOf(await smtp(refuses.port))).toContain(
    "refused RCPT TO:<b@example.org> (550): no  [31mb",
  );
  expect(refuses.requests).not.toContain("DATA");
  const silent = await smtpServer((line) => (line === "DATA" ? undefined : normal(line)));
  expect(reasonOf(await smtp(silent.port, { waitMs: 500 }))).toContain(
    "has not taken the mail within 0.5 s",
  );
  const full = await smtpServer((line) => (line === "END" ? "452 full\r\n" : normal(line)));
  expect(reasonOf(await smtp(full.port))).toContain("refused the message (452): full");
});

const withTls = (line: string, isTls: boolean): string => {
  if (line === "STARTTLS") return "TLS";
  if (line.startsWith("EHLO"))
    return isTls ? "250-mail\r\n250 AUTH PLAIN LOGIN\r\n" : "250-mail\r\n250 STARTTLS\r\n";
  if (line.startsWith("AUTH")) return "235 in\r\n";
  return normal(line);
};

test("SMTP: a login only over TLS that is trusted", async () => {
  const clear = await smtpServer((line) =>
    line.startsWith("EHLO") ? "250-mail\r\n250 AUTH PLAIN\r\n" : normal(line),
  );
  expect(reasonOf(await smtp(clear.port, { user: "u" }))).toContain(
    "offers no TLS, and a password is never sent without",
  );
  const server = await smtpServer(withTls);
  expect(reasonOf(await smtp(server.port, { user: "u" }))).toContain(
    "shows a certificate that is not trusted here",
  );
  expect(server.requests.join(" ")).not.toContain("AUTH");
  expect(await smtp(server.port, { user: "u", authorities: good })).toEqual({
    ok: true,
    value: undefined,
  });
  expect(server.requests).toContain(`AUTH PLAIN ${Buffer.from("\0u\0geheim").toString("base64")}`);
  // A refused login says nothing of the password.
  const refuses = await smtpServer((line, isTls) =>
    line.startsWith("AUTH") ? "535 no\r\n" : withTls(line, isTls),
  );
  const reason = reasonOf(await smtp(refuses.port, { user: "u", authorities: good }));
  expect(reason).toContain("refused the login (535): no");
  expect(reason).not.toContain(Buffer.from("\0u\0geheim").toString("base64"));
});

test("SMTP: what is said in the clear behind STARTTLS is not taken for the server's", async () => {
  const server = await smtpServer((line, isTls) =>
    line === "STARTTLS" ? "220 go\r\n250 injected\r\n" : withTls(line, isTls),
  );
  expect(reasonOf(await smtp(server.port, { user: "u", authorities: good }))).toContain(
    "sends more than its answer before TLS begins",
  );
});

test("SMTP with TLS from the first byte", async () => {
  const requests: string[] = [];
  const server = createTlsServer({ cert: good, key: privateKey }, (socket) => {
    socket.on("error", () => undefined);
    socket.write("220 mail\r\n");
    let isData = false;
    socket.on("data", (bytes: Buffer) => {
      for (const line of bytes.toString().split("\r\n").slice(0, -1)) {
        requests.push(line);
        if (isData && line !== ".") continue;
        isData = line === "DATA";
        socket.write(normal(line));
      }
    });
  });
  const port = await listen(server);
  expect(await smtp(port, { isTls: true, authorities: good })).toEqual({
    ok: true,
    value: undefined,
  });
  expect(reasonOf(await smtp(port, { isTls: true }))).toContain(
    "shows a certificate that is not trusted here",
  );
  expect(requests.filter((line) => line === "DATA")).toHaveLength(1);
});
