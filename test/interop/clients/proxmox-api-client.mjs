// The npm package proxmox-api, unmodified, under Node: prints what it was answered as one JSON object.
// Arguments: the root password, the addresses of three nodes. NODE_EXTRA_CA_CERTS: the certificate of the cluster's authority.
import process from "node:process";
import { setTimeout as wait } from "node:timers/promises";
import proxmoxApi from "proxmox-api";

const [password, first, second, third] = process.argv.slice(2);
const said = {};
// Its own limit of 5 s is for machines that have nothing else to do.
const connect = (host, who) => proxmoxApi({ host: `${host}:8006`, authTimeout: 60_000, ...who });

async function refused(call) {
  try {
    await call();
  } catch (error) {
    return `${error.message} ${error.cause?.message ?? ""}`;
  }
  return "not refused";
}

said.wrongPassword = await refused(() =>
  connect(first, { username: "root@pam", password: "wrong" }).version.$get(),
);
const root = connect(first, { username: "root@pam", password });
said.version = await root.version.$get();
said.status = await root.cluster.status.$get();
said.resources = await root.cluster.resources.$get({ type: "node" });
said.nodes = await root.nodes.$get();
said.nodeStatus = {};
for (const name of ["n1", "n3"]) said.nodeStatus[name] = await root.nodes.$(name).status.$get();
said.join = await root.cluster.config.join.$get();
said.configNodes = await root.cluster.config.nodes.$get();
said.options = await root.cluster.options.$get();
said.wrongParameter = await refused(() => root.cluster.resources.$get({ type: "nonsense" }));
said.unknownPath = await refused(() => root.cluster.nothing.$get());

const upid = await root.nodes.$("n2").services.$("quorate-node").start.$post();
const task = root.nodes.$("n2").tasks.$(upid);
while ((await task.status.$get()).status !== "stopped") await wait(200);
said.task = await task.status.$get();
said.taskLog = await task.log.$get();
said.tasks = await root.cluster.tasks.$get();
said.nodeTasks = await root.nodes.$("n2").tasks.$get({ source: "all", limit: 5 });

const user = "node@pve";
await root.access.users.$post({
  userid: user,
  password: "correct horse",
  comment: "of a foreign client",
});
await root.access.acl.$put({ path: "/", roles: "PVEAuditor", users: user });
const made = await root.access.users
  .$(user)
  .token.$("ci")
  .$post({ privsep: false, comment: "for scripts" });
said.users = await root.access.users.$get();
said.tokens = await root.access.users.$(user).token.$get();
said.roles = await root.access.roles.$get();
said.log = await root.cluster.log.$get({ max: 50 });

const own = connect(second, { username: user, password: "correct horse" });
said.ownPermissions = await own.access.permissions.$get();
said.ownForbidden = await refused(() => own.cluster.options.$put({ keyboard: "de" }));
const script = connect(third, { tokenID: made["full-tokenid"], tokenSecret: made.value });
said.tokenStatus = await script.cluster.status.$get();
said.tokenForbidden = await refused(() => script.cluster.options.$put({ keyboard: "de" }));

await root.access.users.$(user).token.$("ci").$delete();
said.tokenRevoked = await refused(() => script.cluster.status.$get());
await root.access.users.$(user).$delete();
said.userGone = await refused(() => own.version.$get());
console.log(JSON.stringify(said));
