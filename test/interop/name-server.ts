// A DNS server that is no help, at 127.0.0.1:53: "silent" answers nothing, "aaaa" has one IPv6 address for every name. It prints one
// line for each question: "asked NAME TYPE".
//   bun test/interop/name-server.ts silent|aaaa
import process from "node:process";

const aaaa = 28;
const mode = process.argv[2];

/** The name and type of the first question. */
function questionOf(query: Uint8Array): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
    labels.push(new TextDecoder().decode(query.subarray(at + 1, at + 1 + size)));
    at += 1 + size;
  }
  return {
    name: labels.join("."),
    type: (query[at + 1] ?? 0) * 256 + (query[at + 2] ?? 0),
    end: at + 5,
  };
}

/** The question with an answer for AAAA, without one for anything else. */
function answerTo(query: Uint8Array, type: number, end: number): Uint8Array {
  const answer = type === aaaa ? [0xc0, 0x0c, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16] : [];
  const address = type === aaaa ? [0xfd, 0x99, ...Array.from({ length: 13 }, () => 0), 1] : [];
  const head = [
    query[0] ?? 0,
    query[1] ?? 0,
    0x81,
    0x80,
    0,
    1,
    0,
    answer.length > 0 ? 1 : 0,
    0,
    0,
    0,
    0,
  ];
  return new Uint8Array([...head, ...query.subarray(12, end), ...answer, ...address]);
}

await Bun.udpSocket({
  hostname: "127.0.0.1",
  port: 53,
  binaryType: "uint8array",
  socket: {
    data(socket, query, port, address) {
      const { name, type, end } = questionOf(query);
      console.log(`asked ${name} ${type}`);
      if (mode === "aaaa") socket.send(answerTo(query, type, end), port, address);
    },
  },
});
console.log("serving");
