// Manual pages and shell completion, as the installed file itself prints them, below the share/ beside its bin/.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";

const printMsMax = 30_000;

export interface DocumentationFile {
  readonly path: string;
  readonly text: string;
}

const completions = [
  ["bash", "bash-completion/completions/quorate"],
  ["zsh", "zsh/site-functions/_quorate"],
  ["fish", "fish/vendor_completions.d/quorate.fish"],
] as const;

/** Empty where the file does not lie in a bin/. Throws a sentence when it does not print them. */
export async function documentationOf(bin: string): Promise<readonly DocumentationFile[]> {
  if (basename(dirname(bin)) !== "bin") return [];
  const share = join(dirname(dirname(bin)), "share");
  const directory = mkdtempSync(join(tmpdir(), "quorate-man-"));
  try {
    await printed([bin, "man", "--all", directory]);
    const pages = readdirSync(directory).map((name) => ({
      path: join(share, `man/man${name.slice(name.lastIndexOf(".") + 1)}`, name),
      text: readFileSync(join(directory, name), "utf8"),
    }));
    const scripts: DocumentationFile[] = [];
    for (const [shell, place] of completions) {
      scripts.push({ path: join(share, place), text: await printed([bin, "completion", shell]) });
    }
    return [...pages, ...scripts];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

async function printed(words: readonly string[]): Promise<string> {
  const child = Bun.spawn([...words], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    timeout: printMsMax,
  });
  const [out, err, code] = await Promise.all([
    child.stdout.text(),
    child.stderr.text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`\`${words.join(" ")}\` ended with ${code}: ${err.trim()}`);
  return out;
}
