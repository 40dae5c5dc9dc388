// `quorate api`: the description of the node's API.
import { exitFailed } from "../../exit.ts";
import { write } from "../output.ts";
import { done, json, notRunning, root, socketFile, wrongLine } from "../shared.ts";
import { command, optional } from "../table.ts";
import { anyWord } from "../values.ts";

export const apiList = command("api", {
  description: "What the node's HTTPS API has; --json: as an OpenAPI document",
  takes: { root, path: optional(anyWord("path")), json },
  examples: ["quorate api", "quorate api /cluster/config", "quorate api --json > openapi.json"],
  manual: [
    "Lists the calls of the API that the running node serves on port 8006: method, path, who may call it, and what it does; with a word only those whose path contains it. Below /api2/json is what Proxmox's clients call, below /api/v1 what is quorate's own.",
    "With --json it is an OpenAPI 3.1 document with parameters and answers, for programs that make clients or pages of it. The node serves the same at /api/v1/openapi.json.",
  ],
  files: [socketFile],
  exits: [done, [exitFailed, "no path contains the word"], wrongLine, notRunning],
  run: async (given) => {
    const { apiCommand } = await import("../../command/cluster/api.ts");
    return apiCommand({ ...given, write });
  },
});
