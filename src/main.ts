// The one entry. The name it is called by (a link such as `pvecm`) or the first word picks the role; everything else is
// loaded only then, so that a vote server or a status query never loads the tree or its database.
import { basename } from "node:path";

// From source the name is Bun's own, which means no role.
const name = basename(process.argv0);
const { run } = await import("./shell/cli/cli.ts");
process.exitCode = await run(name, process.argv.slice(2));
