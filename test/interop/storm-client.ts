// Sends messages of random sizes through libcpg, at most so many a second and the next when the last has come round, until it is
// killed; a line for each that has come round. Runs inside a node's namespaces:
//   bun storm-client.ts GROUP PER_SECOND BYTES_MIN BYTES_MAX SEED
import { CpgConnection } from "./cpg-library.ts";

const [group = "", ...numbers] = process.argv.slice(2);
const [perSecond = 1, bytesMin = 1, bytesMax = 1, seed = 1] = numbers.map(Number);
const buffer = new Uint8Array(bytesMax);
let delivered = 0;
const connection = new CpgConnection({
  delivered: (_nodeid, pid) => {
    if (pid !== process.pid) return;
    delivered += 1;
    console.log(`round ${delivered}`);
  },
  configured: () => undefined,
});
while (!connection.join(group)) connection.wait(20);
const begun = performance.now();
for (let sent = 0; ;) {
  connection.dispatch(64);
  const dueMs = Math.ceil(begun + (sent * 1000) / perSecond - performance.now());
  const draw = Bun.hash.wyhash(`${seed} ${sent}`) % BigInt(bytesMax - bytesMin + 1);
  const mayGo = dueMs <= 0 && delivered === sent;
  if (mayGo && connection.send(buffer, bytesMin + Number(draw))) sent += 1;
  else connection.wait(Math.min(20, Math.max(1, dueMs)));
}
