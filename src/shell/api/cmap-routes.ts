// Routes of the configuration map and of the closed process groups (services.md §6, §7.3, §7.4): what corosync-cmapctl and corosync-cpgtool
// ask. The outcome of a change is corosync's word, in an answer of its own: it is no failure of the request.
import type { Hono } from "hono";
import * as v from "valibot";
import type { ConfigurationMap } from "../cmap/configuration-map.ts";
import type { GroupListing } from "../cmap/group-listing.ts";
import { checked, Refusal } from "./refusal.ts";
import { mapNames, mapTypes, valueBytesMax } from "../cmap/map-entry.ts";

export interface MapRoutesSource {
  /** Undefined on a node without a ring, which has no map. */
  readonly map: ConfigurationMap | undefined;
  readonly groups: () => Promise<readonly GroupListing[]>;
}

/** Longer than any name; the map itself says what is too long. */
const nameLengthMax = 1024;
const name = v.pipe(v.string(), v.maxLength(nameLengthMax));
const mapName = v.picklist(mapNames);
const readQuery = v.object({ map: mapName, prefix: name });
const deleteQuery = v.object({ map: mapName, key: name });
/** base64 needs four characters for three bytes. */
const valueLengthMax = 2 * valueBytesMax;
const integer = v.pipe(v.string(), v.regex(/^-?\d{1,20}$/, "an integer is written in decimal"));
const floating = v.pipe(
  v.string(),
  v.regex(/^(?:-?\d{1,400}\.\d{6}|-?inf|nan)$/, "a float has six places"),
);
const text = v.pipe(v.string(), v.maxLength(valueLengthMax));
const base64 = v.pipe(text, v.regex(/^[A-Za-z0-9+/]*={0,2}$/, "bytes are written in base64"));
const setBody = v.pipe(
  v.object({ map: mapName, key: name, type: v.picklist(mapTypes), value: text }),
  v.check(({ type, value }) => {
    if (type === "str") return !value.includes("\0");
    if (type === "bin") return v.is(base64, value);
    return v.is(type === "flt" || type === "dbl" ? floating : integer, value);
  }, "the value has not the form of its type"),
);

export function mapRoutes(app: Hono, source: MapRoutesSource): void {
  const map = (): ConfigurationMap => {
    if (source.map !== undefined) return source.map;
    const reason = "this node is standalone: it is in no cluster, and has no map of one";
    throw new Refusal({ errno: "ENOENT", reason }, 404);
  };
  app.get("/v1/groups", async (c) => c.json({ groups: map() && (await source.groups()) }));
  app.get("/v1/cmap", async (c) => {
    const { map: where, prefix } = checked(readQuery, c.req.query());
    return c.json({ entries: await map().read(where, prefix) });
  });
  app.put("/v1/cmap", async (c) => {
    const { map: where, ...entry } = checked(setBody, await c.req.json().catch(() => undefined));
    return c.json({ result: await map().set(where, entry) });
  });
  app.delete("/v1/cmap", async (c) => {
    const { map: where, key } = checked(deleteQuery, c.req.query());
    return c.json({ result: await map().delete(where, key) });
  });
}
