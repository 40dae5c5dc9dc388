import { describe, expect, test } from "bun:test";
import { onOff } from "../advanced-words.ts";
import {
  configurationOf,
  defaultAdvancedSettings,
  defaultConfiguration,
  tlsMode,
  withAdvancedSetting,
} from "./configuration.ts";

function set(name: string, value: string, warnings: string[] = []) {
  return withAdvancedSetting(defaultAdvancedSettings, name, value, warnings);
}

describe("-S", () => {
  test("names in any case, the values of each kind", () => {
    expect(set("Heartbeat_Interval_MIN", "500")).toMatchObject({
      ok: true,
      value: { heartbeatIntervalMin: 500 },
    });
    expect(set("dpd_enabled", "off")).toMatchObject({ ok: true, value: { dpdEnabled: false } });
    expect(set("allow_plaintext", "on")).toMatchObject({ value: { allowPlaintext: true } });
    expect(set("cert_nickname", "X")).toMatchObject({ ok: true, value: { certNickname: "X" } });
    expect(set("dpd_interval_coefficient", "2.5")).toMatchObject({
      ok: true,
      value: { dpdIntervalCoefficient: 2.5 },
    });
    expect(set("local_socket_umask", "0177")).toMatchObject({
      ok: true,
      value: { localSocketUmask: 0o177 },
    });
    expect(set("local_socket_gid", "-1")).toEqual({ ok: true, value: defaultAdvancedSettings });
  });

  // From golden/qnetd/qnetd-cli-errors.txt.
  test("the original's errors", () => {
    expect(set("nosuch", "1")).toEqual({ ok: false, reason: "Unknown option 'nosuch'" });
    expect(set("heartbeat_interval_min", "abc")).toEqual({
      ok: false,
      reason: "Invalid value 'abc' for option 'heartbeat_interval_min'",
    });
    const warnings: string[] = [];
    expect(set("dpd_interval", "1000", warnings)).toEqual({
      ok: true,
      value: defaultAdvancedSettings,
    });
    expect(warnings).toEqual(["Option 'dpd_interval' is deprecated and has no effect anymore"]);
  });

  test.each([
    ["listen_backlog", "0"],
    ["max_client_send_buffers", "1"],
    ["max_client_receive_size", "15"],
    ["ipc_max_receive_size", "1023"],
    ["ipc_max_clients", "-1"],
    ["ipc_max_clients", "99999999999"],
    ["dpd_interval_coefficient", "0.5"],
    ["dpd_interval_coefficient", "1001"],
    ["dpd_enabled", "maybe"],
    ["local_socket_umask", "999"],
    ["constructor", "1"],
  ])("%s=%s is refused", (name, value) => {
    expect(set(name, value).ok).toBe(false);
  });
});

test("the server's configuration is what the defaults say", () => {
  const { tls, isClientCertificateRequired, isWaitingAfterStart } = defaultConfiguration;
  const options = { tls, isClientCertificateRequired, isWaitingAfterStart };
  const limits = { connectionsMax: 0, connectionsPerAddressMax: 0 };
  expect(configurationOf(defaultAdvancedSettings, { ...options, ...limits })).toEqual(
    defaultConfiguration,
  );
});

test("words", () => {
  expect(["ON", "1", "yes", "off", "0", "no", "x"].map(onOff)).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    undefined,
  ]);
  expect(["on", "OFF", "req", "required", "x"].map(tlsMode)).toEqual([
    "on",
    "off",
    "required",
    "required",
    undefined,
  ]);
});
