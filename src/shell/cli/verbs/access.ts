// `quorate user`, `token`, `group`, `role`, `acl` and `realm`: users, tokens and rights, as Proxmox's pveum has them.
import type { AccessOptions, Change } from "../../command/cluster/access.ts";
import type { Words } from "../../command/cluster/local-api.ts";
import { nodePaths } from "../../paths.ts";
import { write } from "../output.ts";
import { done, failed, json, notRunning, root, socketFile, wrongLine } from "../shared.ts";
import { commandOfVerbs, flag, option, required, type TableVerb, verb } from "../table.ts";
import { anyWord, file, oneOf, parsed, text } from "../values.ts";

const options = { root, json };
const tree = nodePaths("/").mount;
const exits = [done, failed, wrongLine, notRunning];

const yesOrNo = oneOf(["0", "1"]);
const comment = option("comment", text, "A note for people");
const expire = option(
  "expire",
  parsed("time", "a day such as 2027-12-31, Unix seconds, or 0 for never", (given) => {
    if (/^\d{1,12}$/.test(given)) return Number(given);
    const at = /^\d{4}-\d{2}-\d{2}$/.test(given) ? Date.parse(given) : Number.NaN;
    return Number.isNaN(at) ? undefined : at / 1000;
  }),
  "When it ends: a day (UTC), Unix seconds, or 0 for never",
);

type Given = Omit<AccessOptions, "write">;
const load = () => import("../../command/cluster/access.ts");

/** Loads what the commands do; nothing of it is needed for their help. */
async function change(given: Given, what: Change): Promise<number> {
  const { changeCommand } = await load();
  return changeCommand({ ...given, write }, what);
}

async function modify(given: Given, what: Omit<Change, "method">): Promise<number> {
  const { modifyCommand } = await load();
  return modifyCommand({ ...given, write }, { ...what, method: "PUT" });
}

const listings = ["users", "groups", "roles", "grants", "realms"] as const;

function list(what: (typeof listings)[number], description: string): TableVerb {
  return verb("list", description, {
    takes: options,
    run: async (given) => {
      const loaded = await load();
      return loaded.listCommand({ ...given, write }, loaded[what]);
    },
  });
}

const userId = required(anyWord("USER"));
const userWords = {
  enable: option("enable", yesOrNo, "Whether it may log in; its tokens too"),
  expire,
  firstname: option("firstname", text, "First name"),
  lastname: option("lastname", text, "Last name"),
  email: option("email", text, "Address for mail"),
  comment,
  groups: option("groups", text, "The groups it is in, by commas"),
};
const passwords = {
  password: option(
    "password",
    text,
    "- asks for it; other words are seen in the list of processes",
  ),
  passwordFile: option("password-file", file(), "The same in the first line of a file"),
};

export const user = commandOfVerbs("user", {
  description: "Users: who there is, and who may come in",
  verbs: [
    list("users", "users with their groups and tokens"),
    verb("add", "make a user; of the realm pve it needs a password to log in", {
      takes: { userid: userId, ...options, ...userWords, ...passwords },
      run: async ({ userid, root: below, json: isJson, password, passwordFile, ...words }) => {
        const { addUser } = await load();
        const given = { root: below, json: isJson, write, password, passwordFile };
        return addUser(given, { user: userid, words });
      },
    }),
    verb("modify", "change what is said of a user", {
      takes: {
        userid: userId,
        ...options,
        ...userWords,
        append: flag("append", "The groups are added to those it is in"),
      },
      run: async ({ userid, root: below, json: isJson, append, ...words }) => {
        const { userPath } = await load();
        return modify(
          { root: below, json: isJson },
          {
            ...{ path: userPath(userid), id: userid, done: `User ${userid} is changed.` },
            words: { ...words, ...(append ? { append } : {}) },
          },
        );
      },
    }),
    verb("delete", "delete a user with its tokens, second factors, password and rights", {
      takes: { userid: userId, ...options },
      run: async ({ userid, ...given }) => {
        const { userPath } = await load();
        const what = `User ${userid} is deleted.`;
        return change(given, { method: "DELETE", path: userPath(userid), id: userid, done: what });
      },
    }),
    verb("password", "give a user another password, which is asked for", {
      takes: { userid: userId, ...options, ...passwords },
      run: async ({ userid, ...given }) => {
        const { changePassword } = await load();
        return changePassword({ ...given, write, user: userid });
      },
    }),
    verb("permissions", "what a user or token may in the end, by path", {
      takes: {
        who: required(anyWord("WHO")),
        ...options,
        path: option("path", anyWord("path"), "On this path only"),
      },
      run: async ({ who, path, ...given }) => {
        const { permissionsCommand } = await load();
        return permissionsCommand({ ...given, write }, { who, path });
      },
    }),
  ],
  examples: [
    "quorate user list",
    "quorate user add ann@pve --groups operators --password-file ./password",
    "quorate user modify ann@pve --enable 0",
    "quorate user permissions ann@pve --path /nodes/pve1",
  ],
  manual: [
    "Users have a realm behind their name: those of pve are the cluster's own, those of pam the machines'. They are Proxmox VE's users, in the same files, and good on every node as soon as the command ends.",
    "A user that is disabled or whose time is over is refused with its next request, with tickets and tokens that it has already. With --json lists are as the API answers them.",
  ],
  files: [
    [`${tree}/user.cfg`, "users, tokens, groups, roles and grants"],
    [`${tree}/priv/shadow.cfg`, "hashes of passwords of the realm pve"],
    socketFile,
  ],
  exits,
});

const tokenTakes = { userid: userId, tokenid: required(anyWord("TOKEN")), ...options };
const tokenWords = {
  comment,
  expire,
  privsep: option(
    "privsep",
    yesOrNo,
    "1: it has only rights of its own; 0: all of its user's (default: 1)",
  ),
};

async function tokenSecret(
  { userid, tokenid, ...given }: Given & { readonly userid: string; readonly tokenid: string },
  method: "POST" | "PUT",
  words: Words,
): Promise<number> {
  const { tokenSecretCommand } = await load();
  const what = { method, user: userid, token: tokenid, words };
  return tokenSecretCommand({ ...given, write }, what);
}

export const token = commandOfVerbs("token", {
  description: "API tokens: what programs come in with",
  verbs: [
    verb("list", "the tokens of a user, without their secrets", {
      takes: { userid: userId, ...options },
      run: async ({ userid, ...given }) => {
        const { listCommand, tokensOf } = await load();
        return listCommand({ ...given, write }, tokensOf(userid));
      },
    }),
    verb("add", "make a token, and print it with its secret, which is shown only now", {
      takes: { ...tokenTakes, ...tokenWords },
      run: async ({ comment: note, expire: at, privsep, ...given }) =>
        tokenSecret(given, "POST", { comment: note, expire: at, privsep }),
    }),
    verb("modify", "change a token; --regenerate gives it another secret, and prints it", {
      takes: {
        ...tokenTakes,
        ...tokenWords,
        regenerate: flag("regenerate", "Another secret; the one before is refused from now on"),
      },
      run: async ({ comment: note, expire: at, privsep, regenerate, ...given }) => {
        const words = { comment: note, expire: at, privsep };
        if (regenerate) return tokenSecret(given, "PUT", { ...words, regenerate });
        const { userid, tokenid, ...others } = given;
        const { tokenPath } = await load();
        const id = `${userid}!${tokenid}`;
        const path = tokenPath(userid, tokenid);
        return modify(others, { path, words, id, done: `Token ${id} is changed.` });
      },
    }),
    verb("delete", "delete a token; every node refuses it from now on", {
      takes: tokenTakes,
      run: async ({ userid, tokenid, ...given }) => {
        const { tokenPath } = await load();
        const id = `${userid}!${tokenid}`;
        const path = tokenPath(userid, tokenid);
        return change(given, { method: "DELETE", path, id, done: `Token ${id} is deleted.` });
      },
    }),
  ],
  examples: [
    "quorate token add root@pam monitor --comment Grafana",
    "quorate token list root@pam",
    "quorate token modify root@pam monitor --regenerate",
    "quorate token delete root@pam monitor",
  ],
  manual: [
    "A token stands for its user without a password: a program sends it with each request, as Authorization: PVEAPIToken= and the line that add prints. That line is shown once, and stored nowhere else.",
    "With --privsep 1, which is so when nothing is said, it has no rights before some are granted to it (`quorate acl add / PVEAuditor --tokens 'root@pam!monitor'`), and never more than its user has.",
  ],
  files: [
    [`${tree}/priv/token.cfg`, "secrets of tokens"],
    [`${tree}/user.cfg`, "the tokens themselves"],
    socketFile,
  ],
  exits,
});

const groupId = required(anyWord("GROUP"));

export const group = commandOfVerbs("group", {
  description: "Groups of users, to which rights are given together",
  verbs: [
    list("groups", "groups and who is in them"),
    verb("add", "make a group", {
      takes: { groupid: groupId, ...options, comment },
      run: ({ groupid, comment: note, ...given }) =>
        change(given, {
          ...{ method: "POST", path: "/access/groups", words: { groupid, comment: note } },
          ...{ id: groupid, done: `Group ${groupid} is made.` },
        }),
    }),
    verb("modify", "change a group's comment; `quorate user modify` puts users into groups", {
      takes: { groupid: groupId, ...options, comment },
      run: ({ groupid, comment: note, ...given }) =>
        modify(given, {
          ...{ path: pathOf("groups", groupid), words: { comment: note } },
          ...{ id: groupid, done: `Group ${groupid} is changed.` },
        }),
    }),
    verb("delete", "delete a group with its rights", {
      takes: { groupid: groupId, ...options },
      run: ({ groupid, ...given }) =>
        change(given, {
          ...{ method: "DELETE", path: pathOf("groups", groupid) },
          ...{ id: groupid, done: `Group ${groupid} is deleted.` },
        }),
    }),
  ],
  examples: [
    "quorate group add operators --comment night",
    "quorate group modify operators --comment day",
    "quorate group delete operators",
  ],
  manual: [
    "Who is in a group has what is granted to it, unless something is granted to the user itself on the same path. A user is put into groups by `quorate user modify USER --groups GROUP --append`, and they get rights by `quorate acl add`.",
  ],
  files: [[`${tree}/user.cfg`, "groups and who is in them"], socketFile],
  exits,
});

const roleId = required(anyWord("ROLE"));
const privs = option("privs", text, "Privileges, by commas");

export const role = commandOfVerbs("role", {
  description: "Roles: lists of privileges that can be granted",
  verbs: [
    list("roles", "roles, those that are built in too, with their privileges"),
    verb("add", "make a role", {
      takes: { roleid: roleId, ...options, privs },
      run: ({ roleid, privs: names, ...given }) =>
        change(given, {
          ...{ method: "POST", path: "/access/roles", words: { roleid, privs: names } },
          ...{ id: roleid, done: `Role ${roleid} is made.` },
        }),
    }),
    verb("modify", "give a role other privileges, or with --append more", {
      takes: {
        roleid: roleId,
        ...options,
        privs,
        append: flag("append", "Besides those that it has"),
      },
      run: ({ roleid, privs: names, append, ...given }) =>
        modify(given, {
          path: pathOf("roles", roleid),
          words: { privs: names, ...(append ? { append } : {}) },
          ...{ id: roleid, done: `Role ${roleid} is changed.` },
        }),
    }),
    verb("delete", "delete a role, and from whoever has it", {
      takes: { roleid: roleId, ...options },
      run: ({ roleid, ...given }) =>
        change(given, {
          ...{ method: "DELETE", path: pathOf("roles", roleid) },
          ...{ id: roleid, done: `Role ${roleid} is deleted.` },
        }),
    }),
  ],
  examples: [
    "quorate role list",
    "quorate role add watcher --privs Sys.Audit,VM.Audit",
    "quorate role modify watcher --privs Datastore.Audit --append",
  ],
  manual: [
    "A role is what `quorate acl add` grants: a list of privileges, each of which lets somebody do one kind of thing. The built-in ones are Proxmox VE's and cannot be changed; names that begin with PVE are theirs.",
  ],
  files: [[`${tree}/user.cfg`, "roles that are not built in"], socketFile],
  exits,
});

const grantTakes = {
  path: required(anyWord("PATH")),
  roles: required(anyWord("ROLES")),
  ...options,
  users: option("users", anyWord("users"), "Users, by commas"),
  groups: option("groups", anyWord("groups"), "Groups, by commas"),
  tokens: option(
    "tokens",
    anyWord("tokens"),
    "Whole names of tokens (root@pam!monitor), by commas",
  ),
};

export const acl = commandOfVerbs("acl", {
  description: "Grants: who has which role on which path",
  verbs: [
    list("grants", "the grants of all paths"),
    verb("add", "give roles on a path, or change whether they are for what is below it too", {
      takes: {
        ...grantTakes,
        propagate: option("propagate", yesOrNo, "1: for what is below the path too (default: 1)"),
      },
      run: async (given) => {
        const { grantCommand } = await load();
        return grantCommand({ ...given, write }, { isTaken: false });
      },
    }),
    verb("delete", "take roles on a path back", {
      takes: grantTakes,
      run: async (given) => {
        const { grantCommand } = await load();
        return grantCommand({ ...given, write, propagate: undefined }, { isTaken: true });
      },
    }),
  ],
  examples: [
    "quorate acl add / PVEAuditor --tokens 'root@pam!monitor'",
    "quorate acl add /nodes PVEAuditor --groups operators --propagate 1",
    "quorate acl delete / PVEAuditor --users ann@pve",
  ],
  manual: [
    "Of all grants on the way to a path (/, /nodes, /nodes/pve1) the deepest counts alone. Where a user is named its groups do not count, and NoAccess undoes all others beside it. `quorate user permissions` tells what comes of it for somebody.",
  ],
  files: [[`${tree}/user.cfg`, "the grants"], socketFile],
  exits,
});

const realmId = required(anyWord("REALM"));

export const realm = commandOfVerbs("realm", {
  description: "Realms: where users are from, and what their logins demand",
  verbs: [
    list("realms", "the realms that there are"),
    verb("modify", "change the comment of pam or pve, or what a login demands", {
      takes: {
        name: realmId,
        ...options,
        comment,
        default: option("default", yesOrNo, "1: pages offer it first, and no other one"),
        tfa: option("tfa", text, "Demand a second factor: type=oath, or nothing to demand none"),
      },
      run: ({ name, comment: note, default: isDefault, tfa, ...given }) =>
        modify(given, {
          path: pathOf("domains", name),
          words: {
            ...{ comment: note, default: isDefault },
            ...(tfa === "" ? { delete: "tfa" } : { tfa }),
          },
          ...{ id: name, done: `Realm ${name} is changed.` },
        }),
    }),
    verb("delete", "take the settings of pam or pve back; the realm stays", {
      takes: { name: realmId, ...options },
      run: ({ name, ...given }) =>
        change(given, {
          ...{ method: "DELETE", path: pathOf("domains", name) },
          ...{ id: name, done: `Realm ${name} is as it was at first.` },
        }),
    }),
  ],
  examples: ["quorate realm list", "quorate realm modify pve --default 1 --comment staff"],
  manual: [
    "pam (users of the machines) and pve (users of the cluster) are there always, so none is made here. Other realms (ldap, ad, openid) are Proxmox VE's: they are shown, and changed on its nodes.",
  ],
  files: [[`${tree}/domains.cfg`, "the realms"], socketFile],
  exits,
});

function pathOf(resource: "groups" | "roles" | "domains", id: string): string {
  return `/access/${resource}/${encodeURIComponent(id)}`;
}
