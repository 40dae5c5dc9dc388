import { expect, test } from "bun:test";
import { byteStringOfText } from "../../bytes.ts";
import { decodePrefix, type ServiceAction } from "../member/service.ts";
import {
  ConfigurationService,
  decodeCfgMessage,
  encodeCfgMessage,
  shutdownAnnouncement,
  type CfgMessage,
} from "./cfg.ts";

function hear(nodeid: number, message: CfgMessage | Uint8Array): ServiceAction[] {
  const out: ServiceAction[] = [];
  const bytes = message instanceof Uint8Array ? message : encodeCfgMessage(message);
  new ConfigurationService({ nodeid: 2 }).received(nodeid, bytes, out);
  return out;
}

test("a kill ends the node it names, nobody else", () => {
  const reason = byteStringOfText("Killed by corosync-cfgtool\0");
  expect(hear(1, { kind: "killNode", nodeid: 3, reason })).toEqual([]);
  expect(hear(1, { kind: "killNode", nodeid: 2, reason })).toEqual([
    {
      kind: "log",
      level: "error",
      subsystem: "CFG",
      text: "Killed by node 1 : Killed by corosync-cfgtool",
    },
    { kind: "die", reason: "Killed by node 1 : Killed by corosync-cfgtool" },
  ]);
});

test("the others' wishes are logged in corosync's words", () => {
  const lines = (message: CfgMessage, nodeid = 3): string[] =>
    hear(nodeid, message).flatMap((action) => (action.kind === "log" ? [action.text] : []));
  expect(lines({ kind: "shutdown" })).toEqual(["Node 3 was shut down by sysadmin"]);
  expect(lines({ kind: "reload", nodeid: 3 })).toEqual(["Config reload requested by node 3"]);
  expect(lines({ kind: "cryptoReconfig", phase: 1 })).toEqual([]);
  expect(lines({ kind: "cryptoReconfig", phase: 1 }, 2)).toEqual([
    "Crypto reconfiguration phase 1",
  ]);
  expect(lines({ kind: "ringReenable" })).toEqual([]);
});

test("sizes are exact, unknown functions and long reasons are refused", () => {
  expect(shutdownAnnouncement()).toHaveLength(5 + 16);
  const kill = encodeCfgMessage({ kind: "killNode", nodeid: 1, reason: "x" });
  expect(kill).toHaveLength(288);
  kill[25] = 2; // 512 + 1 bytes of reason
  expect(decodeCfgMessage(kill).ok).toBe(false);
  const unknown = encodeCfgMessage({ kind: "shutdown" });
  unknown[0] = 5;
  expect(decodeCfgMessage(unknown).ok).toBe(false);
  expect(hear(1, unknown)).toMatchObject([{ kind: "log", level: "warning" }]);
});

test("a reload of our operator comes back with its question, another's without", () => {
  const service = new ConfigurationService({ nodeid: 2 });
  const asked: ServiceAction[] = [];
  service.reload(7, asked);
  service.reload(8, asked);
  expect(asked).toMatchObject([
    { kind: "submit", queue: "application" },
    { kind: "submit", queue: "application" },
  ]);
  const reload = encodeCfgMessage({ kind: "reload", nodeid: 2 });
  const out: ServiceAction[] = [];
  service.received(3, reload, out);
  service.received(2, reload, out);
  service.received(2, reload, out);
  service.received(2, reload, out);
  expect(out.filter((action) => action.kind === "reloadRequested")).toEqual([
    { kind: "reloadRequested", nodeid: 3, id: undefined },
    { kind: "reloadRequested", nodeid: 2, id: 7 },
    { kind: "reloadRequested", nodeid: 2, id: 8 },
    { kind: "reloadRequested", nodeid: 2, id: undefined },
  ]);
});

test("too many reloads are refused, and all that wait at the end", () => {
  const service = new ConfigurationService({ nodeid: 2 });
  const out: ServiceAction[] = [];
  for (let id = 0; id < 17; id += 1) service.reload(id, out);
  expect(out.filter((action) => action.kind === "replied")).toMatchObject([{ id: 16, ok: false }]);
  const end: ServiceAction[] = [];
  service.refusePending("over", end);
  expect(end).toHaveLength(16);
  expect(end[0]).toEqual({ kind: "replied", id: 0, ok: false, reason: "over" });
});

test("only our own phases of a new key count, and only 1 and 2", () => {
  const phases = (nodeid: number, phase: number) =>
    hear(nodeid, { kind: "cryptoReconfig", phase }).filter((action) => action.kind === "keyPhase");
  expect(phases(2, 1)).toEqual([{ kind: "keyPhase", phase: 1 }]);
  expect(phases(2, 2)).toEqual([{ kind: "keyPhase", phase: 2 }]);
  expect(phases(3, 1)).toEqual([]);
  expect(phases(2, 3)).toEqual([]);
});

test("a member is told to end at once; who is none is refused, and the operator told", () => {
  const service = new ConfigurationService({ nodeid: 2 });
  const out: ServiceAction[] = [];
  service.kill({ id: 5, nodeid: 3, reason: "Killed by a test" }, [2, 3], out);
  expect(out).toMatchObject([
    { kind: "submit", queue: "application" },
    { id: 5, ok: true },
  ]);
  const sent = out[0]?.kind === "submit" ? decodePrefix(out[0].message) : undefined;
  const message = sent?.ok === true ? decodeCfgMessage(sent.value.message) : undefined;
  expect(message).toEqual({
    ok: true,
    value: { kind: "killNode", nodeid: 3, reason: "Killed by a test\0" },
  });
  const refused: ServiceAction[] = [];
  service.kill({ id: 6, nodeid: 9, reason: "" }, [2, 3], refused);
  expect(refused).toEqual([
    { kind: "replied", id: 6, ok: false, reason: "node 9 is no member of this ring" },
  ]);
  const long: ServiceAction[] = [];
  service.kill({ id: 7, nodeid: 2, reason: "x".repeat(300) }, [2, 3], long);
  expect(long).toMatchObject([{ kind: "submit" }, { ok: true }]);
});
