// The settings of a node together with what its defaults file gives corosync-qdevice.
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSettings } from "../settings/load-settings.ts";
import { systemClock } from "../../deadlines.ts";
import { DeviceHost, realMachine } from "./device-host.ts";
import { deviceSettings } from "./device-settings.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-defaults-"));
afterAll(() => rmSync(directory, { recursive: true }));
const paths = {
  conf: join(directory, "corosync.conf"),
  authkey: join(directory, "authkey"),
  deviceDefaults: join(directory, "corosync-qdevice"),
};

const node = (nodeid: number, more = ""): string =>
  `node {\n nodeid: ${nodeid}\n name: n${nodeid}\n ring0_addr: 127.0.0.1${nodeid}\n${more}}\n`;

async function load(device: boolean, defaults: string | undefined, nodes = 2) {
  const quorum = device
    ? "device {\n model: net\n votes: 1\n net {\n host: 127.0.0.1\n }\n}\n"
    : "";
  const list = Array.from({ length: nodes }, (_, at) =>
    node(at + 1, at === 0 ? " datacenterid: 7\n" : ""),
  );
  writeFileSync(
    paths.conf,
    `totem {\n version: 2\n cluster_name: lab\n crypto_cipher: none\n crypto_hash: none\n}
quorum {\n provider: corosync_votequorum\n ${quorum}}\nnodelist {\n${list.join("")}}\n`,
  );
  rmSync(paths.deviceDefaults, { force: true });
  if (defaults !== undefined) writeFileSync(paths.deviceDefaults, defaults);
  const loaded = await loadSettings(paths, "n1");
  if (!loaded.ok) throw new Error(loaded.reason);
  return loaded.value;
}

describe("settings of a node", () => {
  test("with and without a defaults file, with and without a device", async () => {
    const text = 'COROSYNC_QDEVICE_OPTIONS="-S net_max_send_buffers=3"';
    expect((await load(true, text)).quorum.device?.advanced).toBe("net_max_send_buffers=3");
    expect((await load(true, undefined)).quorum.device?.advanced).toBeUndefined();
    expect((await load(false, text)).quorum.device).toBeUndefined();
    const read = deviceSettings(await load(true, text));
    expect(read).toMatchObject({ ok: true, value: { advanced: { netMaxSendBuffers: 3 } } });
    if (read?.ok === true) {
      expect(read.value.nodes).toEqual([
        { nodeid: 1, dataCenterId: 7 },
        { nodeid: 2, dataCenterId: 0 },
      ]);
    }
  });

  test("what speaks against them is logged once, and again when it is news", async () => {
    const lines: string[] = [];
    const settings = await load(true, 'COROSYNC_QDEVICE_OPTIONS="-S lock_file=/x"');
    const host = DeviceHost.create({
      settings,
      directory,
      port: {
        clock: systemClock,
        machine: realMachine,
        random: { below: () => 0 },
        ask: () => undefined,
        log: ({ level, text }) => void (level === "warning" && lines.push(text)),
      },
    });
    expect(lines).toEqual(["lock_file changes nothing in quorate: the node itself is locked"]);
    host?.event({ kind: "reconfigured", settings });
    expect(lines).toHaveLength(1);
    host?.event({ kind: "reconfigured", settings: await load(true, undefined, 3) });
    expect(lines.at(-1)).toContain("point of failure");
    host?.stop();
  });
});
