// `quorate api` at a real node: a list for people, the document for programs.
import { afterAll, expect, test } from "bun:test";
import { LoneNode } from "./lone-node.ts";

const node = new LoneNode("described");
afterAll(() => node.close());

test("the running node says what its API has", async () => {
  node.start(["--no-mount", "--no-api"]);
  await node.statusWhen(({ mode }) => mode === "standalone", "standalone");
  const listed = await node.run("api");
  expect(listed).toMatchObject({ code: 0 });
  expect(listed.out).toMatch(/^GET +\/api2\/json\/version +Any user +The version/m);
  const some = await node.run("api", "/cluster/config/join");
  expect(some.out.match(/^(?:GET|POST) .*/gm)).toHaveLength(2);
  expect(await node.run("api", "/nothing/of/this")).toMatchObject({
    code: 1,
    out: 'No path of the API contains "/nothing/of/this".\n',
  });
  const { out } = await node.run("api", "--json");
  const document = JSON.parse(out) as { openapi: string; paths: Record<string, unknown> };
  expect(document.openapi).toBe("3.1.0");
  expect(Object.keys(document.paths)).toContain("/api/v1/openapi.json");
});
