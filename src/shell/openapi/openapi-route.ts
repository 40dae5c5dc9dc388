// The route that describes all others.
import { anyUser, type Route, route } from "../api/route.ts";
import { openApiDocument } from "./document.ts";

/** `others`: all but this one. The document is made when it is first asked for, and kept: routes do not change while a node runs. */
export function openApiRoute(others: readonly Route[], version: string): Route {
  let text: string | undefined;
  const own: Route = route({
    method: "GET",
    path: "/openapi.json",
    isOurs: true,
    description: "This API as an OpenAPI 3.1 document.",
    permission: anyUser,
    contentType: "application/json",
    parameters: {},
    handle: () => {
      text ??= JSON.stringify(openApiDocument([...others, own], version));
      return new Response(text, {
        headers: { "content-type": "application/json;charset=UTF-8" },
      });
    },
  });
  return own;
}
