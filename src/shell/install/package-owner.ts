// Does a package manager own the installed file (U11)? Then only it may replace the file.
import type { UpgradePlaces } from "../upgrade/places.ts";
import { run, searchPath } from "../unit/services.ts";

const askMsMax = 30_000;

interface Question {
  readonly program: string;
  readonly words: readonly string[];
  readonly advice: string;
}

const questions: readonly Question[] = [
  { program: "dpkg", words: ["-S"], advice: "apt" },
  { program: "rpm", words: ["-qf"], advice: "dnf or zypper" },
  { program: "apk", words: ["info", "--who-owns"], advice: "apk" },
  { program: "pacman", words: ["-Qo"], advice: "pacman" },
];

/** A sentence when some package has the file. */
export async function packageOwner({ bin, root }: UpgradePlaces): Promise<string | undefined> {
  if (root !== "/") return undefined;
  for (const { program, words, advice } of questions) {
    if (Bun.which(program, { PATH: searchPath() }) === null) continue;
    const { code, words: answer } = await run([program, ...words, bin], askMsMax);
    if (code !== 0) continue;
    return `${bin} belongs to a package (${program} says: ${answer}): upgrade it with ${advice}, or install quorate elsewhere`;
  }
  return undefined;
}
