// One OpenAPI 3.1 document out of the declared routes: what the node checks and answers is what it says, and nothing is described twice.
import * as v from "valibot";
import type { Permission, Route } from "../api/route.ts";
import { type BooleanForm, type JsonSchema, jsonSchemaOf } from "./json-schema.ts";

export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: JsonSchema;
  readonly servers: readonly JsonSchema[];
  readonly tags: readonly { readonly name: string }[];
  /** By path, and by method in lower case. */
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: JsonSchema;
}

export interface Operation {
  /** Of its own in the whole document. */
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  /** Who may call it, for people. */
  readonly description: string;
  readonly security: readonly Readonly<Record<string, readonly string[]>>[];
  readonly parameters?: readonly JsonSchema[];
  readonly requestBody?: JsonSchema;
  readonly responses: Readonly<Record<string, JsonSchema>>;
}

const about =
  "What Proxmox's clients call is below /api2/json, in its forms: parameters in the query or as a form, 0 and 1 for booleans. " +
  "The same is below /api2/extjs, where every answer has status 200 and the outcome in its body. What is quorate's own is below " +
  "/api/v1. A path with {node} of another member is forwarded to it.";

/** `version`: of the program. Throws when a route's schema cannot be said in JSON Schema. */
export function openApiDocument(routes: readonly Route[], version: string): OpenApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  for (const each of routes.toSorted(byPath)) {
    (paths[fullPath(each)] ??= {})[each.method.toLowerCase()] = operation(each);
  }
  const names = new Set(routes.map(tagOf));
  return {
    openapi: "3.1.0",
    info: {
      title: "quorate, the API of a node",
      version,
      description: about,
      license: { name: "Apache 2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The node that answers; every node does." }],
    tags: [...names].toSorted().map((name) => ({ name })),
    paths,
    components,
  };
}

function fullPath({ isOurs, path }: Route): string {
  return `${isOurs === true ? "/api/v1" : "/api2/json"}${path}`;
}

function byPath(a: Route, b: Route): number {
  const [left, right] = [fullPath(a), fullPath(b)];
  return left === right ? 0 : left < right ? -1 : 1;
}

/** The first word of the path. */
function tagOf({ path }: Route): string {
  return path.split("/")[1] ?? "";
}

function operation(of: Route): Operation {
  const names = Object.entries(of.parameters);
  const isInPath = (name: string): boolean => of.path.split("/").includes(`{${name}}`);
  const hasBody = of.method === "POST" || of.method === "PUT";
  const inBody = hasBody ? names.filter(([name]) => !isInPath(name)) : [];
  const inAddress = names.filter(([name]) => isInPath(name) || !hasBody);
  return {
    operationId: operationId(of),
    tags: [tagOf(of)],
    summary: of.description,
    description: permissionText(of.permission),
    security: security(of),
    ...(inAddress.length === 0
      ? {}
      : { parameters: inAddress.map(([name, schema]) => parameter(name, schema, isInPath(name))) }),
    ...(inBody.length === 0 ? {} : { requestBody: requestBody(Object.fromEntries(inBody)) }),
    responses: responses(of),
  };
}

/** "getNodesByNodeTasks"; ours with "V1" behind the method. */
function operationId({ method, isOurs, path }: Route): string {
  const words = path.split(/[^A-Za-z0-9{}]+/).map((word) => {
    const name = /^\{(.*)\}$/.exec(word)?.[1];
    return name === undefined ? capital(word) : `By${capital(name)}`;
  });
  return [method.toLowerCase(), isOurs === true ? "V1" : "", ...words].join("");
}

function capital(word: string): string {
  return `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`;
}

/** Who may call a route, a sentence. */
function permissionText(permission: Permission): string {
  switch (permission.kind) {
    case "none":
      return "Without a login.";
    case "any":
      return "Any user.";
    case "root":
      return "root@pam itself only, not by an API token.";
    case "privilege":
      return `Who has ${permission.privileges.join(" or ")} on ${permission.path}.`;
    case "rule":
      return permission.description;
  }
  return permission satisfies never;
}

function security({ method, permission, isTicketOnly }: Route): Operation["security"] {
  if (permission.kind === "none") return [];
  const ticket = method === "GET" ? { ticket: [] } : { ticket: [], csrf: [] };
  return permission.kind === "root" || isTicketOnly === true ? [ticket] : [ticket, { token: [] }];
}

function parameter(name: string, schema: v.GenericSchema, isInPath: boolean): JsonSchema {
  return {
    name,
    in: isInPath ? "path" : "query",
    required: isInPath || schema.type !== "optional",
    schema: jsonSchemaOf(schema, "boolean"),
  };
}

function requestBody(parameters: Route["parameters"]): JsonSchema {
  const schema = { ...jsonSchemaOf(v.object(parameters), "boolean"), additionalProperties: false };
  const isRequired = Object.values(parameters).some(({ type }) => type !== "optional");
  return {
    required: isRequired,
    content: { "application/x-www-form-urlencoded": { schema }, "application/json": { schema } },
  };
}

function responses(of: Route): Operation["responses"] {
  const refusals = {
    "400": "BadParameter",
    ...(of.permission.kind === "none" ? {} : { "401": "NotKnown" }),
    ...(of.permission.kind === "none" || of.permission.kind === "any"
      ? {}
      : { "403": "NoPermission" }),
    default: "Refusal",
  };
  const links = Object.entries(refusals).map(
    ([status, name]) => [status, { $ref: `#/components/responses/${name}` }] as const,
  );
  return { "200": success(of), ...Object.fromEntries(links) };
}

function success({ isOurs, isPaged, contentType, returns }: Route): JsonSchema {
  const description = "Done.";
  if (contentType !== undefined) {
    const isJson = contentType.startsWith("application/json");
    return {
      description,
      content: { [contentType]: { schema: isJson ? {} : { type: "string" } } },
    };
  }
  const form: BooleanForm = isOurs === true ? "boolean" : "zeroOrOne";
  const data = returns === undefined ? {} : jsonSchemaOf(returns, form);
  const total = { type: "integer", description: "How many there are; data is a part of them." };
  const schema = {
    type: "object",
    properties: { data, ...(isPaged === true ? { total } : {}) },
    required: ["data", ...(isPaged === true ? ["total"] : [])],
  };
  return { description, content: { "application/json": { schema } } };
}

const refused = (description: string): JsonSchema => ({
  description,
  content: { "application/json": { schema: { $ref: "#/components/schemas/Refusal" } } },
});

const components: JsonSchema = {
  securitySchemes: {
    ticket: {
      type: "apiKey",
      in: "cookie",
      name: "PVEAuthCookie",
      description: "The ticket of POST /api2/json/access/ticket; good for two hours.",
    },
    csrf: {
      type: "apiKey",
      in: "header",
      name: "CSRFPreventionToken",
      description: "Of the same answer; with a ticket, for whatever changes something.",
    },
    token: {
      type: "apiKey",
      in: "header",
      name: "Authorization",
      description: "PVEAPIToken=USER@REALM!TOKENID=SECRET",
    },
  },
  schemas: {
    Refusal: {
      type: "object",
      properties: {
        data: { type: "null" },
        message: {
          type: "string",
          description: "For people; its first line is the reason phrase.",
        },
        errors: {
          type: "object",
          additionalProperties: { type: "string" },
          description: "By parameter.",
        },
        code: { type: "string", description: "For programs; quorate's own." },
        hint: { type: "string", description: "What to do next; quorate's own." },
      },
      required: ["data", "message"],
    },
  },
  responses: {
    BadParameter: refused("A parameter is missing, unknown or wrong; `errors` names it."),
    NotKnown: {
      description:
        "No ticket and no token, or one that is not good. Below /api2 the body is empty; the reason phrase says which.",
    },
    NoPermission: refused("Who asks is known, and may not."),
    Refusal: refused("It could not be done; the message says why."),
  },
};
