// corosync-cpgtool: each recorded text again, from the processes that stand in it.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CommandFailure, exitNotRunning } from "../../src/shell/exit.ts";
import { groupListing } from "../../src/shell/cmap/group-listing.ts";
import { cpgtool } from "../../src/shell/tool/cpgtool.ts";

const directory = join(import.meta.dir, "tools");
const rows = readFileSync(join(directory, "INDEX.tsv"), "utf8")
  .split("\n")
  .map((line) => line.split("\t"))
  .filter(([, , command = ""]) => command.startsWith("corosync-cpgtool"));

/** Of a text with names that are escaped. */
function processesIn(text: string) {
  let group = "";
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, pid, nodeid] = /^\t\t +(\d+)\t +(\d+) \(/.exec(line) ?? [];
      if (pid !== undefined) return [{ group, pid: Number(pid), nodeid: Number(nodeid) }];
      group = line.replaceAll("\\x00", "\0");
      return [];
    });
}

const nodes = [1, 2, 3, 4].map((nodeid) => ({
  ...{ nodeid, name: `n${nodeid}`, votes: 1 },
  addresses: [`10.96.0.${nodeid}`],
}));

async function run(args: readonly string[], groups: () => ReturnType<typeof groupListing>) {
  let text = "";
  const code = await cpgtool({
    args,
    groups: async () => groups(),
    write: (bytes) =>
      void (text += typeof bytes === "string" ? bytes : Buffer.from(bytes).toString("latin1")),
    writeError: (line) => void (text += line),
  });
  return { code, text };
}

for (const [file = "", code = "", command = ""] of rows) {
  test(file, async () => {
    const expected = readFileSync(join(directory, file), "latin1");
    const escaped = file.replace(/\.cpgtool(-[en])?\.txt$/, ".cpgtool.txt");
    const processes = processesIn(readFileSync(join(directory, escaped), "latin1"));
    // Their order on the way in must not matter.
    const listing = groupListing(processes.toReversed(), nodes);
    const isDown = file.startsWith("daemon-down");
    const groups = () => {
      if (isDown) throw new CommandFailure("no node answers", exitNotRunning);
      return listing;
    };
    const args = command.split(" ").slice(1);
    expect(await run(args, groups)).toEqual({ code: Number(code.slice(3)), text: expected });
  });
}

test("names with every kind of byte, two links, and a delimiter, as the original prints them", async () => {
  const two = [
    { ...{ nodeid: 1, name: "n1", votes: 1 }, addresses: ["10.93.77.1", "10.93.78.1"] },
    { ...{ nodeid: 3, name: "n3", votes: 1 }, addresses: ["10.93.77.3", undefined, "fd00::3"] },
  ];
  const processes = [
    { group: "pve_dcdb_v1\0", nodeid: 3, pid: 18552 },
    { group: "pve_kvstore_v1\0", nodeid: 3, pid: 18552 },
    { group: "a b\\c\x01\xe9\xab~z", nodeid: 1, pid: 19521 },
  ];
  const listing = () => groupListing(processes, two);
  expect((await run([], listing)).text).toBe(
    [
      "Group Name\t       PID\t   Node ID",
      "pve_dcdb_v1\\x00",
      "\t\t     18552\t         3 (10.93.77.3 fd00::3)",
      "pve_kvstore_v1\\x00",
      "\t\t     18552\t         3 (10.93.77.3 fd00::3)",
      "a b\\\\c\\x01\\xFFFFFFE9\\xFFFFFFAB~z",
      "\t\t     19521\t         1 (10.93.77.1 10.93.78.1)",
      "",
    ].join("\n"),
  );
  expect((await run(["-d", ",x"], listing)).text).toStartWith(
    "GRP_NAME,PID,NODEID\npve_dcdb_v1\\x00,18552,3\n",
  );
  expect((await run(["-nd,"], listing)).text).toBe(
    "pve_dcdb_v1\\x00,pve_kvstore_v1\\x00,a b\\\\c\\x01\\xFFFFFFE9\\xFFFFFFAB~z,\n",
  );
  expect((await run(["-ne"], listing)).text).toEndWith("\na b\\c\x01\xe9\xab~z\n");
  expect(await run(["-d"], listing)).toEqual({
    code: 1,
    text: "corosync-cpgtool: option requires an argument -- 'd'\n",
  });
});
