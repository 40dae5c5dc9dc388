// The network's way in for tests: a real door on loopback with a certificate of its own, which lets in whoever comes, however often.
import { pem } from "../../src/qnetd/pki/pki.ts";
import { issueCertificate, newRsaKey } from "../../src/shell/certificates/x509.ts";
import {
  Door,
  doorLimits,
  type DoorIdentity,
  type DoorOptions,
} from "../../src/shell/door/door.ts";

const unlimited = { perSecond: 1e6, burst: 1e6 };

export async function newDoorIdentity(name: string): Promise<DoorIdentity> {
  const key = await newRsaKey(2048);
  const certificate = issueCertificate({
    subject: [["commonName", name]],
    key,
    issuer: undefined,
    serial: 1n,
    from: new Date(Date.now() - 1000),
    until: new Date(Date.now() + 86_400_000),
    kind: "server",
    alternativeNames: ["127.0.0.1", "localhost"],
  });
  return {
    certificate: pem("CERTIFICATE", certificate),
    key: key.export({ format: "pem", type: "pkcs8" }),
  };
}

/** All its limits but those of rates stand. */
export async function openUnlimitedDoor(fetch: DoorOptions["fetch"]): Promise<Door> {
  return Door.open({
    host: "127.0.0.1",
    port: 0,
    identity: await newDoorIdentity("unlimited"),
    fetch,
    limits: {
      ...doorLimits,
      connectionRate: unlimited,
      totalConnectionRate: unlimited,
      requestRate: unlimited,
      totalRequestRate: unlimited,
    },
    log: () => undefined,
  });
}
