// Every command of the table as somebody meets it who has never seen it: description, usage, options, examples that are valid lines, and
// one sentence with exit code 2 for what is wrong, with the word that was probably meant (issue 4, first contact).
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { verbNames } from "../../src/shell/cli/table.ts";
import { commandLine, usageLine } from "../../src/shell/manual/help.ts";
import { commandTable } from "../../src/shell/cli/verbs.ts";
import { linkNames } from "../../src/shell/tool/link-names.ts";
import { givenOf, line, type Outcome } from "../double/shell-program.ts";

const table = commandTable();

/** Exit code 2, nothing done, one sentence on stderr. */
function expectComplaint(outcome: Outcome, ...parts: readonly string[]): void {
  expect(outcome).toMatchObject({ code: 2, output: "", called: undefined });
  expect(outcome.error).toMatch(/^quorate: [^\n]+\n$/);
  for (const part of parts) expect(outcome.error).toContain(part);
}

test.each(table.commands.map((command) => [command.name, command] as const))(
  "what quorate %s declares can be told apart",
  (_name, { action, verbs, options }) => {
    const names = options.flatMap((option) => option.names);
    expect(names).toEqual([...new Set(names)]);
    for (const { arguments: all } of [...verbs, ...(action === undefined ? [] : [action])]) {
      const order = all.map(({ isRequired, isRest }) => (isRequired ? 0 : isRest ? 2 : 1));
      expect(order).toEqual(order.toSorted());
      expect(order.filter((each) => each === 2).length).toBeLessThan(2);
    }
  },
);

test("the overview names every command once, with what it is for", async () => {
  const { code, output } = await line("--help");
  expect(code).toBe(0);
  for (const command of table.commands) {
    const start = `  ${commandLine(command)} `;
    expect(output.split("\n").filter((each) => each.startsWith(start))).toHaveLength(1);
    expect(output).toContain(command.description);
  }
});

describe.each(table.commands.map((command) => [command.name, command] as const))(
  "quorate %s",
  (name, command) => {
    test("help has description, usage, verbs, options and an example", async () => {
      const { code, output, error, called } = await line(name, "--help");
      expect({ code, error, called }).toEqual({ code: 0, error: "", called: undefined });
      expect(command.description.length).toBeGreaterThan(10);
      expect(output).toStartWith(`${command.description}\n`);
      expect(output).toContain(`Usage:\n  ${usageLine(command)}\n`);
      for (const verb of verbNames(command)) expect(output).toMatch(RegExp(`^  ${verb}\\b`, "m"));
      for (const option of command.options) {
        expect(option.description).not.toBe("");
        expect(option.names.length).toBeGreaterThan(0);
        expect(output).toContain(`  ${option.raw} `);
      }
      expect(command.examples.length).toBeGreaterThan(0);
      for (const example of command.examples) expect(output).toContain(`  ${example}\n`);
      expect(output).not.toMatch(/\t| $|undefined|\bNaN\b/m);
      expect(output).not.toContain("\u001b");
    });

    test("`help` before it, and -h behind it, even twice, are the same", async () => {
      const { output } = await line(name, "--help");
      expect((await line("help", name)).output).toBe(output);
      expect((await line(name, "-h")).output).toBe(output);
      expect((await line(name, "-h", "--help")).output).toBe(output);
    });

    test("each example is a line that it takes", async () => {
      for (const example of command.examples.filter((each) => each.startsWith("quorate "))) {
        const [words = ""] = example.slice("quorate ".length).split(/ [>|] /);
        const outcome = await line(...words.split(" "));
        expect(`${example}: ${outcome.error}`).toBe(`${example}: `);
        expect(outcome.called?.name).toBe(name);
      }
    });

    test("a slip in its name is recognised", async () => {
      const [first, second = "", third = "", ...rest] = name;
      const slip = name.length > 2 ? `${first}${third}${second}${rest.join("")}` : `${name}x`;
      expectComplaint(await line(slip), `"${slip}"`, `did you mean \`quorate ${name}\`?`);
    });

    test("a slip in an option is recognised, an unknown one named", async () => {
      const words = verbNames(command).slice(0, 1);
      for (const option of command.options) {
        const long = option.names.find((each) => each.startsWith("--"))!;
        const slip = `${long}x`;
        if (command.options.some(({ names }) => names.includes(slip))) continue;
        expectComplaint(await line(name, ...words, slip), `no option ${slip}`, "did you mean --");
      }
      expectComplaint(
        await line(name, ...words, "--zzzzzzzz"),
        "--zzzzzzzz",
        `quorate ${name} --help`,
      );
      expectComplaint(await line(name, ...words, "-Z"), "-Z", `quorate ${name} --help`);
    });

    test("a missing value, a second one, and a value for a switch are named", async () => {
      const words = verbNames(command).slice(0, 1);
      // Help and version are told whatever else is wrong.
      for (const option of command.options.filter((each) => !table.options.includes(each))) {
        const long = option.names.find((each) => each.startsWith("--"))!;
        if (option.value === undefined) {
          expectComplaint(await line(name, ...words, `${long}=yes`), `${long} is a switch`);
        } else {
          const value = option.value.kind === "words" ? option.value.words[0]! : "x";
          expectComplaint(await line(name, ...words, long), `${long} needs a value: ${option.raw}`);
          // As a script writes it whose variable was not set. A password may be nothing.
          if (!option.value.mayBeEmpty) {
            expectComplaint(await line(name, ...words, long, ""), `${long} needs a value`);
            expectComplaint(await line(name, ...words, `${long}=`), `${long} needs a value`);
          }
          const twice = await line(name, ...words, long, value, long, value);
          if (option.isRepeatable) expect(twice.error).not.toContain("more than once");
          else expectComplaint(twice, `${long} was given more than once`);
        }
      }
    });

    test("a verb that is none, and one too many", async () => {
      const names = verbNames(command);
      const [first] = names;
      if (first !== undefined) {
        expectComplaint(await line(name, `${first}x`), `"${first}x"`, "did you mean");
        expectComplaint(await line(name, "zzzzzzzz"), `the verbs are ${first}`);
        const none = await line(name);
        if (command.action !== undefined) expect(none.code).toBe(0);
        else expectComplaint(none, `needs a verb: ${first}`, `quorate ${name} --help`);
      }
      if (command.arguments.some(({ isRest }) => isRest)) return;
      const [takes] = command.arguments;
      const enough = command.arguments.map(({ value }) =>
        value.kind === "words" ? value.words[0]! : "node",
      );
      expectComplaint(await line(name, ...enough, "extra"), `"extra" is too much`);
      if (takes?.isRequired === true)
        expectComplaint(await line(name), `\`quorate ${name}\` needs`);
    });
  },
);

describe("what somebody might type", () => {
  test("nothing is a welcome", async () => {
    expect((await line()).called?.name).toBe("welcome");
  });

  test.each([["--version"], ["-v"]])("%s, also behind a command", async (option) => {
    expect(await line(option)).toMatchObject({ code: 0, output: "quorate 1.2.3\n" });
    expect(await line("status", option)).toMatchObject({ code: 0, output: "quorate 1.2.3\n" });
  });

  test.each([
    ["ls", "quorate fs ls"],
    ["invite", "quorate qnetd invite"],
    ["setup", "quorate qdevice setup"],
    ["invit", "quorate qnetd invite"],
  ])("%s without its command", async (typed, meant) => {
    expectComplaint(await line(typed), `did you mean \`${meant}\`?`);
  });

  test.each(linkNames.map((name) => [name]))("%s, which is a name of its own", async (name) => {
    expectComplaint(await line(name), name, "a link of that name");
  });

  test("an unknown command with --help, an option without a command", async () => {
    expectComplaint(await line("stauts", "--help"), "did you mean `quorate status`?");
    expectComplaint(await line("--hlep"), "no option --hlep", "did you mean --help?");
  });

  test("an option's word forgotten its dashes", async () => {
    expectComplaint(await line("status", "json"), "did you mean --json?");
  });

  test("a choice that is none", async () => {
    expectComplaint(
      await line("node", "--durability", "half"),
      '--durability is full, normal or strict, not "half"',
    );
    expectComplaint(await line("completion", "tcsh"), 'takes bash, zsh or fish, not "tcsh"');
  });

  test.each([["--root.a"], ["--a.b.c"], ["--constructor"], ["--__proto__"], ["---json"], ["-"]])(
    "%s does no harm",
    async (word) => {
      const outcome = await line("status", word, "1");
      expect([0, 2]).toContain(outcome.code);
      if (word !== "-") expectComplaint(outcome);
    },
  );
});

describe("words stay as they were typed", () => {
  test.each([["007"], ["1e3"], ["0x10"], ["true"], ["false"], [""], [" "], ["-0"]])(
    '"%s" as a value and as an argument',
    async (word) => {
      const joined = await line("qdevice", "setup", "pve1", `--password=${word}`);
      expect(givenOf(joined)["password"]).toBe(word);
      if (word.startsWith("-")) return;
      const apart = await line("qdevice", "setup", word, "--password", word);
      expect(givenOf(apart)["password"]).toBe(word);
      expect(apart.called?.call?.words).toEqual([word]);
    },
  );

  test("behind -- everything is an argument", async () => {
    const outcome = await line("fs", "mv", "--", "--json", "-x");
    expect(outcome.called?.call?.verb.name).toBe("mv");
    expect(outcome.called?.call?.words).toEqual(["--json", "-x"]);
  });

  test("the help of a verb has its own options only, and those are refused elsewhere", async () => {
    const status = (await line("qnetd", "status", "--help")).output;
    expect(status).toStartWith("Vote server for clusters");
    expect(status).toContain("quorate qnetd status  clusters, nodes, and why");
    for (const text of ["--watch", "--json", "--root"]) expect(status).toContain(text);
    for (const text of ["--http", "--expires", "quorate qnetd invite", "(none)"]) {
      expect(status).not.toContain(text);
    }
    expect((await line("help", "qdevice", "setup")).output).toContain(
      "quorate qdevice setup TOKEN",
    );
    expectComplaint(
      await line("qnetd", "status", "--http", "x"),
      "--http is an option of `quorate qnetd`, not of `quorate qnetd status`",
    );
    expectComplaint(await line("qnetd", "--list"), "--list is an option of `quorate qnetd invite`");
    expect((await line("qnetd", "invite", "x", "--port", "1")).code).toBe(0);
  });

  test("a verb with too few or too many arguments is told in its form", async () => {
    expectComplaint(
      await line("fs", "mv", "a"),
      "it is `quorate fs mv FROM TO`; 1 argument was given",
    );
    expectComplaint(await line("qnetd", "status", "x"), "it is `quorate qnetd status`; 1 argument");
    expectComplaint(
      await line("qdevice", "setup"),
      "it is `quorate qdevice setup TOKEN` or `quorate qdevice setup ADDRESS`; no argument was given",
    );
    const files = ["a", "b", "c", "d"];
    expect((await line("qnetd", "certificates", "import", ...files)).code).toBe(0);
    // The option that is nearest to a short word is none of one letter.
    expect((await line("node", "x")).error).not.toContain("did you mean");
  });

  test("joined letters are an option each, and only the last can have a value", async () => {
    expectComplaint(await line("fs", "ls", "-rp"), "-p is an option of `quorate fs mkdir`");
    expectComplaint(await line("fs", "ls", "-rx=1"), "no option -x");
    expect(givenOf(await line("fs", "-r", "ls", "a"))).toMatchObject({ isRecursive: true });
    expect((await line("--root", "/x", "fs", "ls")).called?.call?.given["root"]).toBe("/x");
  });

  test("a word that its place does not take, before anything is loaded", async () => {
    expectComplaint(
      await line("qnetd", "certificates", "drop"),
      '`quorate qnetd certificates` takes list, renew or import, not "drop"',
    );
    expectComplaint(await line("fs", "cat", ""), "takes a path inside the tree");
    expectComplaint(
      await line("qnetd", "--max-clients", "many"),
      '--max-clients is a number of nodes from 0 to 999999999, not "many"',
    );
  });

  test("version without dashes", async () => {
    expect((await line("version")).output).toBe((await line("--version")).output);
  });

  test("a single dash is a word, and a value", async () => {
    const outcome = await line("qdevice", "setup", "-", "--password", "-", "--force");
    expect(outcome.called?.call?.words).toEqual(["-"]);
    expect(givenOf(outcome)["password"]).toBe("-");
    expect(givenOf(outcome)["force"]).toBe(true);
  });

  test("a repeatable option keeps all its values, a switch twice is a switch", async () => {
    const outcome = await line("qnetd", "--set", "a=1", "--set", "b=2", "--debug", "--debug");
    expect(givenOf(outcome)["set"]).toEqual(["a=1", "b=2"]);
    expect(givenOf(outcome)["isDebug"]).toBe(true);
  });

  test("defaults are there, --no- switches off", async () => {
    const node = await line("node");
    expect(givenOf(node)["root"]).toBe("/");
    expect(givenOf(node)["durability"]).toBe("full");
    expect(givenOf(node)["noMount"]).toBe(false);
    expect(givenOf(await line("node", "--no-mount"))["noMount"]).toBe(true);
    expect(givenOf(await line("qnetd"))["tls"]).toBe("on");
    expect(givenOf(await line("qnetd", "--no-client-cert"))["noClientCert"]).toBe(true);
  });
});

test("no line of words does more than run one verb or complain in one line", async () => {
  const known = table.commands.flatMap(({ name, verbs, options }) => [
    name,
    ...verbs.map((verb) => verb.name),
    ...options.flatMap(({ names }) => names),
  ]);
  const word = fc.oneof(
    fc.constantFrom(...known),
    fc.constantFrom(...known).map((each) => `${each}=1`),
    fc.constantFrom(
      "--",
      "-",
      "---",
      "=",
      "--=",
      "--no-",
      "-=",
      "--no-root",
      "0",
      "\0",
      "-_",
      "--_=1",
      "--__proto__",
    ),
    fc.string({ maxLength: 6 }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(word, { maxLength: 6 }), async (words) => {
      const { code, output, error, called } = await line(...words);
      if (code === 2) {
        expect(called).toBeUndefined();
        expect(output).toBe("");
        expect(error).toStartWith("quorate: ");
        expect(error).toEndWith("\n");
      } else {
        expect(code).toBe(0);
        expect(error).toBe("");
        expect(called !== undefined || output !== "").toBe(true);
      }
    }),
    { numRuns: 500 },
  );
});
