// What set-up asks of a vote server before it changes anything: a server without TLS is refused where there is a certificate for it.
import { expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { createAuthority, createIdentity } from "../../qnetd/pki/issue.ts";
import { encodeMessage } from "../../qnetd/session/message.ts";
import { probeVoteServer } from "./probe.ts";

test("a server without TLS is good for a cluster without a certificate, or with TLS off", async () => {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", () =>
      socket.write(
        encodeMessage({
          kind: "preinitReply",
          seq: 1,
          tlsSupport: "unsupported",
          clientCertificateRequired: true,
        }),
      ),
    );
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const from = new Date();
  const authority = await createAuthority(101, from);
  const own = await createIdentity({ authority, commonName: "lab", serial: 103, from });
  const identity = { ...own, authority: authority.certificate };
  const probe = async (tls: "off" | "on" | "required", isEnrolled: boolean): Promise<string> => {
    const common = { host: "127.0.0.1", port, cluster: "lab", tls };
    const found = await probeVoteServer({
      ...common,
      identity: isEnrolled ? identity : undefined,
    });
    return found.ok ? (found.value.tls ? "tls" : "plain") : found.reason;
  };
  try {
    expect(await probe("off", true)).toBe("plain");
    expect(await probe("on", false)).toBe("plain");
    for (const tls of ["on", "required"] as const) {
      expect(await probe(tls, true)).toEndWith(
        'runs without TLS: start it with TLS, or set the device up with "quorate qdevice setup 127.0.0.1 --tls off"',
      );
    }
  } finally {
    server.close();
  }
});
