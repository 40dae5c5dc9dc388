// What a script of the laboratory needs from the machine, and how it says that something is missing: "skipped: …" and exit 0, but a
// failure with QUORATE_CI=1, where nothing may be skipped.

const labTools = ["nft", "ip", "unshare", "nsenter", "setpriv"];

/** The first thing that is missing for a laboratory with these programs, or undefined. */
export function obstacleTo(programs: readonly string[]): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  const absent = [...programs, ...labTools].find((program) => Bun.which(program) === null);
  return absent === undefined ? undefined : `${absent} not installed`;
}

/** Says so as the script's last line; answers its exit code. */
export function skipped(reason: string): number {
  console.log(`skipped: ${reason}`);
  if (process.env["QUORATE_CI"] !== "1") return 0;
  console.log("0 passed, 1 failed");
  return 1;
}
