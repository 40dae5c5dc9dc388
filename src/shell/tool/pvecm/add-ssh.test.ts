// `pvecm add --use_ssh` with an ssh of the test's own: what it is asked to run, and what becomes of its answers.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeJoinToken } from "../../join/join-token.ts";
import { serveAnswers } from "../../../../test/double/answering-node.ts";
import { pvecm } from "./pvecm.ts";

let root = "";
let server: Bun.Server<undefined> | undefined;
let joined: URLSearchParams | undefined;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-add-ssh-"));
  joined = undefined;
  server = serveAnswers({
    ...{ root, ends: () => "OK" },
    answer: async (request) => {
      joined = new URLSearchParams(await request.text());
      return Response.json({ data: { upid: "UPID:x" } });
    },
  });
});
afterEach(async () => {
  await server?.stop(true);
  rmSync(root, { recursive: true, force: true });
});

/** `script`: what stands in the place of ssh, with its words as "$@". */
async function add(host: string, script: string) {
  let [out, error] = ["", ""];
  const code = await pvecm({
    root,
    args: ["add", host, "--use_ssh", "--link0", "10.0.0.9"],
    write: (text) => void (out += text),
    writeError: (text) => void (error += text),
    programs: { ssh: ["sh", "-c", script, "ssh"], copyId: [] },
  });
  return { code, out, error };
}

const secret = new Uint8Array(16).fill(9);
const token = encodeJoinToken({
  ...{ cluster: "prod", addresses: ["10.0.0.1"], port: 8006, secret },
  ...{ fingerprint: new Uint8Array(32), expiresAt: 0xffff_ffff },
});

test("the member is asked for a join token, and the join goes with it", async () => {
  const [answered, asked] = [join(root, "answer"), join(root, "asked")];
  writeFileSync(answered, JSON.stringify({ text: token, id: "x", expiresAt: 1 }));
  const script = `printf '%s\n' "$@" >'${asked}'; cat '${answered}'`;
  expect(await add("pve1.example.org", script)).toEqual({
    ...{ code: 0, error: "", out: "asking 'pve1.example.org' for a join token over ssh\n" },
  });
  expect(readFileSync(asked, "utf8")).toBe(
    "--\npve1.example.org\nquorate join-token --lifetime 10m --json\n",
  );
  expect(joined?.get("hosts")).toBe("10.0.0.1");
  expect(joined?.get("token")).toBe(Buffer.from(secret).toString("hex"));
  expect(joined?.get("link0")).toBe("10.0.0.9");
});

test.each([
  ["a member without quorate", "pve1", "exit 127", /exit code 127\. The member must let root in/],
  ["an answer that is none", "pve1", "echo Welcome", /^'pve1' was asked for a join token and/],
  ["a word for ssh", "-oProxyCommand=x", "exit 0", /Unknown option: oProxyCommand/],
  ["a word for the shell", "pve1;reboot", "exit 0", /is no name or address of a member/],
])("%s: nothing is begun", async (_, host, script, error) => {
  const outcome = await add(host, script);
  expect(outcome.code).toBe(255);
  expect(outcome.error).toMatch(error);
  expect(joined).toBeUndefined();
});
