// pvecm's command line (pvecm.md §1.0): which command is meant, what is wrong with its words, and that nothing is done then.
import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCommand, pvecmCommands } from "./commands.ts";
import { pvecm } from "./pvecm.ts";
import { readLink, readWords } from "./words.ts";

async function call(...args: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), "pvecm-"));
  let [out, error] = ["", ""];
  try {
    const code = await pvecm({
      root,
      args,
      write: (text) => void (out += text),
      writeError: (text) => void (error += text),
    });
    expect(readdirSync(root)).toEqual([]);
    return { code, out, error };
  } finally {
    rmSync(root, { recursive: true });
  }
}

const usages = `USAGE: pvecm <COMMAND> [ARGS] [OPTIONS]
       pvecm add <hostname> [OPTIONS]
       pvecm addnode <node> [OPTIONS]
       pvecm apiver
       pvecm create <clustername> [OPTIONS]
       pvecm delnode <node>
       pvecm expected <expected>
       pvecm keygen <filename>
       pvecm mtunnel [<extra-args>] [OPTIONS]
       pvecm nodes
       pvecm qdevice remove
       pvecm qdevice setup <address> [OPTIONS]
       pvecm status
       pvecm updatecerts [OPTIONS]

       pvecm help [<extra-args>] [OPTIONS]
`;

test("no command, an unknown one, help, apiver", async () => {
  expect(await call()).toEqual({
    code: 255,
    out: "",
    error: `ERROR: no command specified\n${usages}`,
  });
  expect(await call("frob")).toEqual({
    code: 255,
    out: "",
    error: `ERROR: unknown command 'pvecm frob'\n${usages}`,
  });
  expect(await call("help")).toEqual({ code: 0, out: usages, error: "" });
  expect((await call("help", "create")).out).toStartWith(
    "USAGE: pvecm create <clustername> [OPTIONS]\n",
  );
  expect((await call("help", "qdevice", "setup")).out).toStartWith("USAGE: pvecm qdevice setup");
  expect((await call("help", "qdevice")).out).toStartWith("USAGE: pvecm qdevice <COMMAND>");
  expect((await call("help", "--verbose")).out).toContain("USAGE: pvecm delnode <node>\n");
  expect(await call("help", "frob")).toMatchObject({ code: 255, out: "" });
  expect(await call("apiver")).toEqual({ code: 0, out: "1\n", error: "" });
  expect(await call("api")).toEqual({ code: 0, out: "1\n", error: "" });
  expect(await call("qdevice")).toEqual({
    code: 255,
    out: "",
    error:
      "ERROR: no command specified\nUSAGE: pvecm qdevice <COMMAND> [ARGS] [OPTIONS]\n       pvecm qdevice remove\n       pvecm qdevice setup <address> [OPTIONS]\n",
  });
});

test("unique beginnings of commands", () => {
  const named = (...args: string[]): string => {
    const found = findCommand(args);
    return found.kind === "command" ? found.command.name : found.kind;
  };
  expect(named("stat")).toBe("status");
  expect(named("add")).toBe("add"); // Though addnode begins so too.
  expect(named("addn")).toBe("addnode");
  expect(named("q", "s")).toBe("qdevice setup");
  expect(named("a")).toBe("unknown");
  for (const { name } of pvecmCommands) expect(named(...name.split(" "))).toBe(name);
});

describe("what is wrong with the words of a command", () => {
  const verified = "400 Parameter verification failed.";
  const create = "pvecm create <clustername> [OPTIONS]";
  const add = "pvecm add <hostname> [OPTIONS]";
  const addnode = "pvecm addnode <node> [OPTIONS]";
  test.each([
    ["create", "400 not enough arguments", create],
    ["create a b", "400 too many arguments", create],
    ["create a --bogus", "Unknown option: bogus\n400 unable to parse option", create],
    [
      "create a --link",
      "Option link is ambiguous (link0, link1, link2, link3, link4, link5, link6, link7)\n400 unable to parse option",
      create,
    ],
    ["create a --votes", "Option votes requires an argument\n400 unable to parse option", create],
    [
      "create a_b",
      `${verified}\nclustername: invalid format - value does not look like a valid node name`,
      create,
    ],
    [
      "create aaaaaaaaaaaaaaaa",
      `${verified}\nclustername: value may only be 15 characters long`,
      create,
    ],
    [
      "create a --votes 0 --nodeid x",
      `${verified}\nnodeid: type check ('integer') failed - got 'x'\nvotes: value must have a minimum value of 1`,
      create,
    ],
    [
      "create a --token-c=-1",
      `${verified}\ntoken-coefficient: value must have a minimum value of 0`,
      create,
    ],
    [
      "create a --link0 a_b",
      `${verified}\nlink0: invalid format - value does not look like a valid address: a_b`,
      create,
    ],
    [
      "create a --link7 10.0.0.1,priority=256",
      `${verified}\nlink7: value must have a maximum value of 255`,
      create,
    ],
    ["create a --link8 10.0.0.1", "Unknown option: link8\n400 unable to parse option", create],
    [
      "add h --fingerprint AA:BB",
      `${verified}\nfingerprint: value does not match the regex pattern`,
      add,
    ],
    ["add h --force=maybe", `${verified}\nforce: type check ('boolean') failed - got 'maybe'`, add],
    ["add", "400 not enough arguments", add],
    [
      "addnode n --new_node_ip name",
      `${verified}\nnew_node_ip: invalid format - value does not look like a valid IP address`,
      addnode,
    ],
    ["addnode n --votes -1", `${verified}\nvotes: value must have a minimum value of 0`, addnode],
    ["delnode", "400 not enough arguments", "pvecm delnode <node>"],
    [
      "expected 0",
      `${verified}\nexpected: value must have a minimum value of 1`,
      "pvecm expected <expected>",
    ],
    [
      "expected x",
      `${verified}\nexpected: type check ('integer') failed - got 'x'`,
      "pvecm expected <expected>",
    ],
    ["keygen", "400 not enough arguments", "pvecm keygen <filename>"],
    ["status x", "400 too many arguments", "pvecm status"],
    ["nodes --x", "Unknown option: x\n400 unable to parse option", "pvecm nodes"],
    ["apiver x", "400 too many arguments", "pvecm apiver"],
    [
      "mtunnel --migration_network 10.0.0.0",
      `${verified}\nmigration_network: invalid format - value does not look like a valid CIDR network`,
      "pvecm mtunnel [<extra-args>] [OPTIONS]",
    ],
    ["updatecerts x", "400 too many arguments", "pvecm updatecerts [OPTIONS]"],
    ["qdevice setup", "400 not enough arguments", "pvecm qdevice setup <address> [OPTIONS]"],
    [
      "qdevice setup h.example",
      `${verified}\naddress: invalid format - value does not look like a valid IP address`,
      "pvecm qdevice setup <address> [OPTIONS]",
    ],
    ["qdevice remove x", "400 too many arguments", "pvecm qdevice remove"],
  ])("%s", async (line, complaint, usage) => {
    expect(await call(...line.split(" "))).toEqual({
      code: 255,
      out: "",
      error: `${complaint}\n${usage}\n`,
    });
  });
});

describe("what the words say", () => {
  const given = (...args: string[]): Record<string, string> => {
    const found = findCommand(args);
    if (found.kind !== "command") throw new Error(found.kind);
    const words = readWords(found.command, found.rest);
    if (!words.ok) throw new Error(words.complaint);
    return { ...Object.fromEntries(words.given), extra: words.extra.join(" ") };
  };
  test("options in every form, positional ones by name, switches with and without a value", () => {
    expect(given("create", "-votes", "2", "--clustername=prod", "--tok", "0")).toEqual({
      ...{ clustername: "prod", votes: "2", "token-coefficient": "0", extra: "" },
    });
    expect(given("add", "--force", "host", "--use_ssh", "No")).toEqual({
      ...{ force: "1", hostname: "host", use_ssh: "0", extra: "" },
    });
    expect(given("mtunnel", "--run-command", "1", "--", "cat", "-x")).toEqual({
      ...{ "run-command": "1", extra: "cat -x" },
    });
  });

  test("links", () => {
    expect(readLink("10.0.0.1")).toEqual({ address: "10.0.0.1", priority: 0 });
    expect(readLink("priority=20,address=fd00::1")).toEqual({ address: "fd00::1", priority: 20 });
    for (const wrong of [
      "",
      "priority=2",
      "10.0.0.1,x=1",
      "10.0.0.1,10.0.0.2",
      "10.0.0.1,priority=x",
      "a..b",
    ]) {
      expect(typeof readLink(wrong)).toBe("string");
    }
  });
});
