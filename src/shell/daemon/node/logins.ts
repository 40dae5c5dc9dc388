// Who may use this node's API over the network: passwords of this machine, keys and second factors of the tree, put together (pvecm.md §4.3).
import { existsSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import type { ConfigurationTree } from "../../../fs/fs.ts";
import { Access } from "../../access/access.ts";
import { ApiTokens } from "../../access/api-token.ts";
import { LoginAttempts } from "../../access/attempts.ts";
import { SystemPasswords } from "../../access/passwords.ts";
import { setSystemPassword } from "../../access/system-password.ts";
import { TicketKeys } from "../../access/ticket-keys.ts";
import { UserFiles } from "../../access/user-files.ts";
import { type Result, failure } from "../../../result.ts";
import type { NodePaths } from "../../paths.ts";
import type { ClusterLogger } from "./cluster-log.ts";
import type { Log, Stop } from "./parts.ts";

const machineShadow = "/etc/shadow";
/** How often the keys are looked at. */
const keysEveryMs = 10 * 60_000;

export interface LoginOptions {
  readonly paths: NodePaths;
  readonly tree: ConfigurationTree;
  readonly clusterLog: ClusterLogger;
  readonly log: Log;
}

export interface Logins {
  readonly access: Access;
  readonly users: UserFiles;
  /** Of a new password. */
  readonly hash: SystemPasswords["hash"];
  /** Gives a user of this machine a new password. */
  readonly setSystemPassword: (name: string, password: string) => Promise<Result<undefined>>;
  readonly stop: Stop;
}

export function openLogins({ paths, tree, clusterLog, log }: LoginOptions): Logins {
  const now = () => Math.floor(Date.now() / 1000);
  const isQuorate = () => tree.isWritable;
  const keys = new TicketKeys({
    files: tree,
    isQuorate,
    now,
    log: (level, text) => log(level, text, "ACCESS"),
  });
  // A root that is no machine of its own has the users of the machine that it is on.
  const shadow = () => (existsSync(paths.shadow) ? paths.shadow : machineShadow);
  const passwords = new SystemPasswords(shadow);
  const users = new UserFiles(tree);
  const clock = () => performance.now();
  const warn = (text: string) => log("warning", text, "ACCESS");
  const access = new Access({
    files: tree,
    users,
    tokens: new ApiTokens({ users, attempts: new LoginAttempts(), now, clock, warn }),
    isQuorate,
    keys,
    attempts: new LoginAttempts(),
    passwords,
    now,
    clock,
    pause: (pauseMs) => wait(pauseMs, undefined, { ref: false }),
    warn,
    clusterLog: (user, message) => clusterLog({ user, message }),
  });
  const timer = setInterval(() => {
    if (keys.rotationReason() !== "") void keys.rotate();
  }, keysEveryMs);
  return {
    access,
    users,
    hash: (password) => passwords.hash(password),
    setSystemPassword: async (name, password) => {
      // A node below a root of its own never changes the machine that it is on.
      if (paths.shadow !== machineShadow)
        return failure("this node's users are not the machine's own");
      const hash = await passwords.hash(password);
      return hash.ok ? setSystemPassword(name, hash.value) : hash;
    },
    stop: async () => {
      clearInterval(timer);
      passwords.close();
    },
  };
}
