// All routes below /nodes/{node} that are about its machine (pvecm.md §4.2). Those of its tasks are where tasks are.
import type { Route } from "../route.ts";
import { certificateRoutes } from "./certificate-routes.ts";
import { logRoutes } from "./log-routes.ts";
import { networkRoutes } from "./network-routes.ts";
import type { NodeSource } from "./node-source.ts";
import { reportRoute } from "./report-route.ts";
import { serviceRoutes } from "./service-routes.ts";
import { settingsRoutes } from "./settings-routes.ts";
import { statusRoutes } from "./status-routes.ts";

export function machineRoutes(source: NodeSource): readonly Route[] {
  return [
    ...statusRoutes(source),
    ...settingsRoutes(source),
    ...logRoutes(source),
    ...serviceRoutes(source),
    ...networkRoutes(source),
    ...certificateRoutes(source),
    reportRoute(source),
  ];
}
