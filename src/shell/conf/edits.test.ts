// corosync.conf as Proxmox's tools write it (pvecm.md §2.2), and every change of it: what it gives and what it refuses.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseConf } from "../../conf.ts";
import type { Result } from "../../result.ts";
import { openConf, readClusterConf } from "./cluster-conf.ts";
import { canonicalText } from "./conf-text.ts";
import { type DeviceSection, withDevice } from "./device.ts";
import { type FreshCluster, freshConf } from "./fresh.ts";
import { withLink, withLinkPriority, withoutLink } from "./links.ts";
import { type NewNode, withAddress, withName, withNode, withoutNode, withVotes } from "./nodes.ts";
import { verifyConf } from "./verify.ts";

const valueOf = <T>(outcome: Result<T>): T => {
  if (!outcome.ok) throw new Error(outcome.reason);
  return outcome.value;
};
const reasonOf = (outcome: Result<unknown>): string => (outcome.ok ? "no reason" : outcome.reason);

const freshText = `logging {
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
}

quorum {
  provider: corosync_votequorum
}

totem {
  cluster_name: prod
  config_version: 1
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
const prod: FreshCluster = {
  clusterName: "prod",
  node: { name: "pve1" },
  links: [{ number: 0, address: "10.0.0.1", priority: 0 }],
};
const node = (name: string, address: string, more: Partial<NewNode> = {}): NewNode => ({
  name,
  links: new Map([[0, address]]),
  ...more,
});
/** pve1 to pve<count>, one link. */
function cluster(count: number): string {
  let text = valueOf(freshConf(prod));
  for (let at = 2; at <= count; at += 1) {
    text = valueOf(withNode(text, node(`pve${at}`, `10.0.0.${at}`))).text;
  }
  return text;
}
const device: DeviceSection = {
  host: "192.168.22.5",
  port: 5403,
  algorithm: "ffsplit",
  tls: "on",
  votes: 1,
};
const lms: DeviceSection = { ...device, algorithm: "lms", votes: undefined };

describe("a fresh cluster", () => {
  test("is byte for byte what pvecm create writes", () => {
    expect(valueOf(freshConf(prod))).toBe(freshText);
  });

  test("with two links, a priority, nodeid, votes and coefficient", () => {
    const text = valueOf(
      freshConf({
        clusterName: "prod",
        node: { name: "pve1", nodeid: 4, votes: 2 },
        links: [
          { number: 1, address: "10.1.0.1", priority: 20 },
          { number: 0, address: "10.0.0.1", priority: 0 },
        ],
        tokenCoefficient: 0,
      }),
    );
    const own =
      "nodeid: 4\n    quorum_votes: 2\n    ring0_addr: 10.0.0.1\n    ring1_addr: 10.1.0.1";
    expect(text).toContain(own);
    expect(text).toContain(
      "  interface {\n    linknumber: 0\n  }\n  interface {\n    knet_link_priority: 20\n    linknumber: 1\n  }\n",
    );
    expect(text).toContain("token_coefficient: 0\n");
  });

  test("refuses what would not be one", () => {
    const cases: readonly [Partial<FreshCluster>, string][] = [
      [{ clusterName: "a_b" }, "does not look like a valid node name"],
      [{ clusterName: "a".repeat(16) }, "value may only be 15 characters long"],
      [{ node: { name: "-" } }, "not a valid node name"],
      [{ links: [] }, "at least one link"],
      [{ links: [{ number: 8, address: "a", priority: 0 }] }, "links are 0 to 7"],
      [{ links: [{ number: 0, address: "a", priority: 256 }] }, "from 0 to 255"],
      [{ links: [...prod.links, ...prod.links] }, "a link is given twice"],
      [{ node: { name: "a", nodeid: 0 } }, "nodeid: value must have a minimum value of 1"],
      [{ node: { name: "a", votes: 0 } }, "votes: value must have a minimum value of 1"],
      [{ tokenCoefficient: -1 }, "token-coefficient: value must have a minimum value of 0"],
    ];
    for (const [change, reason] of cases) {
      expect(reasonOf(freshConf({ ...prod, ...change }))).toContain(reason);
    }
  });
});

describe("a node", () => {
  test("comes with the lowest free id, and goes without a trace but the version", () => {
    const two = valueOf(withNode(freshText, node("pve2", "10.0.0.2")));
    expect(two).toMatchObject({ version: 2, notes: [], node: { nodeid: 2, votes: 1 } });
    expect(two.text).toContain(
      "  node {\n    name: pve2\n    nodeid: 2\n    quorum_votes: 1\n    ring0_addr: 10.0.0.2\n  }\n}\n",
    );
    const one = valueOf(withoutNode(two.text, "pve2"));
    expect(one.text).toBe(freshText.replace("config_version: 1", "config_version: 3"));
    const three = cluster(3);
    const gap = valueOf(withoutNode(three, "10.0.0.2")); // By address.
    expect(gap.node.name).toBe("pve2");
    expect(valueOf(withNode(gap.text, node("zz", "10.0.0.9"))).node.nodeid).toBe(2);
  });

  test("with no votes yet costs nobody the quorum, and is written so", () => {
    const { text, node: added } = valueOf(withNode(freshText, node("b", "10.0.0.2", { votes: 0 })));
    expect(added.votes).toBe(0);
    expect(text).toContain("    quorum_votes: 0\n");
    expect(valueOf(withVotes(text, "b", 1)).text).toContain(
      "name: b\n    nodeid: 2\n    quorum_votes: 1",
    );
  });

  test("takes the one link's number for its fallback address", () => {
    const moved = freshText.replace("linknumber: 0", "linknumber: 3").replace("ring0", "ring3");
    const added = valueOf(
      withNode(moved, { name: "b", links: new Map(), fallbackAddress: "10.0.0.2" }),
    );
    expect(added.text).toContain("ring3_addr: 10.0.0.2");
  });

  test("is replaced by force when votes and id are the same", () => {
    const forced = node("pve2", "10.0.0.7", { isForced: true });
    const edit = valueOf(withNode(cluster(2), forced));
    expect(edit.notes).toEqual(["forcing overwrite of configured node 'pve2'"]);
    expect(edit.text).not.toContain("10.0.0.2");
    expect(reasonOf(withNode(cluster(2), { ...forced, votes: 2 }))).toBe(
      "can't add existing node 'pve2'",
    );
  });

  test("is refused in the original's words, and where the original is silent", () => {
    const two = cluster(2);
    const linked = valueOf(
      withLink(two, {
        number: 1,
        addresses: new Map([
          ["pve1", "10.1.0.1"],
          ["pve2", "10.1.0.2"],
        ]),
      }),
    ).text;
    const none = { name: "c", links: new Map<number, string>() };
    const cases: readonly [string, NewNode, string][] = [
      [two, node("pve2", "10.0.0.9"), "can't add existing node 'pve2'"],
      [
        two,
        node("c", "10.0.0.2"),
        "corosync: address '10.0.0.2' already used on link ring0_addr by node 'pve2'",
      ],
      [
        two,
        { ...none, fallbackAddress: "10.0.0.2" },
        "corosync: address '10.0.0.2' already used on link ring0_addr by node 'pve2'",
      ],
      [
        linked,
        node("c", "10.1.0.2"),
        "corosync: address '10.1.0.2' already used on link ring1_addr by node 'pve2'",
      ],
      [
        linked,
        node("c", "10.0.0.3"),
        "corosync: link 1 exists in cluster config but wasn't specified for new node",
      ],
      [
        two,
        {
          name: "c",
          links: new Map([
            [0, "10.0.0.3"],
            [1, "10.1.0.3"],
          ]),
        },
        "corosync: link 1 specified for new node doesn't exist in cluster config",
      ],
      [two, none, "no links and no fallback ip (new_node_ip) given, cannot join cluster"],
      [
        linked,
        { ...none, fallbackAddress: "10.0.0.3" },
        "no links given but multiple links found on other nodes, fallback only supported on single-link clusters",
      ],
      [
        linked,
        { ...none, fallbackAddress: "10.0.0.3", apiVersion: 0 },
        "cluster has 2 links, but only 1 given",
      ],
      [two, node("c", "10.0.0.3", { nodeid: 2 }), "nodeid 2 already used by node 'pve2'"],
      [two, node("c", "10.0.0.3", { nodeid: 70_000 }), "must be from 1 to 65535"],
      [two, node("c", "10.0.0.3", { votes: 256 }), "must be from 0 to 255"],
      [two, node("c_d", "10.0.0.3"), "value does not look like a valid node name"],
    ];
    for (const [text, added, reason] of cases)
      expect(reasonOf(withNode(text, added))).toContain(reason);
    const broken = two.replace("ring0_addr: 10.0.0.2", "ring1_addr: 10.0.0.2");
    expect(reasonOf(withNode(broken, node("c", "10.0.0.3")))).toBe(
      "invalid corosync.conf: node 'pve2' is missing address forinterface number 0; node 'pve2' has 'ring1_addr', but there is no interface number 1 configured",
    );
    expect(reasonOf(withoutNode(two, "nobody"))).toBe(
      "Node/IP: nobody is not a known host of the cluster.",
    );
    expect(reasonOf(withoutNode(freshText, "pve1"))).toContain("is the only one of this cluster");
    expect(reasonOf(withVotes(two, "pve2", -1))).toContain("must be from 0 to 255");
  });

  test("gets another name or address", () => {
    const two = cluster(2);
    const renamed = valueOf(withName(two, "pve2", "alpha"));
    expect(
      valueOf(readClusterConf(renamed.text)).nodes.map(({ name, nodeid }) => [name, nodeid]),
    ).toEqual([
      ["alpha", 2],
      ["pve1", 1],
    ]);
    expect(reasonOf(withName(two, "pve2", "pve1"))).toBe(
      "the name 'pve1' is already used by node 1",
    );
    expect(reasonOf(withName(two, "pve2", "pve2"))).toContain("has this name already");
    expect(reasonOf(withName(two, "pve2", "a b"))).toContain("valid node name");
    expect(valueOf(withAddress(two, "pve2", 0, "10.9.0.2")).text).toBe(
      two.replace("10.0.0.2", "10.9.0.2").replace("config_version: 2", "config_version: 3"),
    );
    expect(reasonOf(withAddress(two, "pve2", 1, "10.9.0.2"))).toContain("link 1 does not exist");
    expect(reasonOf(withAddress(two, "pve2", 9, "10.9.0.2"))).toContain("links are 0 to 7");
    expect(reasonOf(withAddress(two, "pve2", 0, "10.0.0.1"))).toContain("already used");
    expect(reasonOf(withAddress(two, "pve2", 0, "10.0.0.2"))).toContain("already");
    expect(reasonOf(withAddress(two, "pve2", 0, "fe80::1"))).toContain("different IP families");
  });
});

describe("a link", () => {
  const addresses = new Map([
    ["pve1", "10.1.0.1"],
    ["pve2", "10.1.0.2"],
  ]);
  const two = cluster(2);

  test("comes for all nodes, gets a priority, and goes", () => {
    const added = valueOf(withLink(two, { number: 1, addresses, priority: 5 }));
    const read = valueOf(readClusterConf(added.text));
    expect(read.links).toEqual([
      { number: 0, priority: 0 },
      { number: 1, priority: 5 },
    ]);
    expect(read.nodes.map((each) => each.addresses.get(1))).toEqual(["10.1.0.1", "10.1.0.2"]);
    const set = valueOf(withLinkPriority(added.text, 0, 20));
    expect(set.text).toContain("knet_link_priority: 20\n    linknumber: 0");
    expect(valueOf(withLinkPriority(set.text, 0, 0)).text).not.toContain("priority: 20");
    const removed = valueOf(withoutLink(added.text, 1));
    expect(removed.text).toBe(two.replace("config_version: 2", "config_version: 4"));
    expect(valueOf(readClusterConf(valueOf(withoutLink(added.text, 0)).text)).links).toHaveLength(
      1,
    );
  });

  test("all links get an interface section where none had one", () => {
    const bare = two.replace("  interface {\n    linknumber: 0\n  }\n", "");
    const { text } = valueOf(withLink(bare, { number: 1, addresses }));
    const open = valueOf(openConf(text));
    expect(verifyConf(open.conf, open.cluster, undefined).errors).toEqual([]);
    expect(text).toContain("linknumber: 0");
  });

  test("is refused where the ring would not form", () => {
    const cases: readonly [Result<unknown>, string][] = [
      [withLink(two, { number: 8, addresses }), "links are 0 to 7"],
      [withLink(two, { number: 0, addresses }), "link 0 exists already"],
      [withLink(two, { number: 1, addresses, priority: 999 }), "from 0 to 255"],
      [withLink(two, { number: 1, addresses: new Map([["pve1", "10.1.0.1"]]) }), "missing: pve2"],
      [
        withLink(two, { number: 1, addresses: new Map([...addresses, ["x", "10.1.0.3"]]) }),
        "x is not a known host",
      ],
      [
        withLink(two, { number: 1, addresses: new Map([...addresses, ["pve2", "10.0.0.1"]]) }),
        "already used on link ring0_addr by node 'pve1'",
      ],
      [
        withLink(two, { number: 1, addresses: new Map([...addresses, ["pve2", "10.1.0.1"]]) }),
        "is given to pve1 and to pve2",
      ],
      [
        withLink(two, { number: 1, addresses: new Map([...addresses, ["pve2", "fd00::2"]]) }),
        "different IP families",
      ],
      [withoutLink(two, 0), "is the only one"],
      [withoutLink(two, 3), "link 3 does not exist"],
      [withLinkPriority(two, 3, 1), "link 3 does not exist"],
      [withLinkPriority(two, 0, 256), "from 0 to 255"],
    ];
    for (const [outcome, reason] of cases) expect(reasonOf(outcome)).toContain(reason);
  });
});

describe("the quorum device follows the nodes", () => {
  const votesOf = (text: string) => valueOf(readClusterConf(text)).device;

  test("lms of three becomes ffsplit with one vote for four; ffsplit stays, with a warning for an odd number", () => {
    const three = valueOf(withDevice(cluster(3), lms)).text;
    const four = valueOf(withNode(three, node("pve4", "10.0.0.4")));
    expect(votesOf(four.text)).toMatchObject({ algorithm: "ffsplit", votes: 1 });
    expect(four.notes.join()).toContain("algorithm becomes ffsplit, as for 4 voting nodes");
    const back = valueOf(withoutNode(four.text, "pve4"));
    expect(votesOf(back.text)).toMatchObject({ algorithm: "ffsplit", votes: 1 });
    expect(back.notes.join()).toContain("adds a point of failure");
    const five = valueOf(
      withNode(valueOf(withDevice(cluster(3), lms)).text, node("x", "10.0.0.9", { votes: 0 })),
    );
    // votequorum does not compute the votes when a node has none: they are written.
    expect(votesOf(five.text)).toMatchObject({ algorithm: "lms", votes: 2 });
    expect(five.notes).toEqual([]);
    expect(votesOf(valueOf(withoutNode(five.text, "x")).text)?.votes).toBeUndefined();
  });

  test("votes of somebody's own choice stay", () => {
    const own = valueOf(withDevice(cluster(2), { ...device, votes: 3 })).text;
    const edit = valueOf(withNode(own, node("pve3", "10.0.0.3")));
    expect(votesOf(edit.text)?.votes).toBe(3);
    expect(edit.notes.join()).toContain("keeps its 3 votes");
  });

  test("one voter needs none; two_node goes with the second vote", () => {
    const two = valueOf(withDevice(cluster(2), device)).text;
    expect(valueOf(withoutNode(two, "pve2")).notes.join()).toContain("needs no quorum device");
    const pair = cluster(2).replace("quorum {\n", "quorum {\n  two_node: 1\n");
    const reserved = valueOf(withNode(pair, node("c", "10.0.0.3", { votes: 0 })));
    expect(reserved.text).toContain("two_node: 1");
    const third = valueOf(withVotes(reserved.text, "c", 1));
    expect(third.text).not.toContain("two_node");
    expect(third.notes.join()).toContain("two_node is removed");
  });
});

describe("verification", () => {
  const verify = (text: string, resolved?: ReadonlyMap<string, string>) => {
    const open = valueOf(openConf(text));
    return verifyConf(open.conf, open.cluster, resolved);
  };
  const two = cluster(2);

  test("says what the original says", () => {
    expect(verify(two)).toEqual({ errors: [], warnings: [] });
    expect(verify(two.replace("ring0_addr: 10.0.0.2", "name2: x")).errors).toEqual([
      "node 'pve2' is missing address forinterface number 0",
    ]);
    expect(verify(two.replace("linknumber: 0", "linknumber: 1")).errors).toContain(
      "node 'pve1' has 'ring0_addr', but there is no interface number 0 configured",
    );
    const bare = two.replace("  interface {\n    linknumber: 0\n  }\n", "");
    expect(verify(bare.replace("ring0_addr: 10.0.0.2", "name2: x")).errors).toEqual([
      "node 'pve2' is missing link 0, which is configured on other nodes",
    ]);
    expect(verify(two.replace("secauth: on", "secauth: off")).warnings).toEqual([
      "warning: authentication/encryption is not explicitly enabled (secauth / crypto_cipher / crypto_hash)",
    ]);
    const named = two.replace("10.0.0.2", "pve2.example");
    expect(verify(named, new Map([["10.0.0.1", "10.0.0.1"]])).warnings).toEqual([
      "warning: unable to resolve ring0_addr 'pve2.example' for node 'pve2' to an IP address according to Corosync's resolve strategy - cluster could fail on restart!",
    ]);
    expect(
      verify(
        named,
        new Map([
          ["10.0.0.1", "10.0.0.1"],
          ["pve2.example", "10.0.0.2"],
        ]),
      ).warnings,
    ).toEqual([
      "warning: ring0_addr 'pve2.example' for node 'pve2' resolves to '10.0.0.2' - consider replacing it with the currently resolved IP address for stability",
    ]);
    expect(reasonOf(openConf("totem {\n  config_version: 1\n}\n"))).toContain("no nodes found");
    expect(reasonOf(openConf("nodelist {\n}\nx {\n  config_version: 1\n}\n"))).toContain(
      "unable to read config version",
    );
  });

  test("says what the original does not look for", () => {
    expect(verify(two.replace("nodeid: 2", "nodeid: 1")).errors).toEqual([
      "nodeid 1 of node 'pve2' is already used by node 'pve1'",
    ]);
    expect(verify(two.replace("10.0.0.2", "10.0.0.1")).errors).toEqual([
      "ring0_addr '10.0.0.1' of node 'pve2' is already used by node 'pve1'",
    ]);
    expect(verify(two.replace("name: pve2", "name: pve1")).errors).toContain(
      "node 'pve1' is configured twice",
    );
    expect(verify(two.replace("nodeid: 2", "nodeid: x")).errors).toEqual([
      "node 'pve2' has no nodeid",
    ]);
    const both = valueOf(withDevice(two, device)).text.replace(
      "  provider",
      "  two_node: 1\n  provider",
    );
    expect(verify(both).errors).toEqual([expect.stringContaining("two_node and a quorum device")]);
    const odd = valueOf(withDevice(cluster(3), device)).text;
    expect(verify(odd).warnings).toEqual([expect.stringContaining("adds a point of failure")]);
    expect(
      verify(two.replace("linknumber: 0", "linknumber: 0\n    bindnetaddr: 10.0.0.0")).warnings,
    ).toEqual([expect.stringContaining("'bindnetaddr' is of the age of multicast")]);
  });
});

describe("the writer", () => {
  test("sorts, merges what corosync merges, and says which comments are lost", () => {
    const text =
      "totem {\n  version: 2\n}\n# one\ntotem {\n  config_version: 4\n  version: 3\n}\nnodelist {\n  # two\n  node {\n    ring0_addr: b\n    nodeid: 1\n    name: b\n  }\n  node {\n    nodeid: 2\n    name: a\n    ring0_addr: a\n  }\n}\n";
    const edit = valueOf(withVotes(text, "a", 3));
    expect(edit.text).toBe(
      "nodelist {\n  node {\n    name: a\n    nodeid: 2\n    quorum_votes: 3\n    ring0_addr: a\n  }\n  node {\n    name: b\n    nodeid: 1\n    ring0_addr: b\n  }\n}\n\ntotem {\n  config_version: 5\n  version: 3\n}\n\n",
    );
    expect(edit.notes).toEqual(["corosync.conf is written anew: its 2 comments are lost"]);
  });

  test("property: what it wrote is read as the same, and written the same again", () => {
    const size = fc.integer({ min: 1, max: 6 });
    fc.assert(
      fc.property(size, fc.integer({ min: 0, max: 255 }), (count, votes) => {
        let text = cluster(count);
        if (count > 1) text = valueOf(withVotes(text, `pve${count}`, votes)).text;
        const conf = parseConf(text);
        if (!conf.ok) throw new Error(conf.reason);
        expect(canonicalText(conf.value)).toBe(text);
        expect(valueOf(readClusterConf(text)).nodes).toHaveLength(count);
      }),
    );
  });

  test("property: whatever the file, an edit never throws", () => {
    const line = fc.constantFrom(
      ..."totem {|nodelist {|node {|interface {|quorum {|device {|net {|}|}|name: a|nodeid: 1|ring0_addr: x|config_version: 7|two_node: 1|votes: 0|linknumber: 9|# c".split(
        "|",
      ),
    );
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), (all) => {
        const text = `${all.join("\n")}\n`;
        for (const edit of [
          withNode(text, node("b", "10.0.0.2")),
          withoutNode(text, "a"),
          withVotes(text, "a", 0),
          withName(text, "a", "b"),
          withAddress(text, "a", 0, "y"),
          withLink(text, { number: 1, addresses: new Map([["a", "z"]]) }),
          withoutLink(text, 0),
        ]) {
          if (edit.ok) expect(parseConf(edit.value.text).ok).toBe(true);
          else expect(edit.reason).not.toBe("");
        }
      }),
    );
  });
});
