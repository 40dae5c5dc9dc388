// The description of the API: valid by the OpenAPI Initiative's own schema, whole, and what the node says of itself.
import { afterAll, describe, expect, test } from "bun:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { openApiNode } from "../double/api-app.ts";
import { rootCaller } from "../../src/shell/api/route.ts";
import { openApiDocument } from "../../src/shell/openapi/document.ts";

const node = await openApiNode("cluster");
afterAll(() => node.close());
const app = node.appFor(async () => ({ ok: true, caller: rootCaller }));

async function served() {
  const response = await app.fetch(new Request("https://node/api/v1/openapi.json"), {});
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toStartWith("application/json");
  return (await response.json()) as ReturnType<typeof openApiDocument>;
}

describe("the document", () => {
  test("is valid OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate({ ...(await served()) });
    expect(errors).toBeUndefined();
    expect(valid).toBe(true);
  });

  test("has every route, and no other", async () => {
    const { paths } = await served();
    const described = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(described.toSorted()).toEqual(node.routes.map(nameOf).toSorted());
  });

  test("gives every operation an id of its own", async () => {
    const ids = Object.values((await served()).paths)
      .flatMap((methods) => Object.values(methods))
      .map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][A-Za-z0-9]*$/);
  });
});

describe("every route", () => {
  test.each(node.routes.map((each) => [nameOf(each), each] as const))("%s", (_, each) => {
    expect(each.description).toMatch(/^[A-Z].*\.$/s);
    const answers = each.returns !== undefined || each.contentType !== undefined;
    expect(answers).toBe(true);
    for (const [, parameter = ""] of each.path.matchAll(/\{(\w+)\}/g)) {
      expect(Object.keys(each.parameters)).toContain(parameter);
    }
  });
});

function nameOf({ method, isOurs, path }: (typeof node.routes)[number]): string {
  return `${method} ${isOurs === true ? "/api/v1" : "/api2/json"}${path}`;
}
