// A test helper: routes served to one caller, each reply held against what its route says that it answers, with nothing beside that.
import { isDeepStrictEqual } from "node:util";
import * as v from "valibot";
import { buildApi2 } from "../../src/shell/api/api2.ts";
import { type Caller, Page, rootCaller, type Route } from "../../src/shell/api/route.ts";

const replySchema = v.object({
  data: v.unknown(),
  total: v.optional(v.number()),
  message: v.optional(v.string()),
  errors: v.optional(v.record(v.string(), v.string())),
  code: v.optional(v.string()),
  hint: v.optional(v.string()),
});

export type Reply = v.InferOutput<typeof replySchema> & { readonly status: number };

export type Ask = (
  method: "GET" | "POST" | "PUT" | "DELETE",
  path: string,
  parameters?: Readonly<Record<string, string>>,
) => Promise<Reply>;

/** `path` without query; the original's without base, ours from "/api/v1" on. */
export function repliesOf(
  routes: readonly Route[],
  caller: Caller = rootCaller,
  isQuorate: () => boolean = () => true,
): Ask {
  const app = buildApi2({
    routes: routes.map(heldToSchema),
    authenticate: async () => ({ ok: true, caller }),
    isQuorate,
  });
  return async (method, path, parameters = {}) => {
    const words = new URLSearchParams(parameters);
    const hasBody = method === "POST" || method === "PUT";
    const query = hasBody || words.size === 0 ? "" : `?${words.toString()}`;
    const base = path.startsWith("/api/v1/") ? "" : "/api2/json";
    const request = new Request(`https://node${base}${path}${query}`, {
      method,
      ...(hasBody && words.size > 0 ? { body: words } : {}),
    });
    const response = await app.fetch(request, { address: "192.0.2.1" });
    return { ...v.parse(replySchema, await response.json()), status: response.status };
  };
}

/** Who has the privileges on each path and what is below it, and no other. */
export function callerWith(
  user: string,
  rights: Readonly<Record<string, readonly string[]>>,
): Caller {
  return {
    user,
    isToken: user.includes("!"),
    may: (path, privilege) =>
      Object.entries(rights).some(
        ([on, privileges]) =>
          (path === on || path.startsWith(on === "/" ? "/" : `${on}/`)) &&
          privileges.includes(privilege),
      ),
  };
}

function heldToSchema(route: Route): Route {
  return {
    ...route,
    answer: async (call) => {
      const answer = await route.answer(call);
      if (answer instanceof Response) return answer;
      const data = answer instanceof Page ? answer.data : answer;
      const where = `${route.method} ${route.path}`;
      if (route.returns === undefined) throw new Error(`${where} does not say what it answers`);
      const read = v.safeParse(route.returns, data);
      if (!read.success) {
        throw new Error(
          `${where}: ${JSON.stringify(v.flatten(read.issues))} ${JSON.stringify(data)}`,
        );
      }
      // As JSON, where what is undefined is not there.
      const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value ?? null));
      if (!isDeepStrictEqual(plain(read.output), plain(data))) {
        throw new Error(`${where} answers more than it says: ${JSON.stringify(data)}`);
      }
      return answer;
    },
  };
}
