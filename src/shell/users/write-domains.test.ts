// domains.cfg written: what is changed is read back, and nothing else is touched.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { parseDomains } from "./domains.ts";
import { type RealmEdit, withoutRealm, withRealm } from "./write-domains.ts";

const nothing: RealmEdit = {
  ...{ comment: undefined, isDefault: undefined, secondFactor: undefined, deleted: [] },
};

const proxmoxs = `# kept
ldap: corp
\tcomment Staff
\tdefault 1
\tserver1 10.0.0.1

pve: pve
\tcomment ours
\tlater thing
`;

test("a section is changed where it stands, and one is the default at most", () => {
  const edit = { ...nothing, comment: "Für uns: alle", isDefault: true };
  expect(withRealm(proxmoxs, "pve", edit)).toBe(`# kept
ldap: corp
\tcomment Staff
\tserver1 10.0.0.1

pve: pve
\tcomment F%C3%BCr uns%3A alle
\tlater thing
\tdefault 1
`);
});

test("a realm that the file does not name gets a section behind the others, as Proxmox writes one", () => {
  const edit = { ...nothing, secondFactor: "type=oath,digits=8" };
  expect(withRealm("", "pam", edit)).toBe("pam: pam\n\ttfa type=oath,digits=8\n\n");
  expect(withRealm(proxmoxs, "pam", edit)).toBe(
    `${proxmoxs}\npam: pam\n\ttfa type=oath,digits=8\n\n`,
  );
});

test("deleted: the settings, or the section with the line behind it", () => {
  expect(withRealm(proxmoxs, "pve", { ...nothing, deleted: ["comment"] })).toContain(
    "pve: pve\n\tlater thing\n",
  );
  expect(withoutRealm(`pam: pam\n\tdefault 1\n\n${proxmoxs}`, "pam")).toBe(proxmoxs);
  expect(withoutRealm(proxmoxs, "pam")).toBe(proxmoxs);
});

test("property: of any file the realm reads back as it was changed, and every other one as it was", () => {
  const lines = fc.constantFrom(
    ...[
      "ldap: corp",
      "pve: pve",
      "pam: pam",
      "openid: x",
      "\tdefault 1",
      "\tcomment a%20b",
      " tfa type=oath",
    ],
    ...["", "# word", "nonsense", "\tserver1 h", "\t# indented", "pve: pve"],
  );
  const files = fc.array(lines, { maxLength: 20 }).map((all) => all.join("\n"));
  const edits = fc.record({
    comment: fc.option(
      fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.trim()),
      {
        nil: undefined,
      },
    ),
    isDefault: fc.option(fc.boolean(), { nil: undefined }),
    secondFactor: fc.constantFrom(undefined, "type=oath", "type=yubico,id=1,key=2"),
    deleted: fc.subarray(["comment", "default", "tfa"] as const),
  });
  fc.assert(
    fc.property(files, fc.constantFrom("pam", "pve"), edits, (text, realm, edit) => {
      const before = parseDomains(text);
      const after = parseDomains(withRealm(text, realm, edit));
      const [was, is] = [before.get(realm), after.get(realm)];
      if (edit.comment !== undefined && edit.comment !== "") expect(is?.comment).toBe(edit.comment);
      if (edit.isDefault !== undefined) expect(is?.isDefault).toBe(edit.isDefault);
      const factor = edit.deleted.includes("tfa") ? undefined : was?.settings.get("tfa");
      expect(is?.settings.get("tfa")).toBe(edit.secondFactor ?? factor);
      const others = (of: typeof before) =>
        [...of]
          .filter(([name]) => name !== realm)
          .map(([name, { type, comment, settings }]) => {
            const more = [...settings].filter(([key]) => key !== "default");
            return { name, type, comment, more };
          })
          .toSorted((a, b) => (a.name < b.name ? -1 : 1));
      expect(others(after)).toEqual(others(before));
      if (edit.isDefault !== true) {
        expect([...(after.get("x")?.settings ?? [])]).toEqual([
          ...(before.get("x")?.settings ?? []),
        ]);
      }
      // Again it changes nothing more.
      const once = withRealm(text, realm, edit);
      expect(withRealm(once, realm, edit)).toBe(once);
    }),
  );
});
