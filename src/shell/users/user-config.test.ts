// user.cfg read and written as Proxmox does it.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseDomains } from "./domains.ts";
import { parseSecrets, withSecret } from "./secret-files.ts";
import { decodeText, encodeText, splitList } from "./text-code.ts";
import { grantsAt, newUser, normalPath, parseUserConfig, setGrant } from "./user-config.ts";
import { UnwritableName, userConfigText } from "./write-user-config.ts";

/** As a Proxmox VE 9 node writes it. */
const written = [
  "user:ann@pve:1:1798761600:Ann:O'Neil:ann@example.com:night shift%3A 50%25:x:",
  "user:joe@pve:0:0::::::",
  "token:joe@pve!backup:0:1:nightly:",
  "token:joe@pve!mon:1798761600:0::",
  "user:root@pam:1:0:::root@example.com:::",
  "",
  "group:admins:ann@pve,joe@pve:The admins:",
  "group:empty:::",
  "",
  "pool:web:Web servers:100,101:local,nfs-1:",
  "pool:web/db:::::".slice(0, -1),
  "",
  "role:Power:VM.Audit,VM.PowerMgmt:",
  "",
  "acl:0:/:@admins:PVEAuditor:",
  "acl:1:/:@admins,joe@pve:PVEAdmin,PVESysAdmin:",
  "acl:1:/storage/local:joe@pve!backup:PVEDatastoreUser:",
  "acl:1:/vms:@empty:Power:",
  "acl:1:/vms/100:ann@pve:NoAccess:",
  "acl:1:/vms-x:ann@pve:NoAccess:",
  "",
].join("\n");

const again = (text: string) => userConfigText(parseUserConfig(text));

describe("user.cfg", () => {
  test("a file of Proxmox's comes back byte for byte", () => {
    expect(again(written)).toBe(written);
  });

  test("every field", () => {
    const { users, groups, pools, roles, grants } = parseUserConfig(written);
    expect(users.get("ann@pve")).toEqual({
      ...{ isEnabled: true, expire: 1_798_761_600, firstname: "Ann", lastname: "O'Neil" },
      ...{ email: "ann@example.com", comment: "night shift: 50%", keys: "x", more: "" },
      tokens: new Map(),
    });
    expect(users.get("joe@pve")).toMatchObject({ isEnabled: false, expire: 0 });
    expect(users.get("joe@pve")?.tokens.get("backup")).toEqual({
      ...{ expire: 0, isSeparated: true, comment: "nightly" },
    });
    expect([...(groups.get("admins")?.users ?? [])]).toEqual(["ann@pve", "joe@pve"]);
    expect([...(pools.get("web")?.vms ?? [])]).toEqual(["100", "101"]);
    expect([...(roles.get("Power") ?? [])]).toEqual(["VM.Audit", "VM.PowerMgmt"]);
    expect([...(grants.get("/")?.groups.get("admins") ?? [])]).toEqual([
      ["PVEAuditor", false],
      ["PVEAdmin", true],
      ["PVESysAdmin", true],
    ]);
  });

  test("an empty file is root's", () => {
    expect(again("")).toBe("user:root@pam:1:0::::::\n\n\n\n\n");
  });

  test("what is not understood is kept; what the original ignores grants nothing", () => {
    const text =
      "# a comment\nuser:bad name@pve:1:0:\nuser:x@pve:1:soon:\nfuture:thing:1:\nuser:new@pve:1:0::::::later:field:\n" +
      "role:r:VM.Audit,VM.Later:\nacl:1:/:new@pve:PVELater,r,absent:\nacl:1:/pa th:new@pve:r:\ntoken:gone@pve!t1:0:0::\n" +
      "acl:1:/:gone@pve!t1:r:\nrole:PVEAuditor:Sys.Modify:\n";
    const config = parseUserConfig(text);
    expect([...config.users.keys()]).toEqual(["root@pam", "new@pve"]);
    const once = again(text);
    for (const kept of [
      ...[
        "# a comment",
        "future:thing:1:",
        "user:x@pve:1:soon:",
        "user:new@pve:1:0::::::later:field:",
      ],
      ...[
        "role:r:VM.Audit,VM.Later:",
        "acl:1:/:new@pve:PVELater,r:",
        "role:PVEAuditor:Sys.Modify:",
      ],
    ]) {
      expect(once.split("\n")).toContain(kept);
    }
    expect(once).not.toContain("gone@pve!t1");
    expect(again(once)).toBe(once);
  });

  test("what Perl takes for nothing is nothing here: a group '0', a step '0' of a path, a comment '0'", () => {
    const text =
      "user:a@pve:1:0::::0:0:\ngroup:0:a@pve::\nacl:1:/0/nodes/0:a@pve:PVEAuditor:\nacl:0:/0:a@pve:NoAccess:\n";
    expect(again(text)).toBe(
      "user:a@pve:1:0::::::\nuser:root@pam:1:0::::::\n\n\n\n\n" +
        "acl:0:/:a@pve:NoAccess:\nacl:1:/nodes:a@pve:PVEAuditor:\ngroup:0:a@pve::\n",
    );
  });

  test("a name that a list would be read as two of is never written, wherever it came from", () => {
    for (const name of ["x,victim@pve", "x;root@pam;y@pam", "x y@pve", "x:y@pve", "x\ny@pve", ""]) {
      const inGroup = parseUserConfig(written);
      inGroup.groups.get("admins")?.users.add(name);
      expect(() => userConfigText(inGroup)).toThrow(UnwritableName);
      const granted = parseUserConfig(written);
      setGrant(grantsAt(granted, "/").users, name, "PVEAuditor", true);
      expect(() => userConfigText(granted)).toThrow(UnwritableName);
      const role = parseUserConfig(written);
      role.roles.get("Power")?.add(name);
      expect(() => userConfigText(role)).toThrow(UnwritableName);
    }
    const user = parseUserConfig(written);
    user.users.set("x:y@pve", newUser());
    expect(() => userConfigText(user)).toThrow(UnwritableName);
    // A line of its own is not a list.
    const comma = "user:x,y@pve:1:0::::::";
    expect(again(comma)).toContain(comma);
  });

  test("a role that the file defines after its grant is none there", () => {
    const { grants } = parseUserConfig(
      "user:a@pve:1:\nacl:1:/:a@pve:late:\nrole:late:Sys.Modify:\n",
    );
    expect(grants.size).toBe(0);
  });

  test("spaces, lists of every kind, paths in any form", () => {
    const text =
      " user : a@pve : 1 : 0 \nuser:b@pve:1:0\ngroup:g: a@pve;b@pve , a@pve:\nacl:1:vms//100/:@g b@pve:PVEAuditor NoAccess:\n";
    expect(again(text)).toContain("group:g:a@pve,b@pve::\n");
    expect(again(text)).toContain("acl:1:/vms/100:@g,b@pve:NoAccess,PVEAuditor:\n");
    expect(["", "0", "/", "//", "a/b/", "/a b", "/ü", "/a:b"].map(normalPath)).toEqual([
      ...[undefined, undefined, "/", "/", "/a/b", undefined, undefined, undefined],
    ]);
  });

  test("property: any text is read without a throw, and what is written is read as the same and written alike", () => {
    const word = fc.oneof(
      fc.constantFrom(
        "user",
        "token",
        "group",
        "role",
        "acl",
        "pool",
        "a@pve",
        "a@pve!tt",
        "@g",
        "g",
        "1",
        "0",
        "/",
        "/vms",
        "PVEAuditor",
        "VM.Audit",
        "%41",
        "__proto__",
      ),
      fc
        .string({ unit: "binary", maxLength: 6 })
        .map((text) => Buffer.from(text).toString("latin1")),
    );
    const line = fc.array(word, { maxLength: 9 }).map((words) => words.join(":"));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 30 }), (lines) => {
        const once = again(lines.join("\n"));
        expect(again(once)).toBe(once);
        expect(/[^\0-\xff]/.test(once)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test("a megabyte is read in its time, whatever it is", () => {
    const begun = performance.now();
    for (const text of [":", " ", "x ", "acl:1:/:"]) {
      const times = Math.floor(1_048_576 / text.length);
      expect(parseUserConfig(`${text.repeat(times)}x`).users.size).toBe(1);
    }
    // A moment; hours if it were not linear. The machine may have much else to do.
    expect(performance.now() - begun).toBeLessThan(50_000);
  });
});

test("property: text comes back from its code, which parts no line", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme" }), (text) => {
      const well = text.toWellFormed();
      expect(encodeText(well)).toMatch(
        /^[\x20-\x24\x26-\x39\x3b-\x7e]*(?:%[0-9A-F]{2}[\x20-\x24\x26-\x39\x3b-\x7e]*)*$/,
      );
      expect(decodeText(encodeText(well))).toBe(well.replace(/^\uFEFF/, ""));
    }),
  );
  expect(splitList(" a,b; c\0")).toEqual([" a,b; c"]);
  expect(splitList(" a,b;; c ")).toEqual(["a", "b", "c"]);
});

describe("the files of secrets", () => {
  test("tokens", () => {
    const text = "joe@pve!mon 7b3a\nroot@pam!aa 1\nbroken line here\n";
    expect([...parseSecrets("tokens", text)]).toEqual([
      ["joe@pve!mon", "7b3a"],
      ["root@pam!aa", "1"],
    ]);
    const renewed = withSecret("tokens", text, { name: "joe@pve!mon", secret: "new" });
    expect(renewed).toBe("broken line here\njoe@pve!mon new\nroot@pam!aa 1\n");
    const without = withSecret("tokens", renewed, { name: "", secret: undefined }, (name) =>
      name.startsWith("joe@pve!"),
    );
    expect(without).toBe("broken line here\nroot@pam!aa 1\n");
  });

  test("passwords", () => {
    const text = "joe:$5$aa$b:\n\nann:$y$j9T$x$y:\nnot one\n";
    expect(parseSecrets("passwords", text).get("ann")).toBe("$y$j9T$x$y");
    expect(withSecret("passwords", text, { name: "joe", secret: undefined })).toBe(
      "ann:$y$j9T$x$y:\nnot one\n",
    );
  });
});

test("realms", () => {
  const realms = parseDomains(
    "# of the cluster\npam: pam\n\tcomment Machines%3A users\n\ttfa type=oath,digits=6\n\nldap: corp\n\tserver1 10.0.0.1\n\tdefault 1\n\nad: 1bad\n\tdefault 1\n" +
      "\npve: pve\n\tdefault 1\n\ttfa digits=6\n",
  );
  expect([...realms.keys()].toSorted()).toEqual(["corp", "pam", "pve"]);
  expect(realms.get("pam")).toMatchObject({
    type: "pam",
    comment: "Machines: users",
    secondFactor: "oath",
    isDefault: false,
  });
  expect(realms.get("corp")).toMatchObject({
    type: "ldap",
    isDefault: true,
    secondFactor: undefined,
  });
  expect(realms.get("pve")).toMatchObject({ secondFactor: "unknown", isDefault: false });
  expect([...parseDomains("").keys()]).toEqual(["pam", "pve"]);
});
