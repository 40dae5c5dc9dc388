// The settings of a node's machine that Proxmox's API reads and writes: time zone, name servers, /etc/hosts (pvecm.md §4.2).
import { createHash } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import * as v from "valibot";
import { replaceDurably } from "../../../durable-file.ts";
import { fileReasonOf } from "../../../result.ts";
import { isTimeZone, offsetOf, setTimeZone, timeZone } from "../../machine/clock.ts";
import { resolverSettings, withResolverSettings } from "../../machine/resolver.ts";
import { readBytes, readTextFile } from "../../machine/text-file.ts";
import * as parameter from "../parameters.ts";
import { ApiError, privileged, type Route, route } from "../route.ts";
import { mayAudit, mayModify, node, type NodeSource, wrong } from "./node-source.ts";

const fileMode = 0o644;

/** Writes a file of the machine; what the disk refuses is the caller's to know, and no fault of ours. */
function written(path: string, write: () => void): void {
  try {
    write();
  } catch (error) {
    throw new ApiError(500, `${path} cannot be written: ${fileReasonOf(error)}`, {
      code: "notWritable",
    });
  }
}

/** Changes of a file come one after the other: none is made from what another has replaced. */
class Turn {
  #last: Promise<unknown> = Promise.resolve();

  take<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

export function settingsRoutes(source: NodeSource): readonly Route[] {
  return [...timeRoutes(source), ...resolverRoutes(source), ...hostsRoutes(source)];
}

function timeRoutes({ places: { root } }: NodeSource): readonly Route[] {
  const time = v.pipe(v.number(), v.integer());
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/time",
      description: "Time and time zone of the machine of a node.",
      permission: mayAudit,
      parameters: node,
      returns: v.object({ timezone: v.string(), time, localtime: time }),
      handle: async () => {
        const zone = await timeZone(root);
        const now = Math.floor(Date.now() / 1000);
        return { timezone: zone, time: now, localtime: now + offsetOf(zone, now) };
      },
    }),
    route({
      method: "PUT",
      path: "/nodes/{node}/time",
      description: "Sets the time zone of the machine of a node.",
      permission: mayModify,
      parameters: { ...node, timezone: parameter.text({ max: 64 }) },
      returns: v.null(),
      handle: ({ parameters }) => {
        if (!isTimeZone(root, parameters.timezone)) throw wrong("timezone", "No such timezone");
        written(join(root, "etc/localtime"), () => setTimeZone(root, parameters.timezone));
        return null;
      },
    }),
  ];
}

const nameServer = parameter.optional(
  parameter.checkedText(
    64,
    (text) => isIP(text) !== 0,
    "invalid format - value does not look like a valid IP address",
  ),
);

function resolverRoutes({ places: { root } }: NodeSource): readonly Route[] {
  const path = join(root, "etc/resolv.conf");
  const turn = new Turn();
  const text = v.optional(v.string());
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/dns",
      description: "Search domain and name servers of the machine of a node.",
      permission: mayAudit,
      parameters: node,
      returns: v.object({ search: text, dns1: text, dns2: text, dns3: text }),
      handle: async () => resolverSettings((await readTextFile(path)) ?? ""),
    }),
    route({
      method: "PUT",
      path: "/nodes/{node}/dns",
      description: "Sets search domain and name servers of the machine of a node.",
      permission: mayModify,
      parameters: {
        ...node,
        search: parameter.formatted(
          253,
          /^[A-Za-z0-9_.-]*$/,
          "invalid format - value does not look like a valid domain name",
        ),
        ...{ dns1: nameServer, dns2: nameServer, dns3: nameServer },
      },
      returns: v.null(),
      handle: ({ parameters: { search, dns1, dns2, dns3 } }) =>
        turn.take(async () => {
          const given = Object.entries({ search, dns1, dns2, dns3 });
          const settings = Object.fromEntries(given.filter(([, value]) => value !== undefined));
          const changed = withResolverSettings((await readTextFile(path)) ?? "", settings);
          const bytes = new TextEncoder().encode(changed);
          written(path, () => replaceDurably(path, bytes, fileMode));
          return null;
        }),
    }),
  ];
}

function hostsRoutes({ places: { root } }: NodeSource): readonly Route[] {
  const path = join(root, "etc/hosts");
  const turn = new Turn();
  const read = async () => {
    const bytes = (await readBytes(path)) ?? new Uint8Array(0);
    return { digest: digestOf(bytes), data: new TextDecoder().decode(bytes) };
  };
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/hosts",
      description: "The content of /etc/hosts of the machine of a node.",
      permission: privileged("/", "Sys.Audit"),
      parameters: node,
      returns: v.object({ digest: v.string(), data: v.string() }),
      handle: read,
    }),
    route({
      method: "POST",
      path: "/nodes/{node}/hosts",
      description: "Writes /etc/hosts of the machine of a node, unless it is another by now.",
      permission: mayModify,
      parameters: {
        ...node,
        digest: parameter.optional(parameter.text({ max: 64 })),
        data: parameter.text({ max: 60_000 }),
      },
      returns: v.null(),
      handle: ({ parameters: { digest = "", data } }) =>
        turn.take(async () => {
          if (digest !== "" && digest !== (await read()).digest) {
            throw new ApiError(
              500,
              "detected modified configuration - file changed by other user? Try again.",
              { code: "changed", hint: "read it again, and send the digest of what was read" },
            );
          }
          const bytes = new TextEncoder().encode(data);
          written(path, () => replaceDurably(path, bytes, fileMode));
          return null;
        }),
    }),
  ];
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}
