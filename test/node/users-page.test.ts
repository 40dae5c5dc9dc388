// docs/users.md as it is typed, at a real node: every command in its order in one shell, and what it prints, where "…" stands for anything.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "./lone-node.ts";

const port = 18_306;
const prompt = "pve1# ";
const page = readFileSync(join(import.meta.dir, "../../docs/users.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "quorate-page-"));
const node = new LoneNode("pve1");
afterAll(async () => {
  await node.close();
  rmSync(folder, { recursive: true });
});

interface Typed {
  readonly command: string;
  readonly printed: string;
}

function typedLines(): readonly Typed[] {
  const blocks = [...page.matchAll(/^```\n(.*?)^```$/gms)].map(([, block = ""]) => block);
  return blocks.flatMap((block) =>
    block
      .split(prompt)
      .slice(1)
      .map((text) => {
        const [command = "", ...printed] = text.split("\n");
        return { command, printed: printed.join("\n").trim() };
      }),
  );
}

function pattern(printed: string): RegExp {
  const parts = printed.split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join(".*")}$`, "s");
}

test("the page of users", async () => {
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  const ca = join(folder, "ca.pem");
  await until(
    async () => {
      const read = await node.client.read("pve-root-ca.pem").catch(() => undefined);
      if (read !== undefined) writeFileSync(ca, read);
      const isOpen = node.log().includes("this node has a new certificate in the tree");
      return read !== undefined && isOpen ? ready(true) : pending(node.log());
    },
    60_000,
    "the node's certificate",
  );
  const typed = typedLines();
  expect(typed.length).toBeGreaterThan(20);
  const here = (command: string) =>
    command
      .replaceAll("/run/quorate.sock", node.paths.socket)
      .replaceAll(
        "--cacert /etc/pve/pve-root-ca.pem",
        `--cacert ${ca} --connect-to pve1:8006:${node.address}:${port}`,
      );
  const script = typed.map(({ command }, at) => `${here(command)}\necho; echo @@${at}`).join("\n");
  const child = Bun.spawn(["bash", "-c", script], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit" },
    ...{ timeout: 120_000, killSignal: "SIGKILL" },
  });
  const output = await new Response(child.stdout).text();
  const printed = output.split(/@@\d+\n/).map((text) => text.trim());
  for (const [at, { command, printed: promised }] of typed.entries()) {
    expect(`${command}\n${printed[at]}`).toMatch(pattern(`${command}\n${promised}`));
  }
}, 200_000);
