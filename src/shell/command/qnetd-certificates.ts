// `quorate qnetd certificates`: what the vote server's certificates need, renewal of its own, and the take-over of an original
// server's by PKCS#12 files. The original's own words are `corosync-qnetd-certutil`.
import { existsSync } from "node:fs";
import { importNss, importPkcs12 } from "../../qnetd/pki/store-nss.ts";
import { CertificateStore } from "../../qnetd/pki/store.ts";
import type { Result } from "../../result.ts";
import { CommandFailure, exitFailed, exitOk, exitUsage } from "../exit.ts";
import { printable } from "../cli/text-table.ts";
import { certificateTable } from "./qnetd-status.ts";

export interface QnetdCertificatesOptions {
  /** Of the certificates; /etc/corosync/qnetd/nssdb on a real machine. */
  readonly directory: string;
  /** Nickname of the server's certificate in an NSS database. */
  readonly nickname: string;
  readonly verb: "list" | "renew" | "import";
  /** PKCS#12 files of `import`; none: the NSS database of the directory. */
  readonly files: readonly string[];
  readonly password: string;
  readonly json: boolean;
  readonly write: (text: string) => void;
  /** Wall clock, milliseconds. */
  readonly now: () => number;
}

/** Verbs: list, renew, import. Exit code 1 of `list`: something is to be done. */
export async function qnetdCertificatesCommand(options: QnetdCertificatesOptions): Promise<number> {
  const store = new CertificateStore(options.directory);
  switch (options.verb) {
    case "list":
      return list(store, options);
    case "renew":
      if (store.state() === "none") throw new CommandFailure(noneYet(store));
      orFail(await store.renewServer(options.now()), "the server's certificate is not renewed");
      options.write("The server's certificate is renewed; a running server uses it from now on.\n");
      return exitOk;
    case "import":
      return takeOver(store, options);
  }
  return options.verb satisfies never;
}

function noneYet({ directory }: CertificateStore): string {
  return `There are no certificates in ${directory}: start the vote server ("quorate qnetd"), it makes them`;
}

function list(store: CertificateStore, { json, write, now }: QnetdCertificatesOptions): number {
  if (store.state() === "nss") {
    throw new CommandFailure(
      `${store.directory} holds an NSS database of an original vote server: take it over with "quorate qnetd certificates import"`,
    );
  }
  const certificates = store.certificates(now());
  const warnings = certificates.map(({ warning }) => warning).filter((text) => text !== "");
  if (store.state() === "none") {
    warnings.push(`${noneYet(store)}.`);
  }
  if (json) write(`${JSON.stringify({ certificates, warnings }, undefined, 2)}\n`);
  else {
    const lines = warnings.map((warning) => `Warning: ${printable(warning)}`);
    if (certificates.length > 0) lines.push(...certificateTable(certificates));
    write(`${lines.join("\n")}\n`);
  }
  return warnings.length === 0 ? exitOk : exitFailed;
}

async function takeOver(
  store: CertificateStore,
  { files, password, nickname, write, now }: QnetdCertificatesOptions,
): Promise<number> {
  const missing = files.find((file) => !existsSync(file));
  if (missing !== undefined) throw new CommandFailure(`there is no file ${missing}`);
  if (files.length === 0 && store.state() !== "nss") {
    throw new CommandFailure(
      `${store.directory} holds no NSS database: name PKCS#12 files`,
      exitUsage,
    );
  }
  orFail(store.prepare({ isGroupWritable: true }), "the directory cannot be made");
  const done =
    files.length === 0
      ? await importNss(store, nickname, now())
      : await importPkcs12(store, { files, password, now: now() });
  orFail(done, "nothing is taken over");
  write(
    `The authority is taken over into ${store.directory}; the clusters' nodes need nothing new.\n`,
  );
  return exitOk;
}

function orFail(done: Result<unknown>, what: string): void {
  if (!done.ok) throw new CommandFailure(`${what}: ${done.reason}`);
}
