// Checks and exporters of the kind that people publish for corosync's tools (Prometheus textfile collectors, Nagios plugins, Zabbix user
// parameters), written anew: from what the originals printed and from what ours print in the same situation they make the same.
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ToolWorld, type Printed } from "./tool-world.ts";

interface Check {
  readonly name: string;
  /** Whose output it reads from standard input. */
  readonly row: string;
  /** Of a POSIX shell. */
  readonly script: string;
}

const checks: readonly Check[] = [
  {
    name: "Prometheus textfile: votes",
    row: "quorumtool-s",
    script: `awk -F: '
      /^Nodes:/            { gsub(/ /, "", $2); print "corosync_nodes " $2 }
      /^Quorate:/          { print "corosync_quorate " ($2 ~ /Yes/ ? 1 : 0) }
      /^Expected votes:/   { print "corosync_votes_expected " $2 + 0 }
      /^Highest expected:/ { print "corosync_votes_highest_expected " $2 + 0 }
      /^Total votes:/      { print "corosync_votes_total " $2 + 0 }
      /^Quorum:/           { print "corosync_votes_needed " $2 + 0 }
      /^Ring ID:/          { split($2, id, "."); print "corosync_ring_representative " id[1] + 0 }'`,
  },
  {
    name: "Nagios: quorate, enough votes, who is there",
    row: "quorumtool-s",
    script: `text=$(cat)
      expected=$(printf '%s\\n' "$text" | sed -n 's/^Expected votes: *//p')
      total=$(printf '%s\\n' "$text" | sed -n 's/^Total votes: *//p')
      nodes=$(printf '%s\\n' "$text" | grep -E '^ +[0-9]+ +[0-9]+ ' | awk '{print $3}' | paste -sd,)
      if ! printf '%s\\n' "$text" | grep -q '^Quorate: *Yes'; then echo "CRITICAL - no quorum ($total/$expected): $nodes"; exit 2; fi
      if [ "$total" -lt "$expected" ]; then echo "WARNING - $total of $expected votes: $nodes"; exit 1; fi
      echo "OK - quorate, $total of $expected votes: $nodes"`,
  },
  {
    name: "Zabbix: members that are joined, and that have left",
    row: "cmapctl",
    script: `text=$(cat)
      echo "joined $(printf '%s\\n' "$text" | grep -Ec '^runtime\\.members\\.[0-9]+\\.status .*= joined$')"
      echo "left $(printf '%s\\n' "$text" | grep -Ec '^runtime\\.members\\.[0-9]+\\.status .*= left$')"
      printf '%s\\n' "$text" | awk -F'[. ()=]+' '/^runtime\\.members\\.[0-9]+\\.join_count/ { print "join_count{node=" $3 "} " $NF }'`,
  },
  {
    name: "Prometheus textfile: links that are connected",
    row: "cfgtool-s",
    script: `awk '
      /^LINK ID/       { link = $3 }
      /addr\\t=/        { address[link] = $3 }
      /nodeid:.*:\\t/   { total[link]++; up[link] += ($NF == "connected" || $NF == "localhost") }
      END { for (l in total) print "corosync_link_up{link=" l ",addr=" address[l] "} " up[l] "/" total[l] }'`,
  },
  {
    name: "configuration drift: this node's version and the members'",
    row: "cmapctl",
    script: `awk -F' = ' '
      /^totem\\.config_version /                     { own = $2 }
      /^totem\\.cluster_name /                       { cluster = $2 }
      /^runtime\\.members\\.[0-9]+\\.config_version / { if ($2 != want) versions = versions " " $2; want = $2 }
      /^runtime\\.config\\.totem\\.token /            { token = $2 }
      END { print cluster, "version", own, "members" versions, "token", token }'`,
  },
];

const looked = await printedIn("3n-healthy", "3n-one-killed", "3n-partition-minority");

/** Every row of these situations, by the name of its file without ".txt". */
async function printedIn(...situations: readonly string[]): Promise<ReadonlyMap<string, Printed>> {
  const world = new ToolWorld({ nodes: 3 });
  await world.start(1, 2, 3);
  await world.look("3n-healthy");
  world.edit({ version: 2 });
  await world.act("3n-healthy.n1.cfgtool-R");
  await world.pass(1);
  await world.kill(3);
  await world.look("3n-one-killed");
  const split = new ToolWorld({ nodes: 3 });
  await split.start(1, 2, 3);
  await split.cut([1, 2], [3]);
  await split.look("3n-partition-minority");
  const all = [...world.printed, ...split.printed].filter(({ row }) =>
    situations.includes(row.situation),
  );
  return new Map(all.map((one) => [one.row.file.replace(/\.txt$/, ""), one]));
}

function run(script: string, input: string) {
  const { stdout, stderr, exitCode } = Bun.spawnSync(["sh", "-c", script], {
    stdin: Buffer.from(input),
    env: { PATH: process.env["PATH"] ?? "", LC_ALL: "C" },
  });
  return { code: exitCode, text: stdout.toString(), errors: stderr.toString() };
}

const nodes = ["3n-healthy.n1", "3n-one-killed.n1", "3n-partition-minority.n3"] as const;

for (const { name, row, script } of checks) {
  test.each(nodes)(`${name}: %s`, (node) => {
    const file = join(import.meta.dir, "tools", `${node}.${row}.txt`);
    const theirs = run(script, readFileSync(file, "utf8"));
    expect(theirs.errors).toBe("");
    expect(theirs.text).toMatch(/\d/);
    expect(run(script, looked.get(`${node}.${row}`)?.output ?? "")).toEqual(theirs);
  });
}

test("the values are those of the situation", () => {
  const of = (row: string, check: number): string =>
    run(checks[check]?.script ?? "", looked.get(row)?.output ?? "").text;
  expect(of("3n-one-killed.n1.quorumtool-s", 1)).toBe("WARNING - 2 of 3 votes: n1,n2\n");
  expect(of("3n-partition-minority.n3.cmapctl", 2)).toStartWith("joined 1\nleft 2\n");
  expect(of("3n-one-killed.n1.cfgtool-s", 3)).toBe("corosync_link_up{link=0,addr=10.96.0.1} 2/3\n");
  expect(of("3n-one-killed.n1.cmapctl", 4)).toBe("svlab version 2 members 2 token 3650\n");
});
