// The local API in a process of its own, for a test that takes all its descriptors: bun descriptors-program.ts SOCKET. Ends when its
// standard input does.
import { Hono } from "hono";
import { onScarceDescriptors } from "../../src/listening.ts";
import { listen } from "../../src/shell/api/api-socket.ts";

const [path = ""] = process.argv.slice(2);
onScarceDescriptors((text) => console.log(text));
const app = new Hono();
app.get("/", (c) => c.text("here"));
const socket = listen(app, path);
process.stdin
  .on("end", () => {
    void socket.close().then(() => process.exit(0));
  })
  .resume();
console.log("ready");
