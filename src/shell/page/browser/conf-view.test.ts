// corosync.conf for reading and editing: keys with their meaning, and the version of a change.
import { expect, test } from "bun:test";
import { confOf } from "../../../../test/double/map-cluster.ts";
import { confGroups, versionOf, withRaisedVersion } from "./conf-view.ts";

test("each section by its path and name, each key with its meaning where one is known", () => {
  const groups = confGroups(confOf(2, 7));
  expect(groups?.map(({ title }) => title)).toEqual([
    ...["totem", "logging", "quorum", "nodelist.node n1", "nodelist.node n2"],
  ]);
  const rows = new Map(groups?.flatMap((group) => group.rows.map((row) => [row.key, row])));
  expect(rows.get("config_version")).toMatchObject({ value: "7", section: "totem" });
  expect(rows.get("ring0_addr")?.meaning).toBe("Where this node is on that link");
  expect(rows.get("timestamp")?.meaning).toBe("");
  expect(confGroups("totem {\n")).toBeUndefined();
});

test("the version goes up by itself, once, unless somebody has raised it", () => {
  const before = confOf(2, 7);
  const edited = before.replace("knet", "udpu");
  expect(versionOf(withRaisedVersion(edited, before))).toBe(8);
  expect(withRaisedVersion(edited, before)).toBe(confOf(2, 8).replace("knet", "udpu"));
  const lower = confOf(2, 3);
  expect(versionOf(withRaisedVersion(lower, before))).toBe(8);
  const higher = confOf(2, 20);
  expect(withRaisedVersion(higher, before)).toBe(higher);
  // Without one the node says what is wrong.
  expect(withRaisedVersion("totem {\n}\n", before)).toBe("totem {\n}\n");
});
