import { expect, test } from "bun:test";
import type { Ask } from "../../../node/settings/resolve.ts";
import { freshConf } from "../../conf/fresh.ts";
import { withNode } from "../../conf/nodes.ts";
import { resolvedIn } from "./name-check.ts";
import { withPlace } from "../../join/place-edits.ts";

/** pve1 to pve3 at these, one link. */
function confOf(...[first = "", ...others]: readonly string[]): string {
  const fresh = freshConf({
    clusterName: "prod",
    node: { name: "pve1" },
    links: [{ number: 0, address: first, priority: 0 }],
  });
  if (!fresh.ok) throw new Error(fresh.reason);
  return others.reduce((text, address, at) => {
    const edit = withNode(text, { name: `pve${at + 2}`, links: new Map([[0, address]]) });
    if (!edit.ok) throw new Error(edit.reason);
    return edit.value.text;
  }, fresh.value);
}

const asking = (known: Readonly<Record<string, string>>): Ask & { asked: string[] } => {
  const asked: string[] = [];
  const ask: Ask = async (name) => {
    asked.push(name);
    const address = known[name];
    if (address === undefined) throw new Error("ENOTFOUND");
    return [{ address, family: 4 }];
  };
  return Object.assign(ask, { asked });
};

async function notes(text: string, ask: Ask, waitMs?: number): Promise<readonly string[]> {
  const request = {
    ...{ node: "pve9", nodeid: undefined, votes: 1, fallbackAddress: undefined },
    ...{ links: new Map([[0, "10.0.0.9"]]), isForced: false, apiVersion: 1 },
  };
  const place = withPlace(text, request, await resolvedIn(text, ask, waitMs));
  if (!place.ok) throw new Error(place.reason);
  return place.value.notes;
}

test("a place in a cluster with names comes with the original's warnings", async () => {
  const ask = asking({ "b.lab": "10.0.0.2" });
  expect(await notes(confOf("10.0.0.1", "b.lab", "c.lab"), ask)).toEqual([
    "warning: ring0_addr 'b.lab' for node 'pve2' resolves to '10.0.0.2' - consider replacing it with the currently resolved IP address for stability",
    "warning: unable to resolve ring0_addr 'c.lab' for node 'pve3' to an IP address according to Corosync's resolve strategy - cluster could fail on restart!",
  ]);
  // An address is not asked for.
  expect(ask.asked).toEqual(["b.lab", "c.lab"]);
});

test("addresses alone are no reason for a warning, however they are written", async () => {
  const ask = asking({});
  expect(await notes(confOf("FD00::0001", "fd00::2"), ask)).toEqual([]);
  expect(ask.asked).toEqual([]);
});

test("a resolver that does not answer is waited for once, and only the name that was asked is named", async () => {
  let asked = 0;
  const silent: Ask = () => {
    asked += 1;
    return Promise.withResolvers<never>().promise;
  };
  const found = await notes(confOf("a.lab", "b.lab"), silent, 10);
  expect(found).toHaveLength(1);
  expect(found[0]).toContain("unable to resolve ring0_addr 'a.lab' for node 'pve1'");
  expect(asked).toBe(1);
});

test("what is no corosync.conf has no names", async () => {
  expect((await resolvedIn("junk {", asking({}))).size).toBe(0);
});
