// The vote server's programs from source: bun program.ts [--root DIR] corosync-qnetd|corosync-qnetd-tool|corosync-qnetd-certutil …
// For the laboratory, which has no links; it calls what the links call.
import { qnetdLinks, runQnetdLink } from "../../../src/shell/tool/qnetd-links.ts";

const words = process.argv.slice(2);
// Compiled for a trial, the program is the file itself.
const own = Bun.main.startsWith("/$bunfs") ? [process.execPath] : [process.execPath, Bun.main];
const root = words[0] === "--root" ? words.splice(0, 2)[1] : undefined;
const again = root === undefined ? own : [...own, "--root", root];
const [word = "", ...args] = words;
const name = qnetdLinks.find((link) => link === word);
if (name === undefined) throw new Error(`"${word}" is none of ${qnetdLinks.join(", ")}`);
process.exitCode = await runQnetdLink(name, args, {
  calledAs: name,
  version: "0-test",
  again: [...again, name],
  ...(root === undefined ? {} : { root }),
});
