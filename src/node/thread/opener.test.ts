// A node that has missed the reload which brought another key: when it takes the key from disk, and when it must not.
import { expect, test } from "bun:test";
import { busSettings } from "../../../test/double/service-bus.ts";
import type { CryptoSettings, KeyOnDisk, NodeSettings } from "../settings/settings.ts";
import { PacketOpener } from "./opener.ts";
import { Seal } from "./seal.ts";

function crypto(byte: number): CryptoSettings {
  return { cipher: "aes256", hash: "sha256", key: new Uint8Array(256).fill(byte) };
}
const [old, fresh, foreign] = [crypto(1), crypto(2), crypto(3)];
const packet = new Uint8Array(40).fill(7);
const sealed = (settings: CryptoSettings): Uint8Array => new Seal(settings).seal(packet);

const settings: NodeSettings = { ...busSettings({ nodeid: 1, nodes: 3 }), crypto: old };
const { tokenMs } = settings.tuning;
const peer = settings.nodes.find(({ nodeid }) => nodeid !== settings.nodeid)?.addresses[0] ?? "";

class Around {
  disk: KeyOnDisk | undefined = { crypto: fresh, configVersion: 2 };
  looks = 0;
  readonly reloads: KeyOnDisk[] = [];
  readonly lines: string[] = [];
  readonly opener = new PacketOpener(settings, 0, {
    keyOnDisk: () => {
      this.looks += 1;
      return this.disk;
    },
    reachable: () => [],
    warn: (text) => this.lines.push(text),
    reloadMissed: (key) => this.reloads.push(key),
  });

  hears(with_: CryptoSettings, now: number, address = peer): string {
    const { packet: opened, isKeySwitched } = this.opener.open(address, sealed(with_), now);
    return `${opened === undefined ? "closed" : "open"}${isKeySwitched ? ", switched" : ""}`;
  }
}

test("nothing opens for a token's time and the key on disk does: it is used, and the file is read once", () => {
  const around = new Around();
  expect(around.hears(old, 10)).toBe("open");
  expect(around.hears(fresh, tokenMs)).toBe("closed");
  expect(around.looks).toBe(0);
  expect(around.hears(fresh, tokenMs + 10)).toBe("open, switched");
  expect(around.reloads).toEqual([{ crypto: fresh, configVersion: 2 }]);
  expect(around.lines).toHaveLength(1);
  expect(around.hears(fresh, tokenMs + 20)).toBe("open");
  expect(new Seal(fresh).open(around.opener.keyChange.seal.seal(packet))).toEqual(packet);
  expect([around.reloads.length, around.looks]).toEqual([1, 1]);
  // The reload that was missed is carried out, and what follows finds it done.
  expect(around.opener.reconfigured({ ...settings, crypto: fresh })).toBe(true);
});

test("while a peer is heard with the key in use, no other is taken from disk", () => {
  const around = new Around();
  for (let now = 0; now < 5 * tokenMs; now += tokenMs / 2) {
    expect(around.hears(old, now)).toBe("open");
    expect(around.hears(fresh, now + tokenMs / 2 - 1)).toBe("closed");
  }
  expect(around.reloads).toEqual([]);
});

test("junk costs one look in a token's time, and none from an address that is nobody's", () => {
  const around = new Around();
  for (let now = 0; now <= 10 * tokenMs; now += 10) {
    around.hears(foreign, now);
    around.hears(fresh, now, "192.0.2.77");
  }
  // And one for what the log says of it.
  expect(around.looks).toBe(10 + 1);
  expect(around.reloads).toEqual([]);
});

test("a disk without a key, with the same one, or without crypto changes nothing", () => {
  const clear: CryptoSettings = { cipher: "none", hash: "none", key: new Uint8Array(0) };
  const around = new Around();
  const disks = [undefined, ...[old, clear].map((each) => ({ crypto: each, configVersion: 2 }))];
  for (const [index, disk] of disks.entries()) {
    around.disk = disk;
    expect(around.hears(fresh, (index + 1) * tokenMs)).toBe("closed");
  }
  expect(around.looks).toBe(disks.length);
  expect(around.reloads).toEqual([]);
});

test("who is ahead with the key on disk, while others are heard with the old one, is named with what to do", () => {
  const around = new Around();
  const other = settings.nodes[2]?.addresses[0] ?? "";
  for (let now = 0; now <= 6000; now += 1000) {
    around.hears(old, now, other);
    around.hears(fresh, now);
  }
  expect(around.lines).toEqual([
    expect.stringMatching(
      /^n2 \(.*on disk, and not in use yet\. Type `quorate reload` on this node/,
    ),
  ]);
  around.disk = { crypto: old, configVersion: 1 };
  for (let now = 0; now <= 6000; now += 1000) around.hears(foreign, now, other);
  expect(around.lines.at(-1)).toContain("copy corosync.conf and authkey from a node");
});
