// The sample database through the kernel: what ls, stat and sha256sum see on our mount is what they saw on the original's.
import { expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const golden = `${import.meta.dir}/../golden`;
const reason =
  process.getuid?.() !== 0 ? "needs root" : existsSync("/dev/fuse") ? "" : "needs /dev/fuse";

async function output(command: readonly string[], cwd: string): Promise<string> {
  const child = Bun.spawn([...command], {
    cwd,
    stdout: "pipe",
    stderr: "inherit",
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  const text = await new Response(child.stdout).text();
  expect(await child.exited).toBe(0);
  return text;
}

/** Lines of config.db.expected.tsv as the mount gives them; generated files belong to a running daemon. */
async function listing(mount: string): Promise<string[]> {
  const format = String.raw`%P\t%y\t%m\t%u:%g\t%s\t%T@\t%l\n`;
  const found = await output(["find", ".", "-mindepth", "1", "-printf", format], mount);
  const sums = new Map<string, string>();
  const files = await output(["find", ".", "-type", "f", "-exec", "sha256sum", "{}", "+"], mount);
  for (const line of files.trim().split("\n")) {
    const [sum = "", name = ""] = line.split("  ./");
    sums.set(name, sum);
  }
  return found
    .trim()
    .split("\n")
    .map((line) => line.split("\t"))
    .filter(([name = ""]) => !/^\.(version|members|vmlist|rrd|clusterlog|debug)$/.test(name))
    .map(([name = "", type = "", mode = "", owner = "", size = "", time = "", link = ""]) =>
      type === "l"
        ? [name, type, mode, owner, "-", "-", link].join("\t")
        : [name, type, mode, owner, size, time, sums.get(name) ?? "-"].join("\t"),
    )
    .toSorted();
}

test.skipIf(reason !== "" && process.env["QUORATE_CI"] !== "1")(
  `the sample tree through the mount is the original's${reason === "" ? "" : ` (${reason})`}`,
  async () => {
    const folder = mkdtempSync(`${tmpdir()}/quorate-mount-`);
    const mount = `${folder}/pve`;
    mkdirSync(mount);
    cpSync(`${golden}/config.db`, `${folder}/config.db`);
    const daemon = Bun.spawn(
      [process.execPath, `${import.meta.dir}/mount-daemon.ts`, folder, mount, "pve1"],
      { stdout: "pipe", stderr: "inherit" },
    );
    try {
      const first = await daemon.stdout.getReader().read();
      expect(new TextDecoder().decode(first.value)).toBe("ready\n");
      const expected = readFileSync(`${golden}/config.db.expected.tsv`, "utf8").trim().split("\n");
      expect(await listing(mount)).toEqual(expected.toSorted());
    } finally {
      daemon.kill("SIGTERM");
      await daemon.exited;
      rmSync(folder, { recursive: true });
    }
  },
  60_000,
);
