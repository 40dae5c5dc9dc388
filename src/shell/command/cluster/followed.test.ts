// Commands that have the node do something and follow it, at a node of the test's own: what they print of each end, for people and as JSON.
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { interruptedStatus } from "../../answers/task-end.ts";
import { pem } from "../../../qnetd/pki/pki.ts";
import { issueCertificate, newRsaKey } from "../../certificates/x509.ts";
import { noMemberText } from "../../change/former-members.ts";
import { noQuorumText } from "../../change/ports.ts";
import { CommandFailure } from "../../exit.ts";
import { fingerprintOf } from "../../join/authority.ts";
import { encodeJoinToken } from "../../join/join-token.ts";
import { serveAnswers } from "../../../../test/double/answering-node.ts";
import { changeCommand, type ChangeCall, type NextCall } from "./change.ts";
import { joinCommand } from "./join.ts";

/** What the node answers: the end of each task by its UPID, or why a path is refused. */
interface Behaviour {
  readonly ends: Readonly<Record<string, string>>;
  readonly membershipFault?: string;
  readonly refusals?: Readonly<Record<string, string>>;
  /** Somebody else does it between the question and the call. */
  readonly isDoneMeanwhile?: boolean;
}

let root = "";
let server: Bun.Server<undefined> | undefined;
let behaviour: Behaviour = { ends: {} };
let clusterName = "";
/** pve-root-ca.pem of the node's tree. */
let authority = "";
const asked: string[] = [];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quorate-followed-"));
  asked.length = 0;
  clusterName = "";
  server = serveAnswers({
    ...{ root, ends: (upid) => behaviour.ends[upid] ?? "", answer },
    clusterName: () => clusterName,
    membershipFault: () => behaviour.membershipFault ?? "",
  });
});
afterEach(async () => {
  await server?.stop(true);
  rmSync(root, { recursive: true, force: true });
});

async function answer(request: Request, pathname: string): Promise<Response> {
  const message = behaviour.refusals?.[pathname];
  if (message !== undefined) return Response.json({ message }, { status: 400 });
  if (pathname === "/v1/tree/file") return new Response(authority);
  const { searchParams } = new URL(request.url);
  const words = new URLSearchParams(await request.text());
  const isDry = words.get("dry-run") === "1" || searchParams.get("dry-run") === "1";
  if (!isDry) asked.push(pathname);
  return Response.json({
    data: {
      ...(isDry || behaviour.isDoneMeanwhile === true ? {} : { upid: pathname }),
      ...{ isDone: !isDry && behaviour.isDoneMeanwhile === true, plan: "1. do it\n" },
      ...{ steps: ["do it"], changes: [], notes: ["Mind."] },
      // Asked of a person only where nobody has said yes.
      question: "Really?",
    },
  });
}

const remove: ChangeCall = {
  ...{ method: "DELETE", path: "/cluster/nodes/n2", words: {}, question: "", done: "Removed." },
};
const rotate: NextCall = {
  ...{ method: "POST", path: "/cluster/key", words: {}, question: "And?", done: "Rotated." },
  ...{ name: "rotateKey", failed: "the node is removed, but the key is not" },
};
const [removal, rotation] = ["/api/v1/cluster/nodes/n2", "/api/v1/cluster/key"];

async function change(json: boolean, next?: NextCall, dryRun = false): Promise<string> {
  let text = "";
  const write = (piece: string): void => void (text += piece);
  const options = { root, json, dryRun, isYes: true, write, note: () => undefined };
  const code = await changeCommand(options, remove, next).catch((error: unknown) => {
    if (!(error instanceof CommandFailure)) throw error;
    return `${error.code} ${error.message}`;
  });
  return `${text}${code}`;
}

test("a removed node without quorum is told how to leave, not to override", async () => {
  const refusals = { [removal]: noQuorumText };
  behaviour = { ends: {}, refusals };
  expect(await change(false)).toContain("`quorate expected` is the last way");
  const membershipFault = `${noMemberText}, says pve1: type \`quorate leave --local\``;
  behaviour = { ends: {}, refusals, membershipFault };
  expect(await change(false)).toBe(`1 ${membershipFault}`);
});

test("what somebody else has done while the question was open is so already", async () => {
  behaviour = { ends: {}, isDoneMeanwhile: true };
  expect(await change(false)).toBe("Mind.\n1. do it\nMind.\n0");
  const text = await change(true);
  expect(text).toEndWith("0");
  expect(JSON.parse(text.slice(0, -1))).toMatchObject({ isDone: true, notes: ["Mind."] });
});

test("two changes by one command are one JSON object", async () => {
  behaviour = { ends: { [removal]: "OK", [rotation]: "WARNINGS: 1" } };
  const text = await change(true, rotate);
  expect(text).toEndWith("0");
  const notes = ["Mind."];
  expect(JSON.parse(text.slice(0, -1))).toEqual({
    ...{ upid: removal, status: "OK", isDone: true, notes },
    rotateKey: { upid: rotation, status: "WARNINGS: 1", isDone: true, notes },
  });
  expect(await change(false, rotate)).toBe("Mind.\nRemoved.\nMind.\nRotated.\n0");
  expect(asked).toEqual([removal, rotation, removal, rotation]);
});

test("the second is not begun after a failure of the first, nor when nothing is to be done", async () => {
  behaviour = { ends: { [removal]: "no quorum", [rotation]: "OK" } };
  const text = await change(true, rotate);
  expect(JSON.parse(text.slice(0, -1))).toMatchObject({ status: "no quorum", isDone: false });
  expect(text).toEndWith("1");
  expect(await change(false, rotate)).toBe("Mind.\n1 no quorum");
  expect(await change(false, rotate, true)).toBe("1. do it\n\nMind.\n\nAnd?\n0");
  expect(asked).toEqual([removal, removal]);
});

test("a refusal of the second says how things are, and is a part of the object", async () => {
  behaviour = { ends: { [removal]: "OK" }, refusals: { [rotation]: "n3 is offline" } };
  const text = await change(true, rotate);
  expect(JSON.parse(text.slice(0, -1))).toMatchObject({
    isDone: true,
    rotateKey: { isDone: false, status: "n3 is offline" },
  });
  expect(text).toEndWith("1");
  expect(await change(false, rotate)).toEndWith(
    "Removed.\n1 the node is removed, but the key is not: n3 is offline",
  );
});

test("a change that was asked to stop says so, not in the words of its task's status", async () => {
  behaviour = { ends: { [removal]: interruptedStatus } };
  const sentence =
    "this task was asked to stop (`quorate task stop`): what it had done is undone, and all is as before";
  expect(await change(false)).toBe(`Mind.\n1 ${sentence}`);
  expect(JSON.parse((await change(true)).slice(0, -1))).toMatchObject({
    ...{ status: interruptedStatus, isDone: false },
    notes: ["Mind.", sentence],
  });
});

test("a join of a cluster that only has the name of the node's own is refused with what to do", async () => {
  const certificate = issueCertificate({
    ...{ subject: [["commonName", "prod"]], issuer: undefined, serial: 1n },
    key: await newRsaKey(2048),
    from: new Date(Date.now() - 1000),
    until: new Date(Date.now() + 86_400_000),
    kind: "server",
    alternativeNames: ["prod"],
  });
  clusterName = "prod";
  authority = pem("CERTIFICATE", certificate);
  const own = fingerprintOf(new TextEncoder().encode(authority));
  if (!own.ok) throw new Error(own.reason);
  const joinBy = (fingerprint: Uint8Array): Promise<number> =>
    joinCommand({
      ...{ root, json: false, dryRun: false, force: false, links: new Map() },
      target: encodeJoinToken({
        ...{ cluster: "prod", addresses: ["127.0.0.1"], port: 8006 },
        ...{ fingerprint, secret: new Uint8Array(16), expiresAt: 0xffff_ffff },
      }),
      ...{ fingerprint: undefined, passwordFile: undefined, port: undefined },
      ...{ nodeid: undefined, votes: undefined, note: () => undefined },
      write: () => undefined,
    });
  expect(await joinBy(own.value)).toBe(0);
  await expect(joinBy(new Uint8Array(32))).rejects.toThrow(
    /member of another cluster that is named 'prod' too.*first leave this one \(quorate leave\)/,
  );
  expect(asked).toEqual([]);
});

test("a join that was given up meanwhile says so to whoever follows it", async () => {
  behaviour = { ends: { "/api/v1/join": interruptedStatus } };
  const token = encodeJoinToken({
    ...{ cluster: "prod", addresses: ["127.0.0.1"], port: 8006 },
    ...{ fingerprint: new Uint8Array(32), secret: new Uint8Array(16), expiresAt: 0xffff_ffff },
  });
  const joins = async (json: boolean): Promise<string> => {
    let text = "";
    const code = await joinCommand({
      ...{ root, target: token, json, dryRun: false, force: false, links: new Map() },
      ...{ fingerprint: undefined, passwordFile: undefined, port: undefined },
      ...{ nodeid: undefined, votes: undefined, note: () => undefined },
      write: (piece) => void (text += piece),
    }).catch((error: unknown) => String(error));
    return `${text}${code}`;
  };
  const sentence =
    "this join was given up meanwhile (`quorate join --abort`, or its task was asked to stop): this node is standalone, as before";
  expect(await joins(false)).toEndWith(sentence);
  const text = await joins(true);
  expect(text).toEndWith("1");
  expect(JSON.parse(text.slice(0, -1))).toMatchObject({ isDone: false, notes: [sentence] });
});
