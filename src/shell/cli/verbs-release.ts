// The table's part for releases: `quorate verify`.
import type { CAC } from "cac";
import { releaseKeys } from "../version.ts";
import { textOf, wordOf, write } from "./words.ts";

type Options = Readonly<Record<string, unknown>>;

export function verifyVerb(cli: CAC): void {
  cli
    .command("verify [...files]", "Is a release what its maker signed, and are these its files?")
    .option("--manifest <file>", "The release's list of files", { default: "manifest.json" })
    .option("--signature <file>", "Of the manifest (default: its name and .minisig)")
    .option(
      "--key <key>",
      "Trust this minisign public key, or the one in this file, instead of the built-in ones; may be repeated",
    )
    .example("quorate verify quorate-linux-x64.zst")
    .example("quorate verify --manifest /mnt/usb/manifest.json /mnt/usb/quorate-linux-arm64.gz")
    .action(async (files: readonly unknown[], options: Options) => {
      const { verifyCommand } = await import("../command/verify.ts");
      const manifest = textOf(options["manifest"], "manifest.json");
      const given = options["key"];
      const keys = (Array.isArray(given) ? given : [given]).flatMap((key) => wordOf(key) ?? []);
      return verifyCommand({
        manifest,
        signature: textOf(options["signature"], `${manifest}.minisig`),
        files: files.map(String),
        keys,
        releaseKeys,
        write,
      });
    });
}
