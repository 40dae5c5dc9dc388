// Three standalone nodes, each on a machine of the site, with its page and a root whose password is known; nothing of them is left.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Subprocess } from "bun";
import { inviteCommand } from "../../src/shell/command/qnetd-invite.ts";
import { pending, ready, until } from "../interop/wait.ts";
import { LoneNode } from "../node/lone-node.ts";
import { hubAddress, machines } from "./site.ts";

export const password = "secret";
/** Of "secret". */
const hash =
  "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
/** That other nodes call without being told. */
const port = 8006;
export const patientMs = 240_000;

/** Of the command line that starts a node here. */
export function nodeWords(node: LoneNode): readonly string[] {
  return ["--no-mount", "--api", `${node.address}:${port}`];
}

export function addressOf(node: LoneNode): string {
  return `https://${node.address}:${port}`;
}

export async function threeNodes(): Promise<readonly [LoneNode, LoneNode, LoneNode]> {
  const [one, two, three] = machines();
  const nodes = [
    new LoneNode("pve1", one),
    new LoneNode("pve2", two),
    new LoneNode("pve3", three),
  ] as const;
  for (const node of nodes) {
    mkdirSync(dirname(node.paths.shadow), { recursive: true });
    writeFileSync(node.paths.shadow, `root:${hash}:19000:0:99999:7:::\n`);
    node.start(nodeWords(node));
  }
  for (const node of nodes) await served(node);
  return nodes;
}

/** The node answers, and its certificate is the one that stays. */
async function served(node: LoneNode): Promise<void> {
  await until(
    async () => {
      const read = await node.client.read("pve-root-ca.pem").catch(() => undefined);
      const isOpen = node.log().includes("this node has a new certificate in the tree");
      return read !== undefined && isOpen ? ready(true) : pending(node.log().slice(-400));
    },
    patientMs,
    `${node.name}'s certificate`,
  );
}

const pagePort = 8080;

/** Nothing outlives a story that hangs. */
const livesMsMax = 15 * 60_000;
const program = join(import.meta.dir, "../../src/main.ts");

/** A vote server beside the nodes; it may go and come back. */
export class LabVoteServer {
  readonly address = hubAddress;
  readonly #root = mkdtempSync(join(tmpdir(), "quorate-arbiter-"));
  /** Of its own page. */
  readonly page = `http://${hubAddress}:${pagePort}`;
  #port = 0;
  #child: Subprocess | undefined;

  constructor() {
    mkdirSync(join(this.#root, "etc/corosync/qnetd"), { recursive: true });
  }

  /** Resolves once it listens; at the port of before. */
  async start(): Promise<void> {
    const listening = Bun.listen({
      ...{ hostname: this.address, port: this.#port },
      socket: { data: () => undefined },
    });
    this.#port = listening.port;
    listening.stop(true);
    const where = ["--listen", this.address, "--port", String(this.#port), "--tls", "on"].concat(
      ...["--http", `${this.address}:${pagePort}`],
    );
    this.#child = Bun.spawn([process.execPath, program, "qnetd", "--root", this.#root, ...where], {
      stdin: "ignore",
      stdout: "ignore",
      stderr: "ignore",
      timeout: livesMsMax,
    });
    await until(
      async () => {
        try {
          const there = { hostname: this.address, port: this.#port };
          const socket = await Bun.connect({ ...there, socket: { data: () => undefined } });
          socket.end();
          return ready(true);
        } catch (error) {
          return pending(String(error));
        }
      },
      patientMs,
      "the vote server listens",
    );
  }

  /** As by a power cut. */
  async stop(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#child?.exited;
  }

  /** The token of an invitation for a cluster of this name. */
  async invite(cluster: string): Promise<string> {
    let text = "";
    await inviteCommand({
      directory: join(this.#root, "etc/corosync/qnetd/nssdb"),
      server: { address: this.address, port: this.#port, tls: "on", uid: undefined },
      verb: { kind: "invite", cluster },
      ...{ addresses: [], port: undefined, lifetimeMs: undefined, json: true },
      letServerSign: false,
      write: (piece) => void (text += piece),
      note: () => undefined,
      now: () => Date.now(),
    });
    return (JSON.parse(text) as { token: string }).token;
  }

  async close(): Promise<void> {
    await this.stop();
    rmSync(this.#root, { recursive: true });
  }
}
