// The Unix socket of the local API: made for its owner only, taken over when its last owner is gone, never from a living one.
import { chmodSync, mkdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { dirname } from "node:path";
import type { Hono } from "hono";
import { pauseWhenScarce } from "../free-descriptors.ts";

const probeMs = 2000;

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

/** Serves `app` at `path`, mode 0600. The caller has asked `isAnswered` before. */
export function listen(app: Hono, path: string): ApiSocket {
  mkdirSync(dirname(path), { recursive: true });
  // Only the owner connects, and waits as long as the node does: a reload may wait for a name server. Bun's types allow it for TCP only.
  const unlimited: object = { idleTimeout: 0 };
  const serve = () => {
    rmSync(path, { force: true });
    const server = Bun.serve({ unix: path, fetch: app.fetch, ...unlimited });
    chmodSync(path, 0o600);
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
      await Promise.all(servers.map((server) => server.stop(true)));
      rmSync(path, { force: true });
    },
  };
}
