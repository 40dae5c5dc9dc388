// A program of the tests: opens a database through the embedded addon and asks a Worker, then says so in one line.
import Database from "libsql/promise";
import { identity } from "../../../src/shell/version.ts";

const database = new Database(":memory:", {});
const statement = await database.prepare("select 6 * 7 as answer");
const rows = await statement.all([]);
database.close();

const worker = new Worker(new URL("./thread.ts", import.meta.url).href);
const reply = Promise.withResolvers<unknown>();
worker.addEventListener("message", (event: MessageEvent<unknown>) => reply.resolve(event.data));
worker.addEventListener("error", (event) => reply.reject(new Error(event.message)));
worker.postMessage(rows[0]?.["answer"]);

let generated = "allowed";
try {
  // oxlint-disable-next-line no-implied-eval -- that it is refused is what we look for
  new Function("return 1")();
} catch {
  generated = "refused";
}
console.log(`${identity.target} worker=${String(await reply.promise)} codeGeneration=${generated}`);
worker.terminate();
