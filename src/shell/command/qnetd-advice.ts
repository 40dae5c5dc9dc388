// What helps a vote server that has no usable certificates: one sentence for its log, its status and its commands.
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { closedAbove } from "../daemon/closed-directory.ts";
import type { CertificateStore } from "../../qnetd/pki/store.ts";

/** `root`: of the command's --root, "" for none; `uid`: of the server's process. */
export function storeAdvice(store: CertificateStore, root: string, uid: number): string {
  const verb = (words: string): string =>
    `"quorate qnetd certificates ${words}${root === "" ? "" : ` --root ${root}`}"`;
  const { directory } = store;
  const closed = closedAbove(directory);
  if (closed !== undefined) return closed;
  switch (store.state()) {
    case "none": {
      if (uid === 0) {
        return `Mend that and start the server again: it makes its certificates in ${directory}`;
      }
      const place = existsSync(directory) ? directory : dirname(directory);
      return `The server runs as user ${uid}: let that user write in ${place} (as root: chown ${uid} ${place}) and start the server again`;
    }
    case "nss":
      return (
        `${directory} holds the certificates of an original vote server. Keep them: run ${verb("import")} as root on this host; ` +
        "no restart is needed, and the nodes need nothing new"
      );
    case "ours":
      return (
        `The server runs as user ${uid}, which must be able to read the files in ${directory} ` +
        `(as root: chown -hR ${uid} ${directory}); if one is damaged, ${verb("renew")} as root makes a new key of the server's. No restart is needed`
      );
  }
}
