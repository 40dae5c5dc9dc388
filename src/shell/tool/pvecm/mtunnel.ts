// `pvecm mtunnel`: what the migration of a guest runs on the node that it goes to (pvecm.md §1.10).
import { createServer, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { spawn } from "node:child_process";
import { NodeClient } from "../../api/client.ts";
import { CommandFailure, exitOk } from "../../exit.ts";
import { isWithin } from "../../join/preflight.ts";
import { nodePaths } from "../../paths.ts";

const portMin = 60_000;
const portMax = 60_050;
const acceptMsMax = 300_000;
const lineBytesMax = 64 * 1024;

export interface TunnelOptions {
  readonly root: string;
  readonly write: (text: string) => void;
  readonly input: AsyncIterable<Uint8Array>;
  /** Addresses of this machine. */
  readonly addresses?: readonly string[];
}

export interface TunnelWords {
  readonly getsAddress: boolean;
  /** Undefined: of datacenter.cfg. */
  readonly network: string | undefined;
  readonly runsCommand: boolean;
  readonly command: readonly string[];
}

export async function mtunnel(options: TunnelOptions, words: TunnelWords): Promise<number> {
  const { write, root } = options;
  const client = new NodeClient(nodePaths(root).socket);
  const { tree } = await client.status();
  if (!tree.writable) {
    write("no quorum\n");
    return exitOk;
  }
  if (words.getsAddress && words.runsCommand) {
    throw new CommandFailure("cannot use --run-command with --get_migration_ip");
  }
  const network = words.network ?? (await configuredNetwork(client));
  if (words.getsAddress) {
    const address = network === undefined ? undefined : addressIn(network, options);
    write(address === undefined ? "no ip\n" : `ip: '${address}'\n`);
    return exitOk;
  }
  if (words.runsCommand) {
    if (words.command.length === 0) throw new CommandFailure("missing command");
    if (network === undefined) {
      throw new CommandFailure("failed to get migration IP address to listen on");
    }
    return runCommand(options, addressIn(network, options), words.command);
  }
  write("tunnel online\n");
  await untilQuit(options.input);
  return exitOk;
}

/** `migration: secure,network=10.0.0.0/24` of datacenter.cfg. */
async function configuredNetwork(client: NodeClient): Promise<string | undefined> {
  const bytes = await client.read("datacenter.cfg").catch((error: unknown) => {
    if (error instanceof CommandFailure && error.message.includes("ENOENT")) return undefined;
    throw error;
  });
  const text = bytes === undefined ? "" : Buffer.from(bytes).toString();
  const migration = /^migration:(.*)$/m.exec(text)?.[1] ?? "";
  return /(?:^|,)\s*network=([^,\s]+)/.exec(migration)?.[1];
}

function addressIn(network: string, { addresses = ownAddresses() }: TunnelOptions): string {
  const found = new Set(addresses.filter((address) => isWithin(address, network)));
  const [first, ...others] = found;
  if (first === undefined) {
    throw new CommandFailure(
      `could not get migration ip: no IP address configured on local node for network '${network}'`,
    );
  }
  if (others.length > 0) {
    throw new CommandFailure(
      `could not get migration ip: multiple, different, IP address configured for network '${network}'`,
    );
  }
  return first;
}

function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  return all.map(({ address }) => address);
}

/** Prints address and port, then gives the command the bytes of the one connection that comes. */
async function runCommand(
  { write }: TunnelOptions,
  address: string,
  [program = "", ...args]: readonly string[],
): Promise<number> {
  const { server, port, connection } = await listen(address);
  write(`${address}\n${port}\n`);
  const socket = await connection;
  server.close();
  const child = spawn(program, args, { stdio: ["pipe", "inherit", "inherit"] });
  socket.pipe(child.stdin);
  // A command that ends early breaks the pipe: its exit code says what became of it.
  child.stdin.on("error", () => undefined);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  child.on("error", (error) =>
    reject(new CommandFailure(`command '${program}' failed: ${error.message}`)),
  );
  child.on("close", (code) => resolve(code ?? 255));
  const code = await promise.finally(() => socket.destroy());
  if (code !== 0) {
    throw new CommandFailure(`command '${[program, ...args].join(" ")}' failed: exit code ${code}`);
  }
  return exitOk;
}

async function listen(address: string) {
  for (let port = portMin; port <= portMax; port += 1) {
    const server = createServer();
    const opened = Promise.withResolvers<boolean>();
    server.once("error", () => opened.resolve(false));
    server.listen({ host: address, port }, () => opened.resolve(true));
    if (!(await opened.promise)) continue;
    const accepted = Promise.withResolvers<Socket>();
    const timer = setTimeout(() => {
      server.close();
      accepted.reject(new CommandFailure("no connection came within five minutes"));
    }, acceptMsMax);
    server.once("connection", (socket) => {
      clearTimeout(timer);
      accepted.resolve(socket);
    });
    return { server, port, connection: accepted.promise };
  }
  throw new CommandFailure(`unable to find free port (${portMin}-${portMax})`);
}

/** A line "quit", or the end. */
async function untilQuit(input: AsyncIterable<Uint8Array>): Promise<void> {
  let text = "";
  for await (const piece of input) {
    text += Buffer.from(piece).toString("latin1");
    if (/(?:^|\n)quit\r?\n/.test(text)) return;
    text = text.slice(
      Math.max(0, Math.min(text.lastIndexOf("\n"), text.length), text.length - lineBytesMax),
    );
  }
}
