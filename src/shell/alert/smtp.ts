// A mail by SMTP (RFC 5321): TLS from the first byte or by STARTTLS (RFC 3207), a login (RFC 4954) over TLS only, one message, within one time limit. What the
// server says is foreign text: bounded, and in a sentence at most.
import { connect, isIP, type Socket } from "node:net";
import { connect as connectTls, rootCertificates } from "node:tls";
import { type Result, failure, reasonOf, success } from "../../result.ts";
import { printable } from "../cli/text-table.ts";
import type { Mail } from "./mail.ts";
import type { MailServer } from "./settings.ts";

const replyLinesMax = 100;
const lineBytesMax = 2048;
const wordsCharactersMax = 200;

export interface SmtpOptions {
  readonly server: MailServer;
  /** "": no login. */
  readonly user: string;
  readonly password: string;
  /** How this machine calls itself. */
  readonly hostname: string;
  /** Milliseconds for all of it. */
  readonly waitMs: number;
  /** Certificates in PEM that count beside the system's; "": none. */
  readonly authorities: string;
}

class Refusal extends Error {}

interface Reply {
  readonly code: number;
  readonly lines: readonly string[];
}

/** Never rejects. Success: the server has taken the mail for every recipient. */
export async function sendBySmtp(mail: Mail, options: SmtpOptions): Promise<Result<undefined>> {
  const { host, port } = options.server;
  const session = new Session(options);
  try {
    await session.send(mail);
    return success(undefined);
  } catch (error) {
    const why = error instanceof Refusal ? error.message : faultText(error);
    return failure(`the mail server ${host}:${port} ${why}`);
  } finally {
    session.end();
  }
}

function faultText(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ECONNREFUSED") return "cannot be reached: nothing listens at that address and port";
  if (/ENOTFOUND|EAI/.test(code)) return "cannot be reached: its name is not known here";
  if (/CERT|SELF_SIGNED|VERIFY|TLS|SSL|ALTNAME/i.test(code)) {
    return `shows a certificate that is not trusted here (${code}): it must be good for that name and come from an authority that this machine, or quorate-alert-ca.pem of /etc/pve, knows`;
  }
  return `could not be used: ${printable(code || reasonOf(error)).slice(0, wordsCharactersMax)}`;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || (isIP(host) === 4 && host.startsWith("127."));
}

class Session {
  readonly #options: SmtpOptions;
  readonly #timer: ReturnType<typeof setTimeout>;
  #socket: Socket | undefined;
  #isTls = false;
  #buffer = "";
  #lines: string[] = [];
  #waiting:
    | { readonly resolve: (reply: Reply) => void; readonly reject: (error: unknown) => void }
    | undefined;
  /** While it is being opened. */
  #onFault: (error: unknown) => void = () => undefined;
  /** Of a connection that has failed while nobody waited. */
  #fault: unknown;

  constructor(options: SmtpOptions) {
    this.#options = options;
    this.#timer = setTimeout(
      () => this.#fail(new Refusal(`has not taken the mail within ${options.waitMs / 1000} s`)),
      options.waitMs,
    );
  }

  end(): void {
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  async send({ from, to, content }: Mail): Promise<void> {
    const { server, user } = this.#options;
    await this.#open(server);
    let abilities = await this.#greet();
    if (!this.#isTls && abilities.has("STARTTLS") && (user !== "" || !isLoopback(server.host))) {
      await this.#command("STARTTLS", [220]);
      await this.#secure();
      // What was said in the clear does not count.
      abilities = await this.#hello();
    }
    if (user !== "") await this.#login(abilities.get("AUTH") ?? "");
    await this.#command(`MAIL FROM:<${from}>`, [250]);
    for (const address of to) await this.#command(`RCPT TO:<${address}>`, [250, 251, 252]);
    await this.#command("DATA", [354]);
    // A line that begins with a dot gets another one.
    this.#write(`${content.replace(/^\./gm, "..").replace(/(?:\r\n)*$/, "")}\r\n.`);
    await this.#expect([250], "the message");
    // It is taken; how the rest goes does not matter.
    this.#write("QUIT");
  }

  async #open({ host, port, isTls }: MailServer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const begun = isTls ? connectTls({ host, port, ...this.#trust() }) : connect({ host, port });
    this.#use(begun);
    begun.once(isTls ? "secureConnect" : "connect", () => resolve(undefined));
    this.#onFault = reject;
    await promise;
    this.#isTls = isTls;
  }

  #trust() {
    const { server, authorities } = this.#options;
    return {
      ...(isIP(server.host) === 0 ? { servername: server.host } : {}),
      rejectUnauthorized: true,
      minVersion: "TLSv1.2" as const,
      ...(authorities === "" ? {} : { ca: [...rootCertificates, authorities] }),
    };
  }

  #use(socket: Socket): void {
    this.#socket = socket;
    socket.on("data", (bytes: Uint8Array) => this.#received(bytes));
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail(new Refusal("closed the connection")));
  }

  async #secure(): Promise<void> {
    const plain = this.#socket;
    if (plain === undefined) throw new Refusal("closed the connection");
    // Whatever came behind the answer came in the clear, from anybody.
    if (this.#buffer !== "" || this.#lines.length > 0) {
      throw new Refusal("sends more than its answer before TLS begins: somebody may be in between");
    }
    plain.removeAllListeners("data");
    plain.removeAllListeners("close");
    const { promise, resolve, reject } = Promise.withResolvers<undefined>();
    const secured = connectTls({
      socket: plain,
      host: this.#options.server.host,
      ...this.#trust(),
    });
    this.#use(secured);
    secured.once("secureConnect", () => resolve(undefined));
    this.#onFault = reject;
    await promise;
    this.#isTls = true;
  }

  async #greet(): Promise<ReadonlyMap<string, string>> {
    await this.#expect([220], "this machine");
    return this.#hello();
  }

  async #hello(): Promise<ReadonlyMap<string, string>> {
    const name = this.#options.hostname.replace(/[^A-Za-z0-9.-]/g, "") || "localhost";
    const { lines } = await this.#command(`EHLO ${name}`, [250]);
    return new Map(
      lines.slice(1).map((line) => {
        const [word = "", ...rest] = line.split(/[ =]/);
        return [word.toUpperCase(), rest.join(" ").toUpperCase()];
      }),
    );
  }

  async #login(offered: string): Promise<void> {
    const { user, password } = this.#options;
    if (!this.#isTls) throw new Refusal("offers no TLS, and a password is never sent without");
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const ways = offered.split(" ");
    if (ways.includes("PLAIN")) {
      await this.#command(`AUTH PLAIN ${base64(`\0${user}\0${password}`)}`, [235], "the login");
    } else if (ways.includes("LOGIN")) {
      await this.#command("AUTH LOGIN", [334], "the login");
      await this.#command(base64(user), [334], "the login");
      await this.#command(base64(password), [235], "the login");
    } else {
      throw new Refusal("offers no login by PLAIN or LOGIN; without smtp-user none is tried");
    }
  }

  /** `what`: in the refusal, in place of the command, which may hold a secret. */
  async #command(text: string, codes: readonly number[], what = text): Promise<Reply> {
    this.#write(text);
    return this.#expect(codes, what);
  }

  #write(text: string): void {
    this.#socket?.write(`${text}\r\n`);
  }

  async #expect(codes: readonly number[], what: string): Promise<Reply> {
    const reply = await this.#reply();
    if (codes.includes(reply.code)) return reply;
    const words = printable(reply.lines.join(" "), " ").slice(0, wordsCharactersMax);
    throw new Refusal(`refused ${what} (${reply.code}): ${words}`);
  }

  #reply(): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    if (this.#fault !== undefined) reject(this.#fault);
    else {
      this.#waiting = { resolve, reject };
      this.#take();
    }
    return promise;
  }

  #received(bytes: Uint8Array): void {
    this.#buffer += Buffer.from(bytes).toString("latin1");
    this.#take();
    if (this.#buffer.length > lineBytesMax * replyLinesMax) {
      this.#fail(new Refusal("sends an answer without an end: no mail server does"));
    }
  }

  /** Lines of the buffer, until they are a whole reply and somebody waits for it. */
  #take(): void {
    while (this.#waiting !== undefined) {
      const end = this.#buffer.indexOf("\n");
      if (end < 0) {
        if (this.#buffer.length > lineBytesMax) {
          this.#fail(new Refusal("sends a line without an end: no mail server does"));
        }
        return;
      }
      const line = this.#buffer.slice(0, end).replace(/\r$/, "");
      this.#buffer = this.#buffer.slice(end + 1);
      const match = /^(\d{3})(?:([ -])(.*))?$/.exec(line);
      if (match === null || this.#lines.length >= replyLinesMax) {
        return this.#fail(new Refusal("does not speak SMTP: is the port right?"));
      }
      this.#lines.push(match[3] ?? "");
      if (match[2] === "-") continue;
      const reply = { code: Number(match[1]), lines: this.#lines };
      this.#lines = [];
      const { resolve } = this.#waiting;
      this.#waiting = undefined;
      resolve(reply);
    }
  }

  /** The first one counts. */
  #fail(error: unknown): void {
    this.#fault ??= error;
    this.#onFault(this.#fault);
    this.#waiting?.reject(this.#fault);
    this.#waiting = undefined;
    this.#socket?.destroy();
  }
}
