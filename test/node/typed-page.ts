// A page of docs/ as it is typed, at a real node: every command in its order in one shell, and what it prints, where "…" stands for anything.
import { expect } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pending, ready, until } from "../interop/wait.ts";
import type { LoneNode } from "./lone-node.ts";

const prompt = "pve1# ";
const program = join(import.meta.dir, "../../src/main.ts");

interface Typed {
  readonly command: string;
  readonly printed: string;
}

function typedLines(page: string): readonly Typed[] {
  // What names a language is a file, and nothing to type.
  const blocks = [...page.matchAll(/^```(\w*)\n(.*?)^```$/gms)];
  return blocks.flatMap(([, language = "", block = ""]) =>
    (language === "" ? block : "")
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

/** Starts the node, types the page in `folder` once its certificate is there, and holds what is printed against the page. */
export async function playPage(options: {
  readonly page: string;
  readonly node: LoneNode;
  readonly port: number;
  readonly folder: string;
}): Promise<number> {
  const { page, node, port, folder } = options;
  const text = readFileSync(join(import.meta.dir, "../../docs", page), "utf8");
  node.start(["--no-mount", "--api", `${node.address}:${port}`]);
  const ca = join(folder, "ca.pem");
  await until(
    async () => {
      const read = await node.client.read("pve-root-ca.pem").catch(() => undefined);
      if (read !== undefined) writeFileSync(ca, read);
      const isOpen = node.log().includes("this node has a new certificate in the tree");
      return read !== undefined && isOpen ? ready(true) : pending(node.log());
    },
    240_000,
    "the node's certificate",
  );
  // What it wrote for that is told by now: a page's own changes come in events of their own.
  await until(
    async () => {
      const { out } = await node.run("events", "--kinds", "tree", "--json");
      return out.includes("pve-ssl.pem") ? ready(true) : pending(out);
    },
    60_000,
    "the event of the certificate",
  );
  // Who tells alerts is known a moment after the start.
  await until(
    async () => {
      const { out } = await node.run("alert", "--json");
      return /"sender": *\{/.test(out) ? ready(true) : pending(out);
    },
    60_000,
    "the node tells alerts",
  );
  const typed = typedLines(text);
  const here = (command: string) =>
    command
      .replaceAll("/run/quorate.sock", node.paths.socket)
      .replaceAll(
        "--cacert /etc/pve/pve-root-ca.pem",
        `--cacert ${ca} --connect-to pve1:8006:${node.address}:${port}`,
      );
  const quorate = `quorate() { '${process.execPath}' '${program}' "$@" --root '${node.root}'; }`;
  const script = typed.map(({ command }, at) => `${here(command)}\necho; echo @@${at}`).join("\n");
  const child = Bun.spawn(["bash", "-c", `${quorate}\n${script}`], {
    ...{ stdin: "ignore", stdout: "pipe", stderr: "inherit", cwd: folder },
    ...{ timeout: 200_000, killSignal: "SIGKILL" },
  });
  const output = await new Response(child.stdout).text();
  const printed = output.split(/@@\d+\n/).map((each) => each.trim());
  for (const [at, { command, printed: promised }] of typed.entries()) {
    expect(`${command}\n${printed[at]}`).toMatch(pattern(`${command}\n${promised}`));
  }
  return typed.length;
}
