// A typed client of a running node's local API. Every failure is a CommandFailure with one sentence.
import { existsSync } from "node:fs";
import * as v from "valibot";
import { ringAnswer, statusAnswer } from "../answers/status.ts";
import type { ClusterLogLine } from "./cluster-log-line.ts";
import type { DumpEntry } from "./tree-dump.ts";
import { CommandFailure, exitConfiguration, exitNotRunning } from "../exit.ts";
import { closeFd, lockFile } from "../../libc.ts";
import { treeLockOf } from "../paths.ts";
import type { RingReport } from "./ring-report.ts";
import type { NodeStatus } from "./status.ts";

const requestMsMax = 60_000;

const faultSchema = v.object({ error: v.object({ errno: v.string(), reason: v.string() }) });
const listSchema = v.object({
  entries: v.array(
    v.object({
      name: v.string(),
      type: v.picklist(["directory", "file", "symlink"]),
      mode: v.number(),
      size: v.number(),
      mtime: v.number(),
      links: v.number(),
      generated: v.boolean(),
      target: v.optional(v.string()),
    }),
  ),
});
export type ListedEntry = v.InferOutput<typeof listSchema>["entries"][number];

const typeSchema = v.object({ type: v.picklist(["directory", "file", "symlink"]) });

const dumpSchema = v.object({
  entries: v.array(
    v.object({
      path: v.string(),
      type: v.picklist(["directory", "file", "symlink"]),
      mode: v.string(),
      size: v.number(),
      mtime: v.number(),
      sha256: v.string(),
      target: v.string(),
    }),
  ),
});

const reloadSchema = v.object({
  configVersion: v.number(),
  changes: v.array(v.string()),
  needsRestart: v.array(v.string()),
});
export type ReloadAnswer = v.InferOutput<typeof reloadSchema>;

/** What a running node refused; `errno` as in files.ts, or EREQUEST for a wrong request. */
export class NodeRefusal extends CommandFailure {
  readonly errno: string;
  readonly reason: string;
  constructor(errno: string, reason: string) {
    super(`${reason} (${errno})`);
    this.errno = errno;
    this.reason = reason;
  }
}

/** Carries one request to a node, as fetch does. */
export type Transport = (url: string, init: BunFetchRequestInit) => Promise<Response>;

export class NodeClient {
  readonly #socket: string;
  readonly #patienceMs: number;
  readonly #transport: Transport;

  /** `patienceMs`: how long one answer may take. `transport`: another way to the node than its socket. */
  constructor(socket: string, patienceMs: number = requestMsMax, transport: Transport = fetch) {
    this.#socket = socket;
    this.#patienceMs = patienceMs;
    this.#transport = transport;
  }

  /** Ring, votes and links. */
  async ring(): Promise<RingReport> {
    const body: unknown = await (await this.#request("GET", "/v1/ring")).json();
    if (!isRingReport(body))
      throw new CommandFailure("the node answered with a ring that this version cannot read");
    return body;
  }

  async status(): Promise<NodeStatus> {
    const body: unknown = await (await this.#request("GET", "/v1/status")).json();
    if (!isNodeStatus(body))
      throw new CommandFailure("the node answered with a status this version cannot read");
    return body;
  }

  async list(path: string): Promise<readonly ListedEntry[]> {
    const response = await this.#onTree(path, "GET", `/v1/tree/list?${query({ path })}`);
    return v.parse(listSchema, await response.json()).entries;
  }

  /** What is at a path. */
  async typeOf(path: string): Promise<ListedEntry["type"]> {
    const response = await this.#onTree(path, "GET", `/v1/tree/stat?${query({ path })}`);
    return v.parse(typeSchema, await response.json()).type;
  }

  async dump(): Promise<readonly DumpEntry[]> {
    const response = await this.#request("GET", "/v1/tree/dump");
    return v.parse(dumpSchema, await response.json()).entries;
  }

  async read(path: string): Promise<Uint8Array> {
    const response = await this.#onTree(path, "GET", `/v1/tree/file?${query({ path })}`);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** `isForced`: a corosync.conf that the cluster could not use is put all the same. */
  async put(path: string, data: Uint8Array, isForced = false): Promise<void> {
    const how = query({ path, ...(isForced ? { force: "1" } : {}) });
    await this.#onTree(path, "PUT", `/v1/tree/file?${how}`, data);
  }

  /** `isForced`: the cluster's corosync.conf too. */
  async remove(path: string, isForced = false): Promise<void> {
    const how = query({ path, ...(isForced ? { force: "1" } : {}) });
    await this.#onTree(path, "DELETE", `/v1/tree/file?${how}`);
  }

  async mkdir(path: string): Promise<void> {
    await this.#onTree(path, "POST", `/v1/tree/directory?${query({ path })}`);
  }

  /** `isForced`: as for `put` and `remove`. */
  async move(from: string, to: string, isForced = false): Promise<void> {
    const body = JSON.stringify({ from, to, force: isForced });
    await this.#onTree(`${from} to ${to}`, "POST", "/v1/tree/move", body);
  }

  /** `seconds`: Unix time; 0 on a lock asks for its release. */
  async setMtime(path: string, seconds: number): Promise<void> {
    const body = JSON.stringify({ path, seconds });
    await this.#onTree(path, "POST", "/v1/tree/mtime", body);
  }

  async setExpectedVotes(votes: number): Promise<void> {
    await this.#request("POST", "/v1/quorum/expected", JSON.stringify({ votes }));
  }

  /** Running votes of one node (services.md §4.11). */
  async setVotes(nodeid: number, votes: number): Promise<void> {
    await this.#request("POST", "/v1/quorum/votes", JSON.stringify({ nodeid, votes }));
  }

  async cancelWaitForAll(): Promise<void> {
    await this.#request("POST", "/v1/quorum/cancel-wait-for-all");
  }

  /** The quorum device's client gives back its vote and ends. */
  async stopDevice(): Promise<void> {
    await this.#request("POST", "/v1/quorum/stop-device");
  }

  /** A member ends at once, without leaving the ring. `reason`: printable ASCII for its log. */
  async killNode(nodeid: number, reason: string): Promise<void> {
    await this.#request("POST", "/v1/ring/kill", JSON.stringify({ nodeid, reason }));
  }

  /** The node leaves the ring and its program ends; it has not when this resolves. */
  async shutdown(reason: string): Promise<void> {
    await this.#request("POST", "/v1/shutdown", JSON.stringify({ reason }));
  }

  /** A line for the cluster log of all nodes. */
  async log(line: ClusterLogLine): Promise<void> {
    await this.#request("POST", "/v1/log", JSON.stringify(line));
  }

  /** The node leaves its cluster gracefully and begins anew as the same process; resolves before it does. */
  async restart(): Promise<void> {
    await this.#request("POST", "/v1/restart");
  }

  /**
   * Asks all nodes to read corosync.conf again; the answer is this node's. Waits as long as the node does, which may have to wait for
   * a name server; a node that ends ends the wait.
   */
  async reload(): Promise<ReloadAnswer> {
    const response = await this.#request("POST", "/v1/reload", undefined, false);
    return v.parse(reloadSchema, await response.json());
  }

  /** A request of a resource whose client is a file of its own: the answer's JSON. */
  async ask(method: string, path: string, body?: string): Promise<unknown> {
    return (await this.#request(method, path, body)).json();
  }

  /** A request about an object of the tree: a refusal names it. */
  async #onTree(
    subject: string,
    method: string,
    path: string,
    body?: string | Uint8Array,
  ): Promise<Response> {
    try {
      return await this.#request(method, path, body);
    } catch (error) {
      if (!(error instanceof NodeRefusal)) throw error;
      throw new NodeRefusal(error.errno, `${subject === "" ? "/" : subject}: ${error.reason}`);
    }
  }

  async #request(
    method: string,
    path: string,
    body?: string | Uint8Array,
    isTimed = true,
  ): Promise<Response> {
    let response: Response;
    try {
      response = await this.#transport(`http://localhost${path}`, {
        method,
        unix: this.#socket,
        // Bun would give up on its own after five minutes.
        ...(isTimed ? { signal: AbortSignal.timeout(this.#patienceMs) } : { timeout: false }),
        ...(body === undefined
          ? {}
          : { body: typeof body === "string" ? body : new Uint8Array(body) }),
      });
    } catch (error) {
      if (error instanceof Error && error.name === "TimeoutError") {
        throw new CommandFailure(
          `the node at ${this.#socket} gave no answer in ${this.#patienceMs / 1000} s; see its log`,
        );
      }
      if (error instanceof Error && "code" in error && error.code === "EACCES") {
        throw new CommandFailure(
          `you may not ask the node at ${this.#socket}: repeat as root or as the user it runs as`,
        );
      }
      const lock = treeLockOf(this.#socket);
      if (isHeld(lock)) {
        throw new CommandFailure(
          `no node answers at ${this.#socket}, but a process holds ${lock}: a node that is starting, ending or short of file descriptors (see its log), or a pmxcfs; "fuser ${lock}" shows which`,
          exitNotRunning,
        );
      }
      throw new CommandFailure(
        `no node answers at ${this.#socket}: start one with "quorate node", or name its directory with --root`,
        exitNotRunning,
      );
    }
    if (response.ok) return response;
    const fault = v.safeParse(faultSchema, await response.json().catch(() => undefined));
    if (!fault.success) {
      throw new CommandFailure(
        `the node answered with HTTP status ${response.status}; see its log`,
      );
    }
    const { errno, reason } = fault.output.error;
    if (errno === "ECONFIG") throw new CommandFailure(reason, exitConfiguration);
    throw new NodeRefusal(errno, reason);
  }
}

/** Takes a free lock for a moment only: who starts meanwhile tries again. */
export function isHeld(lock: string): boolean {
  if (!existsSync(lock)) return false;
  const locked = lockFile(lock);
  if (locked.ok) closeFd(locked.fd);
  return !locked.ok && locked.call === "flock";
}

function isRingReport(body: unknown): body is RingReport {
  return v.is(ringAnswer, body);
}

function isNodeStatus(body: unknown): body is NodeStatus {
  return v.is(statusAnswer, body);
}

function query(values: Readonly<Record<string, string>>): string {
  return new URLSearchParams(values).toString();
}
