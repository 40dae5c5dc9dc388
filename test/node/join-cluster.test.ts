// A join by command line at real nodes on the loopback: by password and by token, what is refused and why, and that nothing is changed then.
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { freshConf } from "../../src/shell/conf/fresh.ts";
import { type Ask, joinCommand, type JoinOptions } from "../../src/shell/command/cluster/join.ts";
import { joinInfoCommand, joinTokenCommand } from "../../src/shell/command/cluster/join-token.ts";
import { CommandFailure } from "../../src/shell/exit.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "./lone-node.ts";

const port = 18_016;
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
const patientMs = 240_000;

const member = new LoneNode("pve1");
const joiner = new LoneNode("pve2");

beforeAll(async () => {
  const links = [{ number: 0, address: member.address, priority: 0 }];
  const fresh = freshConf({ clusterName: "prod", node: { name: "pve1" }, links });
  if (!fresh.ok) throw new Error(fresh.reason);
  for (const path of [member.paths.conf, member.paths.shadow])
    mkdirSync(dirname(path), { recursive: true });
  // This machine may be busy with other tests.
  writeFileSync(
    member.paths.conf,
    fresh.value.replace("  token_coefficient", "  token: 10000\n  token_coefficient"),
  );
  writeFileSync(member.paths.authkey, new Uint8Array(256).fill(3), { mode: 0o400 });
  writeFileSync(member.paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
  for (const node of [member, joiner])
    node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  await member.statusWhen(({ quorum }) => quorum.quorate, "the member is quorate");
  await joiner.statusWhen(({ mode }) => mode === "standalone", "standalone");
  await until(
    async () => token().then(ready, (error: Error) => pending(error.message)),
    patientMs,
    "the cluster has an authority",
  );
}, patientMs);

afterAll(async () => {
  for (const node of [member, joiner]) await node.close();
});

async function output(run: (write: (text: string) => void) => Promise<number>): Promise<string> {
  let text = "";
  const code = await run((more) => {
    text += more;
  });
  return `${code}\n${text}`;
}

async function token(): Promise<string> {
  const made = await output((write) =>
    joinTokenCommand({
      root: member.root,
      lifetimeMs: undefined,
      list: false,
      revoke: undefined,
      json: true,
      write,
    }),
  );
  return String(JSON.parse(made.replace(/^0\n/, "")).text);
}

const questions: string[] = [];
const answering =
  (...answers: string[]): Ask =>
  async (question) => {
    questions.push(question);
    return answers.shift() ?? "";
  };

function joining(change: Partial<JoinOptions>, ask: Ask = answering()): Promise<string> {
  return output((write) =>
    joinCommand(
      {
        root: joiner.root,
        target: member.address,
        fingerprint: undefined,
        passwordFile: undefined,
        port,
        links: new Map([[0, joiner.address]]),
        nodeid: undefined,
        votes: undefined,
        force: false,
        dryRun: false,
        json: false,
        write,
        note: write,
        ...change,
      },
      ask,
    ),
  ).catch((error: unknown) => {
    if (error instanceof CommandFailure) return `${error.code}\n${error.message}`;
    throw error;
  });
}

async function nothingChanged(): Promise<void> {
  expect((await joiner.client.status()).mode).toBe("standalone");
  expect(existsSync(joiner.paths.conf)).toBe(false);
  expect(existsSync(joiner.paths.authkey)).toBe(false);
  expect(readdirSync(joiner.paths.operationDir)).not.toContain("changeover.json");
  const conf = Buffer.from(await member.client.read("corosync.conf")).toString();
  expect(conf).not.toContain("pve2");
}

describe("is refused, and nothing is changed:", () => {
  test.each<[string, Partial<JoinOptions>, Ask, RegExp]>([
    [
      "something else",
      { target: "/etc/passwd" },
      answering(),
      /^2\nthat is no name or address of a member/,
    ],
    [
      "a token without its end",
      { target: "quoratejoin1.AbCd" },
      answering(),
      /^2\nthe token is cut, its end is missing: copy the whole line/,
    ],
    [
      "the beginning of a token",
      { target: "quoratejoin1" },
      answering(),
      /^2\nthe token is cut: "quoratejoin1" is only its beginning; copy the whole line/,
    ],
    [
      "nobody there",
      { target: "127.0.0.1", port: 1 },
      answering(),
      /^1\nthe node at 127\.0\.0\.1:1 cannot be reached/,
    ],
    [
      "a fingerprint of another",
      { fingerprint: Array.from({ length: 32 }, () => "AA").join(":") },
      answering(),
      /^1\nthe node at .* is not trusted, and nothing was sent: it shows the certificate with the fingerprint/,
    ],
    [
      "a fingerprint that nobody accepts",
      {},
      answering("no"),
      /^1\n.*Fingerprint not verified, abort!/,
    ],
    [
      "a wrong password",
      {},
      answering("yes", "wrong"),
      /^1\n.*refused the login of root@pam: the password is wrong/,
    ],
    [
      "an address that is not here",
      { links: new Map([[0, "203.0.113.9"]]) },
      answering("yes", "secret"),
      /^1\n(?:.*\n)*.*link0: cannot use IP '203\.0\.113\.9', not found on local node!/,
    ],
    [
      "an address of a member",
      { links: new Map([[0, member.address]]) },
      answering("yes", "secret"),
      /^1\n(?:.*\n)*.*already used on link ring0_addr by node 'pve1'/,
    ],
    [
      "a nodeid of a member",
      { nodeid: 1 },
      answering("yes", "secret"),
      /^1\n(?:.*\n)*.*nodeid 1 already used by node 'pve1'/,
    ],
  ])(
    "%s",
    async (_, change, ask, reason) => {
      expect(await joining(change, ask)).toMatch(reason);
      await nothingChanged();
    },
    patientMs,
  );

  test(
    "guests, and --dry-run shows what would be done",
    async () => {
      const path = "nodes/pve2/qemu-server/100.conf";
      await joiner.client.put(path, new TextEncoder().encode("memory: 512\n"));
      const refused = await joining({ target: await token() });
      expect(refused).toMatch(/^1\n/);
      expect(refused).toContain("this host already contains virtual guests");
      expect(refused).toContain("the configuration of 100 stays in the backup only");
      await joiner.client.remove(path);
      const shown = await joining({ target: await token(), dryRun: true });
      expect(shown).toStartWith(`0\nWould join the cluster 'prod' with link 0: ${joiner.address}.`);
      expect(shown).toContain("+    name: pve2");
      expect(shown).toContain("none of them may fail");
      await nothingChanged();
    },
    patientMs,
  );
});

test(
  "joins by password after the fingerprint was accepted; the same again is success",
  async () => {
    questions.length = 0;
    await joiner.client.put("own.txt", new TextEncoder().encode("mine\n"));
    const said = await joining({}, answering("yes", "secret"));
    expect(said).toMatch(/^0\n/);
    expect(said).toContain("Join request OK, finishing setup locally\n");
    expect(said).toContain("waiting for quorum...\nOK\n");
    expect(said).toContain("/backup/config-");
    expect(said).toEndWith("successfully added node 'pve2' to cluster.\n");
    expect(questions[0]).toMatch(
      /^The authenticity of host '.*' can't be established\.\nX509 SHA256 key fingerprint is (?:[0-9A-F]{2}:){31}[0-9A-F]{2}\.\nAre you sure/,
    );
    expect(questions[1]).toBe(`Please enter superuser (root) password for '${member.address}': `);
    const status = await joiner.statusWhen(
      ({ quorum }) => quorum.totalVotes === 2,
      "a member with its vote",
    );
    expect(status).toMatchObject({ mode: "cluster", quorum: { quorate: true, expectedVotes: 2 } });
    expect(await joining({})).toBe("0\nThis node is a member of the cluster 'prod' already.\n");
    const known = await output((write) =>
      joinInfoCommand({ root: member.root, text: undefined, json: false, write }),
    );
    const line = known.replace(/^0\n/, "").trim();
    const explained = await output((write) =>
      joinInfoCommand({ root: member.root, text: line, json: false, write }),
    );
    expect(explained).toContain("cluster:      prod\n");
    expect(explained).toContain(`link 0:       ${member.address}\n`);
  },
  patientMs,
);
