// The client of the routes of cmap-routes.ts. Every failure is a CommandFailure with one sentence.
import * as v from "valibot";
import type { GroupListing } from "../cmap/group-listing.ts";
import {
  type MapEntry,
  type MapName,
  mapResults,
  type MapResult,
  mapTypes,
} from "../cmap/map-entry.ts";
import type { NodeClient } from "./client.ts";

/** What of a node's client is used here. */
type Node = Pick<NodeClient, "ask">;

const entriesSchema = v.object({
  entries: v.array(v.object({ key: v.string(), type: v.picklist(mapTypes), value: v.string() })),
});
const resultSchema = v.object({ result: v.picklist(mapResults) });
const groupsSchema = v.object({
  groups: v.array(
    v.object({
      group: v.string(),
      members: v.array(
        v.object({ nodeid: v.number(), pid: v.number(), addresses: v.array(v.string()) }),
      ),
    }),
  ),
});

export class MapClient {
  readonly #node: Node;

  constructor(node: Node) {
    this.#node = node;
  }

  /** All keys of a map that begin with `prefix`, sorted by name. */
  async read(map: MapName, prefix: string): Promise<readonly MapEntry[]> {
    const answer = await this.#node.ask("GET", `/v1/cmap?${query({ map, prefix })}`);
    return v.parse(entriesSchema, answer).entries;
  }

  async set(map: MapName, entry: MapEntry): Promise<MapResult> {
    const answer = await this.#node.ask("PUT", "/v1/cmap", JSON.stringify({ map, ...entry }));
    return v.parse(resultSchema, answer).result;
  }

  async delete(map: MapName, key: string): Promise<MapResult> {
    const answer = await this.#node.ask("DELETE", `/v1/cmap?${query({ map, key })}`);
    return v.parse(resultSchema, answer).result;
  }

  /** The closed process groups of the cluster, in the order of the original's tool. */
  async groups(): Promise<readonly GroupListing[]> {
    return v.parse(groupsSchema, await this.#node.ask("GET", "/v1/groups")).groups;
  }
}

function query(values: Readonly<Record<string, string>>): string {
  return new URLSearchParams(values).toString();
}
