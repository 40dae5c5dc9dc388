// The quorum device put into and taken out of corosync.conf: the original's bytes where the original wrote the file, a hand-written
// file's own words otherwise.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { configVersionOf } from "../../fs/disk/corosync-conf.ts";
import {
  type DeviceSection,
  readConfFacts,
  withDevice,
  withoutDevice,
  withVersionAfter,
} from "./device.ts";

const fresh = (version: number, quorum: string): string => `logging {
  debug: off
  to_syslog: yes
}

nodelist {
  node {
    name: pve1
    nodeid: 1
    quorum_votes: 1
    ring0_addr: 10.0.0.1
  }
  node {
    name: pve2
    nodeid: 2
    quorum_votes: 1
    ring0_addr: 10.0.0.2
  }
}

quorum {
${quorum}  provider: corosync_votequorum
}

totem {
  cluster_name: prod
  config_version: ${version}
  interface {
    linknumber: 0
  }
  ip_version: ipv4-6
  link_mode: passive
  secauth: on
  token_coefficient: 125
  version: 2
}

`;
const deviceText = `  device {
    model: net
    net {
      algorithm: ffsplit
      host: 192.168.22.5
      tls: on
    }
    votes: 1
  }
`;
const device: DeviceSection = {
  host: "192.168.22.5",
  port: 5403,
  algorithm: "ffsplit",
  tls: "on",
  votes: 1,
};

const valueOf = <T>(
  outcome:
    { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string },
): T => {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
};
const reasonOf = (outcome: { readonly ok: boolean; readonly reason?: string }): string =>
  outcome.reason ?? "no reason";

describe("a file that pvecm wrote", () => {
  test("with a device is byte for byte what pvecm writes", () => {
    expect(valueOf(withDevice(fresh(3, ""), device))).toEqual({
      text: fresh(4, deviceText),
      version: 4,
      notes: [],
    });
    const odd = { ...device, algorithm: "lms", votes: undefined } as const;
    const lms = deviceText.replace("ffsplit", "lms").replace("    votes: 1\n", "");
    expect(valueOf(withDevice(fresh(3, ""), odd)).text).toBe(fresh(4, lms));
  });

  test("another port stands between host and tls", () => {
    expect(valueOf(withDevice(fresh(1, ""), { ...device, port: 15403 })).text).toContain(
      "      host: 192.168.22.5\n      port: 15403\n      tls: on\n",
    );
  });

  test("without the device is the file of before, two versions later", () => {
    expect(valueOf(withoutDevice(fresh(4, deviceText))).text).toBe(fresh(5, ""));
    const { text } = valueOf(withDevice(fresh(3, ""), device));
    expect(valueOf(withVersionAfter(fresh(3, ""), text))).toMatchObject({
      text: fresh(5, ""),
      version: 5,
    });
  });
});

describe("a file by hand", () => {
  test("keeps comments, order and keys that nobody knows; two_node goes", () => {
    const text = `# ours\ntotem {\n\tversion: 2\n  config_version: 7 \n  our_key: 1\n}\nquorum {\n  # who counts\n  provider: corosync_votequorum\n  two_node: 1\n}\n`;
    const edit = valueOf(withDevice(text, device));
    expect(edit.text).toBe(
      `# ours\ntotem {\n  version: 2\n  config_version: 8\n  our_key: 1\n}\nquorum {\n${deviceText}  # who counts\n  provider: corosync_votequorum\n}\n`,
    );
    expect(edit.notes).toEqual([expect.stringContaining("two_node is removed")]);
  });

  test("is refused where it would not do what it says", () => {
    const base = fresh(1, "");
    expect(reasonOf(withDevice(fresh(1, deviceText), device))).toContain("configured already");
    expect(reasonOf(withoutDevice(base))).toContain("no quorum device is configured");
    expect(reasonOf(withDevice(base.replace("quorum {", "other {"), device))).toContain(
      "no quorum section with a provider",
    );
    expect(reasonOf(withDevice(base.replace("config_version", "x"), device))).toContain(
      "unable to read config version",
    );
    // pmxcfs reads the first number behind the word, wherever it stands.
    expect(reasonOf(withDevice(`# config_version: 9\n${base}`, device))).toContain(
      "must stand once in the file",
    );
    expect(reasonOf(readConfFacts("totem {\n"))).toBe("corosync.conf:1: Missing closing brace");
  });

  test("facts: nodes with their votes, the device, and what excludes one", () => {
    const conf = fresh(2, deviceText).replace("quorum_votes: 1", "quorum_votes: 3");
    expect(valueOf(readConfFacts(conf))).toEqual({
      clusterName: "prod",
      version: 2,
      nodes: [
        { name: "pve1", votes: 3 },
        { name: "pve2", votes: 1 },
      ],
      device: { model: "net", host: "192.168.22.5" },
      obstacles: [],
    });
    const strict = fresh(2, "  auto_tie_breaker: 1\n  expected_votes: 2\n");
    expect(valueOf(readConfFacts(strict)).obstacles).toEqual([
      expect.stringContaining("auto_tie_breaker excludes"),
      expect.stringContaining("expected_votes is set"),
    ]);
  });
});

test("whatever the file: no throw, and never another version in it than it says", () => {
  const line = fc.constantFrom(
    ...["totem {", "quorum {", "device {", "}", "config_version: 4", "provider: x", "# c", ""],
    ...["two_node: 1", "  config_version:9", "model: net", "nodelist {", "node {", "a b"],
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      const text = lines.join("\n");
      for (const edit of [withDevice(text, device), withoutDevice(text)]) {
        if (!edit.ok) continue;
        expect(configVersionOf(new TextEncoder().encode(edit.value.text))).toBe(edit.value.version);
        expect(valueOf(readConfFacts(edit.value.text)).version).toBe(edit.value.version);
      }
    }),
    { numRuns: 2000 },
  );
});
