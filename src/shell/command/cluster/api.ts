// `quorate api`: what this node's API has, as a list for people; the whole OpenAPI document with --json.
import * as v from "valibot";
import { NodeClient } from "../../api/client.ts";
import { table } from "../../cli/text-table.ts";
import { CommandFailure, exitFailed, exitOk } from "../../exit.ts";
import { nodePaths } from "../../paths.ts";

/** What the list shows of openapi/document.ts. */
const documentSchema = v.looseObject({
  openapi: v.string(),
  paths: v.record(
    v.string(),
    v.record(v.string(), v.looseObject({ summary: v.string(), description: v.string() })),
  ),
});

export interface ApiOptions {
  readonly root: string;
  readonly json: boolean;
  /** What the paths that are listed contain; undefined: all are. */
  readonly path: string | undefined;
  readonly write: (text: string) => void;
}

/** 0; 1 when no path contains what is looked for. */
export async function apiCommand({ root, json, path = "", write }: ApiOptions): Promise<number> {
  const answer = await new NodeClient(nodePaths(root).socket).ask("GET", "/api/v1/openapi.json");
  const read = v.safeParse(documentSchema, answer);
  if (!read.success) {
    throw new CommandFailure("the node described its API in a form that this version cannot read");
  }
  const paths = Object.entries(read.output.paths).filter(([each]) => each.includes(path));
  if (json)
    write(
      `${JSON.stringify({ ...read.output, paths: Object.fromEntries(paths) }, undefined, 2)}\n`,
    );
  else if (paths.length > 0) write(`${lines(paths).join("\n")}\n`);
  if (paths.length > 0) return exitOk;
  if (!json) write(`No path of the API contains "${path}".\n`);
  return exitFailed;
}

type Described = v.InferOutput<typeof documentSchema>["paths"];

function lines(paths: readonly (readonly [string, Described[string]])[]): readonly string[] {
  const rows = paths.flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { summary, description }]) => [
      method.toUpperCase(),
      path,
      description.replace(/\.$/, ""),
      summary,
    ]),
  );
  return table(
    [{ title: "METHOD" }, { title: "PATH" }, { title: "WHO MAY" }, { title: "WHAT IT IS" }],
    rows,
  );
}
