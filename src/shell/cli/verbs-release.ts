// `quorate verify`: a release from outside.
import { releaseKeys } from "../version.ts";
import { write } from "./output.ts";
import { command, option, optionWithDefault, repeated, rest } from "./table.ts";
import { anyWord, file } from "./values.ts";

export const verify = command("verify", {
  description: "Is a release what its maker signed, and are these its files?",
  takes: {
    files: rest(file("files")),
    manifest: optionWithDefault("manifest", file(), "manifest.json", "The release's list of files"),
    signature: option("signature", file(), "Of the manifest (default: its name and .minisig)"),
    keys: repeated(
      "key",
      anyWord("key"),
      "Trust this minisign public key, or the one in this file, instead of the built-in ones",
    ),
  },
  examples: [
    "quorate verify quorate-linux-x64.zst",
    "quorate verify --manifest /mnt/usb/manifest.json /mnt/usb/quorate-linux-arm64.gz",
  ],
  manual: [
    "Checks the signature of a release's manifest with the keys that are built into this file, and each named file against the manifest. That lists the executables; of another file of the release, such as install.sh, it says what SHA256SUMS beside it has, which is not signed. Nothing is executed, and nothing is fetched.",
  ],
  files: [
    ["manifest.json", "the release's list of files with their SHA-256"],
    ["manifest.json.minisig", "its signature, in the form of minisign"],
  ],
  exits: [
    [0, "the manifest is signed by a trusted key, and the files are what it says"],
    [4, "they are not, or the manifest does not list them"],
  ],
  run: async (given) => {
    const { verifyCommand } = await import("../command/verify.ts");
    const { signature = `${given.manifest}.minisig` } = given;
    return verifyCommand({ ...given, signature, releaseKeys, write });
  },
});
