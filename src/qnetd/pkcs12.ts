// PKCS#12 files, read and written (qnetd.md §4.2): how keys leave and enter the databases of NSS on nodes and on original vote
// servers. PBES2 with AES and an HMAC as NSS ≥ 3.50 writes them; the older RC2 and 3DES forms are refused with a way out.
import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { BmpString, OctetString } from "asn1js";
import {
  Attribute,
  AuthenticatedSafe,
  CertBag,
  Certificate,
  EncryptedContentInfo,
  getCrypto,
  KeyBag,
  PFX,
  PKCS8ShroudedKeyBag,
  PrivateKeyInfo,
  SafeBag,
  SafeContents,
} from "pkijs";
import { type Decoded, decoded, malformed } from "../bytes.ts";

/** What a file holds; `name`: the friendly name, which NSS calls the nickname. */
export interface Pkcs12 {
  readonly keys: readonly NamedDer[];
  readonly certificates: readonly NamedDer[];
}

/** A key is PKCS#8, a certificate X.509. */
export interface NamedDer {
  readonly name: string | undefined;
  readonly der: Uint8Array;
}

/** The files of the original tools have 3 kB. */
const fileBytesMax = 1 << 20;
const bagsMax = 64;
/** The password is empty by the tools' custom, so that iterations protect nothing and cost time. */
const iterations = 10_000;
const bagTypes = {
  key: "1.2.840.113549.1.12.10.1.1",
  shroudedKey: "1.2.840.113549.1.12.10.1.2",
  certificate: "1.2.840.113549.1.12.10.1.3",
} as const;
const attributeTypes = {
  friendlyName: "1.2.840.113549.1.9.20",
  localKeyId: "1.2.840.113549.1.9.21",
} as const;
const x509Certificate = "1.2.840.113549.1.9.22.1";

/** Opens a file. The reason is a clause for the operator. */
export async function readPkcs12(bytes: Uint8Array, password: string): Promise<Decoded<Pkcs12>> {
  if (bytes.length > fileBytesMax) return malformed(`it has ${bytes.length} bytes, too many`);
  const secret = passwordBytes(password);
  try {
    const pfx = PFX.fromBER(new Uint8Array(bytes));
    await pfx.parseInternalValues({ password: secret, checkIntegrity: true });
    const safe = pfx.parsedValue?.authenticatedSafe;
    if (safe === undefined) return malformed("it holds no keys and certificates");
    await safe.parseInternalValues({
      safeContents: safe.safeContents.map(() => ({ password: secret })),
    });
    const bags: SafeBag[] = safe.parsedValue.safeContents.flatMap(
      ({ value }: { readonly value: SafeContents }) => value.safeBags,
    );
    if (bags.length > bagsMax) return malformed(`it holds ${bags.length} things, too many`);
    return decoded(await contentsOf(bags, secret));
  } catch (error) {
    return malformed(reasonOf(error));
  }
}

/** Makes a file with one key, its certificate, and the authority's, which `pk12util -i` and all others can read. */
export async function makePkcs12(
  contents: {
    readonly key: NamedDer;
    readonly certificate: NamedDer;
    readonly authority: NamedDer;
  },
  password: string,
): Promise<Uint8Array> {
  const secret = passwordBytes(password);
  const keyId = localKeyId(contents.key.der);
  const shrouded = new PKCS8ShroudedKeyBag({
    parsedValue: PrivateKeyInfo.fromBER(new Uint8Array(contents.key.der)),
  });
  const cipher = (length: number) => ({
    password: secret,
    contentEncryptionAlgorithm: { name: "AES-CBC", length },
    hmacHashAlgorithm: "SHA-256",
    iterationCount: iterations,
  });
  await shrouded.makeInternalValues(cipher(256));
  const keyBag = bag(bagTypes.shroudedKey, shrouded, contents.key.name, keyId);
  const { certificate, authority } = contents;
  const certificates = [
    bag(bagTypes.certificate, certificateBag(authority.der), authority.name, undefined),
    bag(bagTypes.certificate, certificateBag(certificate.der), certificate.name, keyId),
  ];
  const safe = new AuthenticatedSafe({
    parsedValue: {
      safeContents: [
        { privacyMode: 0, value: new SafeContents({ safeBags: [keyBag] }) },
        { privacyMode: 1, value: new SafeContents({ safeBags: certificates }) },
      ],
    },
  });
  await safe.makeInternalValues({ safeContents: [{}, cipher(256)] });
  const pfx = new PFX({ parsedValue: { integrityMode: 0, authenticatedSafe: safe } });
  await pfx.makeInternalValues({
    password: secret,
    iterations,
    pbkdf2HashAlgorithm: "SHA-256",
    hmacHashAlgorithm: "SHA-256",
  });
  return new Uint8Array(pfx.toSchema().toBER());
}

async function contentsOf(bags: readonly SafeBag[], password: ArrayBuffer): Promise<Pkcs12> {
  const keys: NamedDer[] = [];
  const certificates: NamedDer[] = [];
  for (const { bagValue, bagAttributes } of bags) {
    const name = friendlyName(bagAttributes ?? []);
    if (bagValue instanceof PKCS8ShroudedKeyBag) {
      const encryptedContentInfo = new EncryptedContentInfo({
        contentEncryptionAlgorithm: bagValue.encryptionAlgorithm,
        encryptedContent: bagValue.encryptedData,
      });
      const der = await getCrypto(true).decryptEncryptedContentInfo({
        encryptedContentInfo,
        password,
      });
      keys.push({ name, der: new Uint8Array(der) });
    } else if (bagValue instanceof KeyBag) {
      keys.push({ name, der: new Uint8Array(bagValue.toSchema().toBER()) });
    } else if (bagValue instanceof CertBag && bagValue.parsedValue instanceof Certificate) {
      certificates.push({ name, der: new Uint8Array(bagValue.parsedValue.toSchema().toBER()) });
    }
  }
  return { keys, certificates };
}

function friendlyName(attributes: readonly Attribute[]): string | undefined {
  const attribute = attributes.find(({ type }) => type === attributeTypes.friendlyName);
  const value: unknown = attribute?.values[0];
  return value instanceof BmpString ? value.valueBlock.value : undefined;
}

function certificateBag(der: Uint8Array): CertBag {
  return new CertBag({
    certId: x509Certificate,
    parsedValue: Certificate.fromBER(new Uint8Array(der)),
  });
}

function bag(
  type: string,
  value: PKCS8ShroudedKeyBag | CertBag,
  name: string | undefined,
  keyId: Uint8Array | undefined,
): SafeBag {
  const attributes: Attribute[] = [];
  if (name !== undefined) {
    const values = [new BmpString({ value: name })];
    attributes.push(new Attribute({ type: attributeTypes.friendlyName, values }));
  }
  if (keyId !== undefined) {
    const values = [new OctetString({ valueHex: new Uint8Array(keyId).buffer })];
    attributes.push(new Attribute({ type: attributeTypes.localKeyId, values }));
  }
  return new SafeBag({ bagId: type, bagValue: value, bagAttributes: attributes });
}

/** Any octets do, as long as key and certificate have the same. */
function localKeyId(pkcs8: Uint8Array): Uint8Array {
  const key = createPrivateKey({ key: Buffer.from(pkcs8), format: "der", type: "pkcs8" });
  const publicKey = createPublicKey(key).export({ format: "der", type: "spki" });
  return createHash("sha1").update(publicKey).digest();
}

function passwordBytes(password: string): ArrayBuffer {
  return new TextEncoder().encode(password).buffer;
}

function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  if (/integrity/i.test(text)) return "its password is another, or it is damaged";
  if (/algorithm/i.test(text)) {
    return (
      "it is encrypted in an old way (3DES or RC2); export it again with " +
      '"pk12util -c AES-256-CBC -C AES-256-CBC …"'
    );
  }
  return "it is no PKCS#12 file";
}
