// The report of this node, in sections, for whoever helps.
import { reportSections } from "../../answers/monitor.ts";
import type { Section } from "../../monitor/report.ts";
import { type Route, route } from "../route.ts";
import { mayAudit } from "./v1-rules.ts";

/** `sections`: with the log only for who may read that. */
export function reportRoute(
  sections: (who: { readonly seesLog: boolean }) => Promise<readonly Section[]>,
): Route {
  return route({
    method: "GET",
    path: "/report",
    isOurs: true,
    description:
      "What somebody needs who helps: configuration without secrets, state, events, and with Sys.Syslog the log.",
    permission: mayAudit,
    returns: reportSections,
    parameters: {},
    handle: ({ caller }) => sections({ seesLog: caller.may("/", "Sys.Syslog") }),
  });
}
