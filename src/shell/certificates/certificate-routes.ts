// The route that sees to this node's certificates in the tree now, as `pvecm updatecerts` asks (pvecm.md §1.9).
import { certificatesAnswer } from "../answers/change.ts";
import * as parameter from "../api/parameters.ts";
import { ApiError, onlyRoot, type Route, route } from "../api/route.ts";
import type { Result } from "../../result.ts";
import type { EnsureOptions } from "./cluster-certificates.ts";

export function certificateRoutes(
  ensure: (options: EnsureOptions) => Promise<Result<unknown>>,
): readonly Route[] {
  return [
    route({
      method: "POST",
      path: "/node/certificates",
      isOurs: true,
      description: "Makes what is missing of this node's certificates; with force a new one.",
      permission: onlyRoot,
      returns: certificatesAnswer,
      parameters: { force: parameter.optional(parameter.boolean()) },
      handle: async ({ parameters }) => {
        const lines: string[] = [];
        const isForced = parameters.force === true;
        const done = await ensure({ isForced, note: (line) => void lines.push(line) });
        if (!done.ok) throw new ApiError(503, done.reason);
        return { lines };
      },
    }),
  ];
}
