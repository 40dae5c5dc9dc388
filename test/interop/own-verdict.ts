// What a node that starts on this machine makes of a corosync.conf: prints "accepted", or "refused" and the reason.
//   bun test/interop/own-verdict.ts CONF AUTHKEY
import { loadSettings } from "../../src/node/settings/load-settings.ts";

const [conf = "", authkey = ""] = process.argv.slice(2);
const loaded = await loadSettings({ conf, authkey });
console.log(loaded.ok ? "accepted" : `refused ${loaded.reason}`);
