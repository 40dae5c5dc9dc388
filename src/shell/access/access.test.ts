import { beforeEach, describe, expect, test } from "bun:test";
import { createHmac, createPublicKey } from "node:crypto";
import { TestingFiles } from "../../../test/double/fuse-files.ts";
import { Access, type LoginAnswer } from "./access.ts";
import { ApiTokens } from "./api-token.ts";
import { LoginAttempts } from "./attempts.ts";
import type { PasswordVerdict } from "./passwords.ts";
import { hotp, parseTotpUri } from "./second-factor.ts";
import { TicketKeys } from "./ticket-keys.ts";
import { UserFiles } from "./user-files.ts";

const day = 24 * 3600;
const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const recoveryCode = "1a2b-3c4d-5e6f-7a8b";

let files: TestingFiles;
let nowS = 0;
let pauses: number[] = [];
let warnings: string[] = [];
let clusterLog: string[] = [];
let verdict: PasswordVerdict | undefined;

beforeEach(() => {
  files = new TestingFiles();
  nowS = Math.floor(Date.now() / 1000);
  [pauses, warnings, clusterLog] = [[], [], []];
  verdict = undefined;
});

function keysOf(): TicketKeys {
  return new TicketKeys({
    files,
    isQuorate: () => files.isQuorate,
    now: () => nowS,
    log: (_, text) => warnings.push(text),
  });
}

async function checkPassword(_: string, password: string): Promise<PasswordVerdict> {
  return (
    verdict ??
    (password === "secret" ? { kind: "right" } : { kind: "wrong", reason: "a wrong password" })
  );
}

async function checkHash(hash: string, password: string): Promise<PasswordVerdict> {
  return hash === `hash-of-${password}`
    ? { kind: "right" }
    : { kind: "wrong", reason: "a wrong password" };
}

const warn = (text: string): void => {
  warnings.push(text);
};

function peopleOf(): { users: UserFiles; tokens: ApiTokens } {
  const users = new UserFiles(files);
  const [now, clock] = [() => nowS, () => nowS * 1000];
  return {
    users,
    tokens: new ApiTokens({ users, attempts: new LoginAttempts(), now, clock, warn }),
  };
}

function accessOf(attempts = new LoginAttempts(), check = checkPassword): Access {
  return new Access({
    ...peopleOf(),
    files,
    isQuorate: () => files.isQuorate,
    keys: keysOf(),
    attempts,
    passwords: { check, checkHash },
    now: () => nowS,
    clock: () => nowS * 1000,
    pause: async (ms) => pauses.push(ms),
    warn: (text) => warnings.push(text),
    clusterLog: (user, message) => clusterLog.push(`${user}: ${message}`),
  });
}

const login = (access: Access, password: string, more: object = {}) =>
  access.login({ user: "root@pam", password, address: "10.0.0.9", ...more });

function ticketOf(answer: LoginAnswer): string {
  if (answer.kind !== "granted" && answer.kind !== "half") throw new Error(answer.kind);
  return answer.ticket;
}

function request(ticket: string, method = "GET", csrf?: string) {
  const cookie = `PVEAuthCookie=${encodeURIComponent(ticket)}`;
  return {
    method,
    address: "10.0.0.9",
    headers: new Headers({ cookie, ...(csrf === undefined ? {} : { CSRFPreventionToken: csrf }) }),
  };
}

async function put(path: string, text: string): Promise<void> {
  await files.mkdir("priv");
  await files.create(path);
  await files.truncate(path, 0);
  await files.write(path, 0, new TextEncoder().encode(text));
}

async function withFactors(): Promise<void> {
  const secret = "00112233";
  const hash = createHmac("sha256", secret).update(recoveryCode).digest("hex");
  const user = {
    totp: [{ id: "1", entry: uri }],
    recovery: { secret, entries: [hash], created: 1 },
  };
  await put("priv/tfa.cfg", JSON.stringify({ users: { "root@pam": user } }));
}

function codeNow(steps = 0): string {
  const settings = parseTotpUri(uri);
  if (settings === undefined) throw new Error("no settings");
  return `totp:${hotp(settings, Math.floor(nowS / 30) + steps)}`;
}

describe("a login by password", () => {
  test("gives a ticket that is known, and the token for changes", async () => {
    const access = accessOf();
    const answer = await login(access, "secret");
    if (answer.kind !== "granted") return expect.unreachable();
    expect(answer.capabilities["dc"]).toMatchObject({ "Sys.Audit": 1, "Sys.Modify": 1 });
    expect(clusterLog).toEqual(["root@pam: successful auth for user 'root@pam'"]);
    const { ticket, csrfToken } = answer;
    const known = { ok: true, who: "root@pam", isToken: false } as const;
    const noToken = { ok: false, reason: "Permission denied - invalid csrf token" } as const;
    expect(await access.authenticate(request(ticket))).toEqual(known);
    expect(await access.authenticate(request(ticket, "POST", csrfToken))).toEqual(known);
    expect(await access.authenticate(request(ticket, "POST"))).toEqual(noToken);
    expect(await access.authenticate(request(ticket, "DELETE", `${csrfToken}x`))).toEqual(noToken);
    // Another node of the cluster, or the same after a restart, knows it too.
    expect(await accessOf().authenticate(request(ticket))).toEqual(known);
    expect([...files.entries.keys()].filter((path) => path.includes("tmp"))).toEqual([]);
  });

  test("is refused after three seconds, with one line and no secret", async () => {
    const access = accessOf();
    expect(await login(access, "hunter2")).toEqual({ kind: "refused" });
    expect(await login(access, "secret", { user: "eve@pam" })).toEqual({ kind: "refused" });
    expect(await login(access, "secret", { user: "a\nb@pam" })).toEqual({ kind: "refused" });
    expect(pauses).toEqual([3000, 3000, 3000]);
    expect(warnings).toEqual([
      "authentication failure; rhost=10.0.0.9 user=root@pam msg=a wrong password",
      "authentication failure; rhost=10.0.0.9 user=eve@pam msg=no such user",
      "authentication failure; rhost=10.0.0.9 user=a?b@pam msg=that is no user's name",
    ]);
    expect(clusterLog).toEqual([]);
  });

  test("is slowed after failures, and not even looked at then", async () => {
    const access = accessOf();
    for (let at = 0; at < 6; at += 1) await login(access, "wrong");
    expect(await login(access, "secret")).toEqual({ kind: "tooMany", waitMs: 2000 });
    expect(await login(access, "secret", { address: "10.0.0.8" })).toMatchObject({
      kind: "granted",
    });
    nowS += 2;
    expect(await login(access, "secret")).toMatchObject({ kind: "granted" });
  });

  test("guesses from everywhere at one moment are not all looked at", async () => {
    let looked = 0;
    const gate = Promise.withResolvers<undefined>();
    const access = accessOf(new LoginAttempts(), async () => {
      looked += 1;
      await gate.promise;
      return { kind: "wrong", reason: "a wrong password" };
    });
    const all = Array.from({ length: 80 }, (_, at) =>
      login(access, "guess", { address: `10.0.1.${at}` }),
    );
    const unheard = await Promise.all(all.slice(30));
    expect(new Set(unheard.map(({ kind }) => kind))).toEqual(new Set(["tooMany"]));
    gate.resolve(undefined);
    await Promise.all(all);
    expect(looked).toBe(30);
  });

  test("no more than 128 refusals wait", async () => {
    const gate = Promise.withResolvers<undefined>();
    let waiting = 0;
    const attempts = new LoginAttempts({
      ...{ freeFailures: 999, pauseMs: 0, pauseMsMax: 0, forgottenAfterMs: 1, userWindowMs: 1 },
      ...{ userFailures: 9999, entriesMax: 10, siteFreeFailures: 999 },
    });
    const wrong = async () => ({ kind: "wrong", reason: "x" }) as const;
    const access = new Access({
      ...peopleOf(),
      files,
      isQuorate: () => true,
      keys: keysOf(),
      attempts,
      passwords: { check: wrong, checkHash: wrong },
      now: () => nowS,
      clock: () => nowS * 1000,
      pause: async () => {
        waiting += 1;
        await gate.promise;
      },
      warn: () => undefined,
      clusterLog: () => undefined,
    });
    const all = Array.from({ length: 200 }, () => login(access, "wrong"));
    await Promise.race(all); // One that has not waited.
    expect(waiting).toBe(128);
    gate.resolve(undefined);
    await Promise.all(all);
  });

  test("a fault is said as such", async () => {
    verdict = { kind: "fault", reason: "the library libcrypt is missing" };
    expect(await login(accessOf(), "secret")).toEqual({
      kind: "fault",
      reason: "the library libcrypt is missing",
    });
    verdict = { kind: "busy" };
    expect(await login(accessOf(), "secret")).toMatchObject({ kind: "tooMany" });
  });

  test("without quorum and keys there is a sentence", async () => {
    files.isQuorate = false;
    const answer = await login(accessOf(), "secret");
    expect(answer.kind).toBe("fault");
    expect(answer.kind === "fault" ? answer.reason : "").toContain("while the node is quorate");
  });
});

describe("tickets", () => {
  test("a ticket is renewed by itself, and only for its own user", async () => {
    const access = accessOf();
    const ticket = ticketOf(await login(access, "secret"));
    nowS += 3600;
    const renewed = await login(access, ticket);
    expect(renewed.kind).toBe("granted");
    expect(ticketOf(renewed)).not.toBe(ticket);
    expect((await login(access, ticket, { user: "eve@pam" })).kind).toBe("refused");
    expect(await login(access, `${ticket.slice(0, -4)}AA==`)).toEqual({ kind: "refused" });
  });

  test("one of two hours ago is none; nor is one of another cluster", async () => {
    const access = accessOf();
    const ticket = ticketOf(await login(access, "secret"));
    const failed = { ok: false, reason: "Authentication failed!" } as const;
    nowS += 7199;
    expect((await access.authenticate(request(ticket))).ok).toBe(true);
    nowS += 1;
    expect(await access.authenticate(request(ticket))).toEqual(failed);
    nowS -= 7200;
    files = new TestingFiles();
    expect(await accessOf().authenticate(request(ticket))).toEqual(failed);
    await login(accessOf(), "secret");
    expect(await accessOf().authenticate(request(ticket))).toEqual(failed);
  });

  test("no ticket, tokens, nonsense", async () => {
    const access = accessOf();
    const of = (headers: Record<string, string>) =>
      access.authenticate({ method: "GET", address: "10.0.0.9", headers: new Headers(headers) });
    expect(await of({})).toEqual({ ok: false, reason: "No ticket" });
    const failed = { ok: false, reason: "Authentication failed!" } as const;
    expect(await of({ authorization: "PVEAPIToken=root@pam!a=b" })).toEqual(failed);
    expect(await of({ cookie: "PVEAuthCookie=nonsense" })).toEqual(failed);
  });
});

describe("the key pair", () => {
  const keyTimes = (at: number) => {
    for (const path of ["authkey.pub", "authkey.pub.old"]) {
      const entry = files.entries.get(path);
      if (entry !== undefined) entry.mtime = at;
    }
  };
  const publicKey = () => {
    const read = files.read("authkey.pub");
    return read.ok ? new TextDecoder().decode(read.value) : "";
  };

  test("is replaced after a day; tickets of the one before are good for their time", async () => {
    const access = accessOf();
    const first = ticketOf(await login(access, "secret"));
    const firstKey = publicKey();
    expect(createPublicKey(firstKey).asymmetricKeyDetails?.modulusLength).toBe(2048);
    keyTimes(nowS - day);
    const second = ticketOf(await login(access, "secret"));
    expect(publicKey()).not.toBe(firstKey);
    expect((await access.authenticate(request(first))).ok).toBe(true);
    expect((await access.authenticate(request(second))).ok).toBe(true);
    expect(warnings).toEqual([
      "a new key pair for login tickets: there is none",
      "a new key pair for login tickets: it is a day old",
    ]);
  });

  test("stays without quorum, and its life is extended", async () => {
    const access = accessOf();
    await login(access, "secret");
    const key = publicKey();
    keyTimes(nowS - 2 * day);
    files.isQuorate = false;
    const ticket = ticketOf(await login(access, "secret"));
    expect(publicKey()).toBe(key);
    expect((await access.authenticate(request(ticket))).ok).toBe(true);
  });

  test("is replaced when a node ended between its two files, once for all who ask", async () => {
    const access = accessOf();
    await login(access, "secret");
    const old = publicKey();
    const pair = await keysOf().rotate();
    expect(pair.ok).toBe(true);
    expect(publicKey()).toBe(old);
    files.entries.get("authkey.pub")!.data = new TextEncoder().encode(old.replace("A", "B"));
    files.entries.get("authkey.pub")!.mtime += 1;
    const answers = await Promise.all([login(access, "secret"), login(access, "secret")]);
    for (const answer of answers) {
      expect((await access.authenticate(request(ticketOf(answer)))).ok).toBe(true);
    }
    expect(warnings.filter((text) => text.includes("belong together"))).toHaveLength(1);
  });
});

describe("the second factor", () => {
  test("is asked for after a right password, and its code is good once", async () => {
    await withFactors();
    const access = accessOf();
    const half = await login(access, "secret");
    expect(half.kind).toBe("half");
    expect(clusterLog).toEqual([]);
    const ticket = ticketOf(half);
    expect((await access.authenticate(request(ticket))).ok).toBe(false);
    expect(await login(access, ticket)).toEqual({ kind: "refused" });
    const challenge = { challenge: ticket };
    expect(await login(access, codeNow(5), challenge)).toEqual({ kind: "refused" });
    expect(await login(access, codeNow(), challenge)).toMatchObject({ kind: "granted" });
    expect(clusterLog).toEqual(["root@pam: successful auth for user 'root@pam'"]);
    expect(await login(access, codeNow(), challenge)).toEqual({ kind: "refused" });
    expect(await login(access, codeNow(-1), challenge)).toEqual({ kind: "refused" });
    const recovery = `recovery:${recoveryCode}`;
    expect(await login(access, recovery, challenge)).toMatchObject({ kind: "granted" });
    expect(await login(access, recovery, challenge)).toEqual({ kind: "refused" });
  });

  test("needs the half ticket of that user", async () => {
    await withFactors();
    const access = accessOf();
    const half = { challenge: ticketOf(await login(access, "secret")) };
    const eve = await login(access, codeNow(), { ...half, user: "eve@pam" });
    expect(eve).toEqual({ kind: "refused" });
    files.entries.delete("priv/tfa.cfg");
    const whole = { challenge: ticketOf(await login(access, "secret")) };
    await withFactors();
    expect(await login(access, codeNow(), whole)).toEqual({ kind: "refused" });
    expect(await login(access, codeNow(), { challenge: "PVE:!tfa!x:00000000::AAAA" })).toEqual({
      kind: "refused",
    });
  });

  test("without quorum a time-based code is remembered here, and recovery codes wait", async () => {
    await withFactors();
    const access = accessOf();
    const challenge = { challenge: ticketOf(await login(access, "secret")) };
    files.isQuorate = false;
    expect(await login(access, `recovery:${recoveryCode}`, challenge)).toEqual({ kind: "refused" });
    expect(await login(access, codeNow(), challenge)).toMatchObject({ kind: "granted" });
    expect(await login(access, codeNow(), challenge)).toEqual({ kind: "refused" });
  });

  test("without quorum codes cannot be guessed on and on either", async () => {
    await withFactors();
    const access = accessOf();
    const challenge = { challenge: ticketOf(await login(access, "secret")) };
    files.isQuorate = false;
    const guess = (code: string, at: number) =>
      login(access, code, { ...challenge, address: `10.0.1.${at}` });
    for (let at = 0; at < 8; at += 1) {
      expect(await guess("totp:nothing", at)).toEqual({ kind: "refused" });
    }
    expect(await guess(codeNow(), 8)).toEqual({ kind: "refused" });
    expect(warnings.at(-1)).toContain("locked after too many wrong ones");
    files.isQuorate = true;
    expect(await guess(codeNow(), 9)).toMatchObject({ kind: "granted" });
  });

  test("a damaged file lets nobody in", async () => {
    await put("priv/tfa.cfg", "{");
    const answer = await login(accessOf(), "secret");
    expect(answer.kind === "fault" ? answer.reason : "").toContain("nobody is let in");
  });
});

describe("users of the tree", () => {
  const id = "ann@pve!mon";
  const secret = "6c0ea07d-5d4f-4d3c-9b0e-0d8c1a0b2c3d";
  const config = (enabled = 1, more = "") =>
    put("user.cfg", `user:ann@pve:${enabled}:0::::::\ntoken:${id}:0:1::\n${more}`);
  const asked = (access: Access, token: string, address = "10.0.0.9") =>
    access.authenticate({
      method: "POST",
      address,
      headers: new Headers({ authorization: `PVEAPIToken=${token}` }),
    });
  const failed = { ok: false, reason: "Authentication failed!" } as const;

  async function people(): Promise<Access> {
    await config();
    await put("priv/shadow.cfg", "ann:hash-of-secret:\n");
    await put("priv/token.cfg", `${id} ${secret}\nroot@pam!all ${secret}\n`);
    return accessOf();
  }

  test("a user of the realm pve logs in by its hash, and not once it is disabled or its time is over", async () => {
    const access = await people();
    const ann = (password: string) => login(access, password, { user: "ann@pve" });
    expect(await ann("wrong")).toEqual({ kind: "refused" });
    const answer = await ann("secret");
    expect(answer).toMatchObject({ kind: "granted", user: "ann@pve", capabilities: { dc: {} } });
    const ticket = ticketOf(answer);
    expect(await access.authenticate(request(ticket))).toEqual({
      ...{ ok: true, who: "ann@pve", isToken: false },
    });
    await config(0);
    expect(await access.authenticate(request(ticket))).toEqual(failed);
    expect(await ann("secret")).toEqual({ kind: "refused" });
    await put("user.cfg", `user:ann@pve:1:${nowS - 1}::::::\n`);
    expect(await access.authenticate(request(ticket))).toEqual(failed);
    await put("user.cfg", "");
    expect(await access.authenticate(request(ticket))).toEqual(failed);
    expect(warnings.join("\n")).toContain("user=ann@pve msg=the user is disabled");
    expect(warnings.join("\n")).not.toContain("secret");
  });

  test("root's ticket makes tickets for others, another's only its own", async () => {
    const access = await people();
    const root = ticketOf(await login(access, "secret"));
    const ann = ticketOf(await login(access, root, { user: "ann@pve" }));
    expect(await login(access, ann, { user: "ann@pve" })).toMatchObject({ kind: "granted" });
    verdict = { kind: "wrong", reason: "a wrong password" };
    expect(await login(access, ann)).toEqual({ kind: "refused" });
  });

  test("a login is checked for privileges", async () => {
    const access = await people();
    await config(1, "acl:1:/nodes:ann@pve:PVEAuditor:\n");
    const wanted = (path: string) => ({
      user: "ann@pve",
      wanted: { path, privileges: ["Sys.Audit"] },
    });
    expect(await login(access, "secret", wanted("/nodes/a"))).toMatchObject({ kind: "granted" });
    expect(await login(access, "secret", wanted("/"))).toEqual({ kind: "refused" });
  });

  test("a token is good until it, its secret or its user is gone, disabled or over", async () => {
    const access = await people();
    const good = { ok: true, who: id, isToken: true } as const;
    const token = `${id}=${secret}`;
    expect(await asked(access, token)).toEqual(good);
    for (const bad of [
      ...[`${id}=${secret}x`, `${id}=`, id, "", `ann@pve=${secret}`, `ann@pve!no=${secret}`],
      // A secret without an entry in user.cfg.
      `root@pam!all=${secret}`,
    ]) {
      expect(await asked(access, bad, "10.0.0.1")).toEqual(failed);
      expect(await asked(access, token)).toEqual(good);
    }
    await put("priv/token.cfg", `${id} another\n`);
    expect(await asked(access, token)).toEqual(failed);
    await people();
    await config(0);
    expect(await asked(access, token)).toEqual(failed);
    await put("user.cfg", `user:ann@pve:1:0::::::\ntoken:${id}:${nowS - 1}:1::\n`);
    expect(await asked(access, token)).toEqual(failed);
    await put("user.cfg", `user:ann@pve:1:0::::::\ntoken:${id}:${nowS + 1}:1::\n`);
    expect(await asked(access, token)).toEqual(good);
    expect(warnings.join("\n")).toContain(`token=${id} msg=a wrong secret`);
    expect(warnings.join("\n")).not.toContain(secret);
  });

  test("guessed tokens are slowed, apart from logins", async () => {
    const access = await people();
    for (let at = 0; at < 6; at += 1) await asked(access, `${id}=${at}`);
    expect(await asked(access, `${id}=${secret}`)).toEqual(failed);
    expect(await login(access, "secret", { user: "ann@pve" })).toMatchObject({ kind: "granted" });
    expect((await asked(access, `${id}=${secret}`, "10.0.0.10")).ok).toBe(true);
    nowS += 3;
    expect((await asked(access, `${id}=${secret}`)).ok).toBe(true);
  });

  test("a realm that demands a second factor lets nobody in without one", async () => {
    const access = await people();
    await put("domains.cfg", "pve: pve\n\ttfa type=oath\n");
    expect(await login(access, "secret", { user: "ann@pve" })).toEqual({ kind: "refused" });
    const factors = { totp: [{ id: "1", entry: uri }] };
    await put("priv/tfa.cfg", JSON.stringify({ users: { "ann@pve": factors } }));
    expect(await login(access, "secret", { user: "ann@pve" })).toMatchObject({ kind: "half" });
    const otp = (code: string) => login(access, "secret", { user: "ann@pve", otp: code });
    expect(await otp("yubico:x")).toEqual({ kind: "refused" });
    expect(await otp(codeNow())).toMatchObject({ kind: "granted" });
    await put("domains.cfg", "pve: pve\n\ttfa type=yubico\n");
    const half = await login(access, "secret", { user: "ann@pve" });
    expect(decodeURIComponent(ticketOf(half))).toContain('{"yubico":true}');
    await put("domains.cfg", "pve: pve\n\ttfa whatever\n");
    expect(await login(access, "secret", { user: "ann@pve" })).toEqual({ kind: "refused" });
  });

  test("a user.cfg that cannot be read lets nobody in", async () => {
    const access = await people();
    await files.remove("user.cfg");
    await files.mkdir("user.cfg");
    expect(await asked(access, `${id}=${secret}`)).toEqual(failed);
    expect(warnings.at(-1)).toContain("nobody can be let in: user.cfg");
  });
});
