// All routes below /access but the login itself.
import type { Route } from "../route.ts";
import { accessRules } from "./access-rules.ts";
import type { AccessRoutesSource } from "./access-source.ts";
import { aclRoutes } from "./acl-routes.ts";
import { factorRoutes } from "./factor-routes.ts";
import { groupRoutes } from "./group-routes.ts";
import { passwordRoute } from "./passwords.ts";
import { realmRoutes } from "./realm-routes.ts";
import { roleRoutes } from "./role-routes.ts";
import { tokenRoutes } from "./token-routes.ts";
import { userRoutes } from "./user-routes.ts";

export function userManagementRoutes(source: AccessRoutesSource): readonly Route[] {
  const rules = accessRules(source.users);
  return [
    ...realmRoutes(source),
    ...userRoutes(source, rules),
    ...tokenRoutes(source, rules),
    ...groupRoutes(source),
    ...roleRoutes(source),
    ...aclRoutes(source, rules),
    passwordRoute(source, rules),
    ...factorRoutes(source, rules),
  ];
}
