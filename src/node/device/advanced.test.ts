import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { advancedOfDefaults, defaultAdvanced, readAdvanced } from "./advanced.ts";
import { deviceSettings } from "./device-settings.ts";
import { nodeSettings, settingsOf } from "../../../test/double/device-client.ts";

const two = { nodeid: 1, nodes: 2 } as const;

function read(text: string): unknown {
  const result = readAdvanced(text);
  if (!result.ok) return result.reason;
  const changed = Object.entries(result.value.settings).filter(
    ([key, value]) => Object.entries(defaultAdvanced).find(([name]) => name === key)?.[1] !== value,
  );
  return Object.fromEntries(changed);
}

describe("advanced settings", () => {
  test("names without case, commas, the last one wins", () => {
    expect(read("")).toEqual({});
    expect(read("NET_max_send_buffers=5,,net_max_send_buffers= 7,=5")).toEqual({
      netMaxSendBuffers: 7,
    });
    expect(read("heuristics_use_execvp=ON,master_wins=yes,local_socket_umask=0027")).toEqual({
      heuristicsUseExecvp: true,
      masterWins: true,
      localSocketUmask: 0o27,
    });
    expect(read("master_wins=Model,net_nss_qnetd_cn=My Server")).toEqual({
      netNssQnetdCn: "My Server",
    });
  });

  // Each as the original 3.0.3 refuses it.
  const refused = [
    ["foo=1,lock_file=x", "Unknown option 'foo'"],
    ["noequals", "Unknown option 'noequals'"],
    ["heuristics_min_timeout=249", "Invalid value '249' for option 'heuristics_min_timeout'"],
    ["net_max_send_buffers=1", "Invalid value '1' for option 'net_max_send_buffers'"],
    ["net_max_send_buffers=0x10", "Invalid value '0x10' for option 'net_max_send_buffers'"],
    ["ipc_max_clients=-1", "Invalid value '-1' for option 'ipc_max_clients'"],
    ["ipc_max_receive_size=1023", "Invalid value '1023' for option 'ipc_max_receive_size'"],
    ["heuristics_use_execvp=true", "Invalid value 'true' for option 'heuristics_use_execvp'"],
    ["master_wins=maybe", "Invalid value 'maybe' for option 'master_wins'"],
    [
      "net_heartbeat_interval_max=12x",
      "Invalid value '12x' for option 'net_heartbeat_interval_max'",
    ],
  ] as const;
  for (const [text, reason] of refused) {
    test(`refused: ${text}`, () => expect(read(text)).toBe(reason));
  }

  test("what means nothing here is accepted and said", () => {
    const { remarks } = settingsOf({ ...two, advanced: "lock_file=/x,net_nss_db_dir=/y" });
    expect(remarks).toHaveLength(2);
    expect(remarks[1]).toContain("net.tls_p12_file");
  });

  test("they move the limits of corosync.conf's keys", () => {
    const options = { "net.connect_timeout": "500", "heuristics.mode": "on" };
    const exec = { "heuristics.exec_a": "ping -c 1 x", "heuristics.timeout": "300" };
    const advanced =
      "net_min_connect_timeout=400,heuristics_min_timeout=250,heuristics_use_execvp=on";
    const settings = settingsOf({ ...two, options: { ...options, ...exec }, advanced });
    expect(settings.connectMs).toBe(500);
    expect(settings.heuristics).toMatchObject({ mode: "on", timeoutMs: 300 });
    const low = { ...two, advanced: "net_heartbeat_interval_max=3000" };
    expect(settingsOf(low).heartbeatMs).toBe(3000);
    const few = {
      ...two,
      options: {
        ...options,
        "net.connect_timeout": "1000",
        "heuristics.exec_a": "/a",
        "heuristics.exec_b": "/b",
      },
    };
    expect(settingsOf({ ...few, advanced: "heuristics_max_execs=1" })).toMatchObject({
      heuristics: { mode: "off" },
      remarks: [expect.stringContaining("more than 1 exec_NAME")],
    });
    const developers = { ...two, options: { "net.algorithm": "test" } };
    expect(settingsOf({ ...developers, advanced: "net_test_algorithm_enabled=on" }).algorithm).toBe(
      "test",
    );
  });

  test("a wrong one keeps the device from being used, with the original's words", () => {
    expect(deviceSettings(nodeSettings({ ...two, advanced: "foo=1" }))).toEqual({
      ok: false,
      reason: "the options of corosync-qdevice: Unknown option 'foo'",
    });
  });

  test("any text is read or refused", () => {
    fc.assert(fc.property(fc.string(), (text) => void readAdvanced(text)));
    const word = fc.constantFrom("__proto__", "constructor", "lock_file", "=", ",", "1");
    fc.assert(fc.property(fc.array(word), (words) => void readAdvanced(words.join(""))));
  });
});

describe("the defaults file of the service unit", () => {
  const cases = [
    ["", undefined],
    ['COROSYNC_QDEVICE_OPTIONS=""', undefined],
    ['# COROSYNC_QDEVICE_OPTIONS="-S a=1"', undefined],
    ['COROSYNC_QDEVICE_OPTIONS="-S a=1"', "a=1"],
    ["COROSYNC_QDEVICE_OPTIONS='-d -S a=1,b=2 -dSc=3'\n", "a=1,b=2,c=3"],
    ['COROSYNC_QDEVICE_OPTIONS="-S a=1"\n  COROSYNC_QDEVICE_OPTIONS=-Sb=2', "b=2"],
    [
      'COROSYNC_QDEVICE_OPTIONS="-S \\"net_nss_qnetd_cn=My Server\\" -d"',
      "net_nss_qnetd_cn=My Server",
    ],
  ] as const;
  for (const [text, options] of cases) {
    test(JSON.stringify(text), () => expect(advancedOfDefaults(text)).toBe(options));
  }

  test("any text is read", () => {
    fc.assert(
      fc.property(
        fc.string(),
        (text) => void advancedOfDefaults(`COROSYNC_QDEVICE_OPTIONS=${text}`),
      ),
    );
  });
});
