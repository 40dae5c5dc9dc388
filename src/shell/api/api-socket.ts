// The Unix socket of the local API: made for its owner only, taken over when its last owner is gone, never from one that runs.
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { basename, dirname } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { Directory } from "../../directory.ts";
import { pauseWhenScarce } from "../../listening.ts";
import { bodyBytesMax } from "./api.ts";

const probeMs = 2000;
/** How long an answer under way may take once the socket is to be closed. */
const answerMsMax = 1000;

export interface ApiSocket {
  close(): Promise<void>;
}

/** True when a process accepts connections there. */
export function isAnswered(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path, timeout: probeMs });
  const end = (answered: boolean): void => {
    socket.destroy();
    resolve(answered);
  };
  socket.once("connect", () => end(true));
  socket.once("timeout", () => end(true));
  socket.once("error", () => end(false));
  return promise;
}

/** What is served: the node's own routes, and those of the network API below /api2 and /api/v1. */
export interface ServedApp {
  fetch(request: Request): Response | Promise<Response>;
}

/** One app of two: /metrics, and paths below /api2 and /api/v1 go to the network API's. */
export function withNetworkApi(own: ServedApp, network: ServedApp): ServedApp {
  return {
    fetch: (request) => {
      const isNetwork = /^\/(?:api(?:2|\/v1)\/|metrics$)/.test(new URL(request.url).pathname);
      return (isNetwork ? network : own).fetch(request);
    },
  };
}

/** Serves `app` at `path`, mode 0600. The caller has asked `isAnswered` before. */
export function listen(app: ServedApp, path: string): ApiSocket {
  // Only the owner connects, and waits as long as the node does: a reload may wait for a name server. Bun's types allow it for TCP only.
  const unlimited: object = { idleTimeout: 0 };
  // Longer bodies are never held: the largest that a route takes is a file, whose refusal in words is for what is a little longer.
  const maxRequestBodySize = 2 * bodyBytesMax;
  const serve = () => {
    using directory = Directory.open(dirname(path), { isMade: true });
    directory.remove(basename(path));
    const server = Bun.serve({
      unix: path,
      fetch: (request) => app.fetch(request),
      maxRequestBodySize,
      ...unlimited,
    });
    directory.settleSocket(basename(path), 0o600, -1);
    return server;
  };
  /** The last one listens, unless it is paused; those before it serve whom they have. */
  const servers = [serve()];
  let isPaused = false;
  const end = pauseWhenScarce({
    pause: () => {
      isPaused = true;
      void servers.at(-1)?.stop(false);
    },
    resume: () => {
      if (!isPaused) return;
      servers.push(serve());
      isPaused = false;
    },
  });
  return {
    close: async () => {
      end();
      const answered = Promise.all(servers.map((server) => server.stop(false)));
      await Promise.race([answered, wait(answerMsMax, undefined, { ref: false })]);
      await Promise.all(servers.map((server) => server.stop(true)));
      rmSync(path, { force: true });
    },
  };
}
