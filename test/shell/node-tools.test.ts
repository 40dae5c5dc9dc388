// corosync-quorumtool and corosync-cfgtool where no recording is: wrong options, several at once, orders and names, monitoring, the end of
// a node. What is expected was seen of corosync 3.1.7.
import { expect, test } from "bun:test";
import { ToolWorld } from "../golden/tool-world.ts";

const quorumtool = "corosync-quorumtool";
const cfgtool = "corosync-cfgtool";

async function started(...conf: ConstructorParameters<typeof ToolWorld>): Promise<ToolWorld> {
  const world = new ToolWorld(...conf);
  await world.start(...Array.from({ length: conf[0].nodes }, (_, at) => at + 1));
  return world;
}

const failure = (errors: string) => ({ code: 1, output: "", errors });

test("options that are wrong are named before any node is asked", async () => {
  const world = new ToolWorld({ nodes: 1 });
  const quorum = (...args: string[]) => world.call(quorumtool, undefined, args);
  const help = await quorum("-h", "-Z");
  expect(help).toMatchObject({ code: 0, errors: "" });
  expect(help.output).toStartWith("usage: \ncorosync-quorumtool <options>\n\n  options:\n\n  -s  ");
  expect(help.output).toEndWith("is the quorum provider for corosync\n\n");
  for (const [args, complaint] of [
    [["-Z"], "invalid option -- 'Z'"],
    [["--help"], "invalid option -- '-'"],
    [["-s", "-e"], "option requires an argument -- 'e'"],
  ] as const) {
    const errors = `corosync-quorumtool: ${complaint}\n`;
    expect(await quorum(...args)).toEqual({ code: 1, output: help.output, errors });
  }
  const version = { code: 0, output: "corosync-quorumtool version: 3.1.7\n", errors: "" };
  expect(await quorum("-s", "-V")).toEqual(version);
  const expected = failure("New expected votes value was not valid, try a positive number\n");
  for (const word of ["x", "0", "-1", "3x", "99999999999", ""]) {
    expect(await quorum("-e", word)).toEqual(expected);
  }
  const votes = failure("New votes value was not valid, try a positive number or zero\n");
  for (const word of ["x", "-1"]) expect(await quorum("-v", word, "-n", "2")).toEqual(votes);
  const nodeid = failure("The nodeid was not valid, try a positive number\n");
  for (const word of ["x", "0"]) expect(await quorum("-v", "1", "-n", word)).toEqual(nodeid);
  expect(await quorum("-o", "z")).toEqual(
    failure("Invalid ordering option. valid orders are a(address), i(node ID) or n(name)\n"),
  );
  const cfg = (...args: string[]) => world.call(cfgtool, undefined, args);
  const usage = await cfg("-h");
  expect(usage).toMatchObject({ code: 0, errors: "" });
  expect(usage.output).toStartWith("corosync-cfgtool [[-i <interface ip>] [-b] -s] [-R] [-L] ");
  for (const args of [[], ["-b"], ["-i", "0"], ["foo"], ["-r"], ["--force"]]) {
    expect(await cfg(...args)).toEqual(usage);
  }
  for (const args of [
    ["-a", "x"],
    ["-a", "2x"],
    ["-k", "0"],
    ["-k", "-1"],
  ]) {
    expect(await cfg(...args)).toEqual(nodeid);
  }
  expect(await cfg("-Z")).toEqual(failure("corosync-cfgtool: invalid option -- 'Z'\n"));
  expect(await cfg("-s", "-k")).toEqual(
    failure("corosync-cfgtool: option requires an argument -- 'k'\n"),
  );
});

test("without a daemon: each in its own words", async () => {
  const world = new ToolWorld({ nodes: 1 });
  for (const args of [["-e", "3"], ["-v", "1"], ["-f"], ["-m"], ["-l"]]) {
    const called = await world.call(quorumtool, undefined, args);
    expect(called).toEqual(failure("Cannot initialize CMAP service\n"));
  }
  const api = "Could not initialize corosync configuration API error";
  const cfg = (...args: string[]) => world.call(cfgtool, undefined, args);
  expect(await cfg("-a", "1")).toEqual(failure(`${api} 2\n`));
  expect(await cfg("-H")).toEqual(failure(`${api} 2\n`));
  expect(await cfg("-L")).toEqual(failure(`${api} CS_ERR_LIBRARY\n`));
  expect(await cfg("-k", "1")).toEqual({
    ...{ code: 1, output: "Killing node 1\n", errors: `${api} 2\n` },
  });
});

test("the last of several actions counts; words that are no options do not", async () => {
  const world = await started({ nodes: 2 });
  const quorum = (...args: string[]) => world.call(quorumtool, 1, args);
  const list = await quorum("-l");
  const status = await quorum("-s");
  expect(status.output).toContain("\nDate:             Sun Nov  1 09:05:07 2026\n");
  expect(await quorum("-s", "-l", "foo")).toEqual(list);
  expect(await quorum("foo", "-l", "-s")).toEqual(status);
  expect(await quorum("-n", "2")).toEqual(status);
  expect(await quorum("-e", "9", "-s")).toEqual(status);
  expect(await quorum("-s", "-e", "9")).toEqual(
    failure("Unable to set expected votes: CS_ERR_INVALID_PARAM\n"),
  );
  expect(await quorum("-e", "2147483647")).toEqual(
    failure("Unable to set expected votes: CS_ERR_INVALID_PARAM\n"),
  );
  expect(await quorum("-v", "1")).toEqual({ code: 0, output: "", errors: "" });
  const cfg = (...args: string[]) => world.call(cfgtool, 1, args);
  const links = await cfg("-s");
  const nodes = await cfg("-n");
  for (const name of ["5", "10.96.0.1", "1.2.3.4", "xx"]) {
    expect(await cfg("-i", name, "-s")).toEqual(links);
  }
  expect(await cfg("-s", "-n")).toEqual(nodes);
  expect(await cfg("-n", "-s", "-h")).toEqual(links);
  expect(await cfg("-L")).toEqual({ code: 0, output: "", errors: "" });
});

test("names: hexadecimal ids, by name, of the resolver where corosync.conf gives none", async () => {
  const world = await started({ nodes: 3, isNameless: true });
  const quorum = (...args: string[]) => world.call(quorumtool, 3, args);
  const head = "\nMembership information\n----------------------\n    Nodeid      Votes Name\n";
  expect((await quorum("-l")).output).toBe(
    `${head}         1          1 \n         2          1 two.example\n         3          1  (local)\n`,
  );
  expect((await quorum("-l", "-i", "-H")).output).toBe(
    `${head}0x00000001          1 10.96.0.1\n0x00000002          1 10.96.0.2\n0x00000003          1 10.96.0.3 (local)\n`,
  );
  const names = (await quorum("-lon")).output.split("\n").slice(4, 7);
  expect(names.at(-1)).toBe("         2          1 two.example");
});

test("without a quorum provider votes cannot be changed", async () => {
  const world = await started({ nodes: 2, quorum: [] });
  const quorum = (...args: string[]) => world.call(quorumtool, 1, args);
  const refused = (what: string) =>
    failure(`You cannot ${what}, corosync is not using votequorum\n`);
  expect(await quorum("-v", "1")).toEqual(refused("change node votes"));
  expect(await quorum("-f")).toEqual(refused("unregister quorum device"));
  expect(await quorum("-m")).toMatchObject({ code: 1, output: "" });
});

test("monitoring prints what there is, and again when something has changed", async () => {
  const world = await started({ nodes: 2 });
  let looks = 0;
  const again = async (): Promise<boolean> => {
    looks += 1;
    if (looks === 3) world.node(2).crash();
    if (looks === 3) await world.pass(15);
    return looks < 6;
  };
  const { code, output } = await world.call(quorumtool, 1, ["-m"], again);
  expect(code).toBe(0);
  const shown = output.split("Quorum information\n").slice(1);
  expect(shown.map((text) => /^Quorate: +(\w+)$/m.exec(text)?.[1])).toEqual(["Yes", "No"]);
  expect(shown.every((text) => text.endsWith("\n\n"))).toBe(true);
});

test("a node that is killed ends at once, with the reason in its log, and the others do not wait for it", async () => {
  const world = await started({ nodes: 3 });
  expect(await world.call(cfgtool, 1, ["-k", "3"])).toEqual({
    ...{ code: 0, output: "Killing node 3\n", errors: "" },
  });
  await world.pass(1);
  expect(world.node(3).running).toBe(false);
  expect(world.lines(3).at(-1)).toBe("ends: Killed by node 1 : Killed by corosync-cfgtool");
  expect(world.node(1).member?.members).toEqual([1, 2]);
  expect(world.lines(1).join()).not.toMatch(/token timed out|Failed to receive/);
});

test("a node that is shut down leaves", async () => {
  const world = await started({ nodes: 3 });
  const { code, output } = await world.call(cfgtool, 3, ["-H", "--force"]);
  expect({ code, output }).toEqual({ code: 0, output: "Shutting down corosync\n" });
  await world.pass(2);
  expect(world.node(3).running).toBe(false);
  expect(world.node(1).member?.members).toEqual([1, 2]);
  expect(world.lines(1)).toContain("[CFG] Node 3 was shut down by sysadmin");
});
