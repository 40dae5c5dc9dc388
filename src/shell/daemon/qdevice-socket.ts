// The local socket of a node's quorum device client (qnetd.md §6): corosync-qdevice-tool, the original's or ours, and Proxmox ask
// here. It is there exactly as long as a device is in use. It must never end a node, nor take over what another daemon serves.
import type { Cluster } from "../../node/thread/cluster.ts";
import type { AdvancedSettings } from "../../node/device/advanced.ts";
import { deviceSettings } from "../../node/device/device-settings.ts";
import type { NodeSettings } from "../../node/settings/settings.ts";
import { ToolSocket } from "../../qnetd/tool/tool-socket.ts";
import type { Level } from "../../world.ts";
import { isAnswered } from "../api/api-socket.ts";
import { qdeviceStatusText, readQdeviceRequest } from "../tool/qdevice-socket-text.ts";

export interface QdeviceSocketOptions {
  readonly cluster: Pick<Cluster, "settings" | "snapshot" | "stopDevice">;
  /** Where the tools ask unless the settings say otherwise. */
  readonly path: string;
  readonly log: (level: Level, text: string) => void;
}

export class QdeviceSocket {
  readonly #options: QdeviceSocketOptions;
  #socket: ToolSocket | undefined;
  #path = "";
  /** The last one asked for; they follow one another. */
  #update: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(options: QdeviceSocketOptions) {
    this.#options = options;
  }

  /** Opens or closes the socket as the device is used or not; to be called whenever that may have changed. Never rejects. */
  update(): Promise<void> {
    this.#update = this.#update.then(() => this.#follow());
    return this.#update;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#update;
    this.#shut();
  }

  async #follow(): Promise<void> {
    const { cluster, path, log } = this.#options;
    try {
      const { device } = await cluster.snapshot();
      const own = socketSettings(cluster.settings);
      const wanted = device === undefined || this.#isClosed ? "" : (own?.localSocketFile ?? path);
      if (wanted === this.#path) return;
      this.#shut();
      if (wanted !== "" && own !== undefined) await this.#open(wanted, own);
    } catch (error) {
      // The ring thread has ended: so will the node, which then closes us.
      log("debug", `the quorum device cannot be asked: ${String(error)}`);
    }
  }

  async #open(path: string, own: AdvancedSettings): Promise<void> {
    const { log } = this.#options;
    // Tried once for each path, whatever comes of it.
    this.#path = path;
    if (await isAnswered(path)) {
      const text = `another corosync-qdevice answers at ${path}: stop it, a node has one quorum device`;
      return log("warning", `no socket for corosync-qdevice-tool: ${text}`);
    }
    const socket = await ToolSocket.listen({
      path,
      backlog: own.localSocketBacklog,
      umask: own.localSocketUmask,
      group: own.localSocketGid,
      clientsMax: own.ipcMaxClients,
      requestBytesMax: own.ipcMaxReceiveSize,
      answerBytesMax: own.ipcMaxSendSize,
      read: readQdeviceRequest,
      answer: (request) => (request.kind === "status" ? this.#status(request.isVerbose) : ""),
      shutdown: () => void this.#stopDevice(),
      onRefused: (reason) => log("warning", reason),
    });
    if (socket.ok) this.#socket = socket.value;
    else log("warning", `no socket for corosync-qdevice-tool: ${socket.reason}`);
  }

  async #status(isVerbose: boolean): Promise<string> {
    const { device } = await this.#options.cluster.snapshot();
    if (device === undefined) throw new Error("Can't get QDevice status");
    return qdeviceStatusText(device, { isVerbose, now: Date.now() });
  }

  /** As the original's daemon, the client ends; the node goes on without the device's vote until corosync.conf is reloaded. */
  async #stopDevice(): Promise<void> {
    const { cluster, log } = this.#options;
    log(
      "notice",
      "corosync-qdevice-tool -H: the quorum device's client ends here until corosync.conf is reloaded or the node is restarted",
    );
    const { ok, reason } = await cluster.stopDevice();
    if (!ok) log("warning", `the quorum device's client could not be stopped: ${reason}`);
    await this.update();
  }

  #shut(): void {
    this.#socket?.close();
    this.#socket = undefined;
    this.#path = "";
  }
}

function socketSettings(settings: NodeSettings): AdvancedSettings | undefined {
  const read = deviceSettings(settings);
  return read?.ok === true ? read.value.advanced : undefined;
}
