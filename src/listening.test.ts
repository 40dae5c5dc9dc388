// What the runtime says of a port that cannot be had is followed by what to do.
import { expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { listenAdvice } from "./listening.ts";

/** The runtime's own words. */
function refusal(host: string, port: number): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const server = createServer();
  server.once("error", (error) => resolve(error.message));
  server.listen({ host, port, exclusive: true }, () => {
    server.close();
    resolve("");
  });
  return promise;
}

test("a taken port, a foreign address, a word that is no address", async () => {
  const { promise, resolve } = Promise.withResolvers<Server>();
  const holder = createServer();
  holder.listen({ host: "127.0.0.1", port: 0 }, () => resolve(holder));
  const taken = (await promise).address();
  const port = typeof taken === "object" && taken !== null ? taken.port : 0;
  expect(listenAdvice(await refusal("127.0.0.1", port))).toContain("by another program");
  holder.close();
  expect(listenAdvice(await refusal("192.0.2.200", 0))).toContain("no address of this machine");
  expect(listenAdvice(await refusal("999.1.1.1", 0))).toContain("no address of this machine");
  expect(listenAdvice("listen EACCES: permission denied 127.0.0.1:403")).toContain("root only");
  expect(listenAdvice("listen EMFILE: too many open files")).toBe("");
});
