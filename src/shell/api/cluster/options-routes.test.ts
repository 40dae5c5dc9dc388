// datacenter.cfg by GET and PUT /cluster/options (pvecm.md §4.2, §4.7), each reply held against what its route says.
import { beforeEach, describe, expect, test } from "bun:test";
import { callerWith, repliesOf } from "../../../../test/double/api-replies.ts";
import { TestingFiles } from "../../../../test/double/fuse-files.ts";
import { optionsRoutes } from "./options-routes.ts";
import { parseProperties } from "./property-string.ts";

let files: TestingFiles;
let vmlist = "{}";

async function put(path: string, text: string): Promise<void> {
  for (const at of [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index))) {
    if (!files.stat(at).ok) await files.mkdir(at);
  }
  if (!files.stat(path).ok) await files.create(path);
  await files.truncate(path, 0);
  await files.write(path, 0, new TextEncoder().encode(text));
}

function textOf(path: string): string {
  const read = files.read(path);
  return read.ok ? new TextDecoder().decode(read.value) : "";
}

const ask = (caller = callerWith("root@pam", { "/": ["Sys.Audit", "Sys.Modify"] })) =>
  repliesOf(optionsRoutes(files), caller, () => files.isQuorate);
const set = (values: Record<string, string>) => ask()("PUT", "/cluster/options", values);
const shown = async () => (await ask()("GET", "/cluster/options")).data;

beforeEach(() => {
  files = new TestingFiles();
  files.generated.set(".vmlist", () => vmlist);
  vmlist = "{}";
});

test("a value of several parts has no line of its own to add", async () => {
  await put("datacenter.cfg", "keyboard: de\n");
  for (const migration of [
    "secure,\n,",
    "secure,\nkeyboard: fr",
    "type=secure,network=10.0.0.0/24\n",
  ]) {
    expect((await set({ migration })).status).toBe(400);
  }
  expect(textOf("datacenter.cfg")).toBe("keyboard: de\n");
});

test("a lock that is another's meanwhile ends the change", async () => {
  await put("datacenter.cfg", "keyboard: de\n");
  const read = files.read.bind(files);
  files.read = (path) => {
    const lock = files.entries.get("priv/lock/file-datacenter_cfg");
    if (lock !== undefined) lock.mtime = 4_000_000_000;
    return read(path);
  };
  const answer = await set({ keyboard: "fr" });
  expect(answer.status).toBe(500);
  expect(textOf("datacenter.cfg")).toBe("keyboard: de\n");
});

test("without a file: the defaults", async () => {
  expect(await shown()).toEqual({ mac_prefix: "BC:24:11", "allowed-tags": [] });
});

test("values of several parts are objects, tags are lists, notes are the description", async () => {
  await put(
    "datacenter.cfg",
    "#first%3A line\n#sec%C3%B6nd\n\nmigration: secure,network=10.0.0.0/24\nnext-id: lower=200,upper=300\nmax_workers: 4\n" +
      "crs: ha=static,ha-rebalance-on-start=1\nregistered-tags: a;b\nuser-tag-access: user-allow=list,user-allow-list=c;d\n" +
      "console: applet\nlanguage: klingon\nnonsense\n",
  );
  expect(await shown()).toEqual({
    description: "first: line\nsecönd\n",
    ...{ mac_prefix: "BC:24:11", max_workers: 4, console: "html5" },
    migration: { type: "secure", network: "10.0.0.0/24" },
    "next-id": { lower: "200", upper: "300" },
    crs: { ha: "static", "ha-rebalance-on-start": 1 },
    "registered-tags": ["a", "b"],
    "user-tag-access": { "user-allow": "list", "user-allow-list": ["c", "d"] },
    "allowed-tags": ["a", "b", "c", "d"],
  });
});

test("what is set is written sorted behind the notes, what is deleted goes, what is not known stays", async () => {
  await put("datacenter.cfg", "keyboard: de\nfuture-option: x=1\nmac_prefix: AA:BB\n");
  const reply = await set({
    ...{ description: "a: b\nü", migration: "insecure", delete: "keyboard,nothing" },
    ...{ mac_prefix: "bc:24:11", console: "applet" },
  });
  expect(reply).toMatchObject({ status: 200, data: null });
  expect(textOf("datacenter.cfg")).toBe(
    "#a%3A b\n#%C3%BC\n\nconsole: html5\nfuture-option: x=1\nmigration: insecure\n",
  );
  await set({ delete: "description" });
  expect(textOf("datacenter.cfg")).toBe(
    "\nconsole: html5\nfuture-option: x=1\nmigration: insecure\n",
  );
  // The lock was given back.
  expect(files.list("priv/lock")).toEqual({ ok: true, value: [] });
});

test.each([
  [
    "migration",
    "type=open",
    "invalid format - format error\ntype: value 'open' does not have a value in the enumeration 'secure, insecure'",
  ],
  [
    "migration",
    "network=10.0.0.0/24",
    "invalid format - format error\ntype: property is missing and it is not optional",
  ],
  [
    "migration",
    "secure,network=hosts/24",
    "invalid format - format error\nnetwork: value does not match the regex pattern",
  ],
  [
    "migration",
    "secure,network=1.2.3/24",
    "invalid format - format error\nnetwork: value does not look like a valid CIDR network",
  ],
  [
    "migration",
    "secure,speed=9",
    "invalid format - invalid key in comma-separated list property: speed",
  ],
  [
    "migration",
    "secure,insecure",
    "invalid format - duplicate key in comma-separated list property: type",
  ],
  ["ha", "freeze", "invalid format - value without key, but schema does not define a default key"],
  ["next-id", "lower=300,upper=200", "lower (300) <= upper (200) boundary rule broken"],
  [
    "next-id",
    "lower=5",
    "invalid format - format error\nlower: value must have a minimum value of 100",
  ],
  ["max_workers", "0", "value must have a minimum value of 1"],
  ["max_workers", "many", "type check ('integer') failed - got 'many'"],
  [
    "language",
    "klingon",
    expect.stringMatching(/^value 'klingon' does not have a value in the enumeration 'ar, ca,/),
  ],
  ["mac_prefix", "01:00:00", "invalid format - value is not a valid unicast MAC address prefix"],
  ["http_proxy", "ftp://x", "value does not match the regex pattern"],
  ["http_proxy", "http://x\nconsole: vv", "value may not have several lines"],
  ["registered-tags", "a b", "value does not match the regex pattern"],
  ["email_from", "nobody", "invalid format - value does not look like a valid email address"],
])("%s: %j is refused", async (name, value, words) => {
  const { status, errors } = await set({ [name]: value });
  expect({ status, errors }).toEqual({ status: 400, errors: { [name]: words } });
  expect(files.stat("datacenter.cfg").ok).toBe(false);
});

test("rights: everybody sees the console and the tags that are theirs, Sys.Modify sets", async () => {
  await put(
    "datacenter.cfg",
    "console: vv\nkeyboard: de\nregistered-tags: prod\nhttp_proxy: http://u:p@x\n",
  );
  vmlist =
    '{"version":1,"ids":{"100":{"node":"a","type":"qemu","version":1},"101":{"node":"a","type":"lxc","version":1}}}';
  await put("nodes/a/qemu-server/100.conf", "name: web\ntags: blue;prod\n[snap]\ntags: old\n");
  await put("nodes/a/lxc/101.conf", "tags: green\n");
  const joe = callerWith("joe@pve", { "/vms/100": ["VM.Audit"] });
  expect((await ask(joe)("GET", "/cluster/options")).data).toEqual({
    ...{ console: "vv", "allowed-tags": ["blue"] },
  });
  expect(await ask(joe)("PUT", "/cluster/options", { keyboard: "da" })).toMatchObject({
    ...{ status: 403, message: "Permission check failed (/, Sys.Modify)\n" },
  });
  expect(await shown()).toMatchObject({ "allowed-tags": ["blue", "green", "prod"] });
});

test("without quorum nothing is written, and it is said as the original says it", async () => {
  files.isQuorate = false;
  expect(await set({ keyboard: "de" })).toMatchObject({
    ...{ status: 500, message: "cluster not ready - no quorum?\n", code: "noQuorum" },
  });
});

describe("values of several parts", () => {
  const format = { a: { type: "string", isDefault: true }, b: { type: "boolean" } } as const;
  test("booleans are words, parts may be empty, an equals sign belongs to the value", () => {
    expect(parseProperties(format, "x,b=yes,, ")).toEqual({
      ...{ ok: true, value: { a: "x", b: true } },
    });
    expect(parseProperties(format, "a=x=y")).toEqual({ ok: true, value: { a: "x=y" } });
    expect(parseProperties(format, "=x")).toMatchObject({ ok: false });
    expect(parseProperties(format, "__proto__=x")).toMatchObject({ ok: false });
  });
});
