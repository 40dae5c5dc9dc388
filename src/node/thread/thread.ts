// Entry of the ring thread (a Worker): the real machine around ring-thread.ts.
import { getRandomValues } from "node:crypto";
import { readFileSync } from "node:fs";
import { systemClock } from "../../deadlines.ts";
import { writeFd } from "../../libc.ts";
import { type FromRing, handedOver, type ToRing } from "./bridge.ts";
import { realMachine } from "../device/device-host.ts";
import { keyOnDisk } from "../settings/key-file.ts";
import { PostCount } from "./post-count.ts";
import { openLinkSockets } from "./socket.ts";
import { ringFiles } from "./ring-file.ts";
import { RingThread } from "./ring-thread.ts";
import { scheduleThisThread } from "./scheduling.ts";

declare const self: Worker;

/**
 * Milliseconds since the machine started, as in the original's pings: a node that is started again goes on with the clock of its
 * former start, and its peers separate new pings from recorded ones by it (link/window.ts).
 */
function bootClock(): () => number {
  const sinceBootMs = Number(readFileSync("/proc/uptime", "utf8").split(" ")[0]) * 1000;
  const offsetMs = sinceBootMs - performance.now();
  return () => offsetMs + performance.now();
}

let posts: PostCount | undefined;

const thread = new RingThread(
  {
    clock: { ...systemClock, now: bootClock() },
    random: { below: (limit) => (getRandomValues(new Uint32Array(1))[0] ?? 0) % limit },
    device: realMachine,
    storage: ({ stateDir, settings }) => ringFiles(stateDir, settings.nodeid),
    keyOnDisk: ({ configPaths }) =>
      configPaths === undefined ? undefined : keyOnDisk(configPaths.conf, configPaths.authkey),
    openSockets: openLinkSockets,
    schedule: scheduleThisThread,
    soon: setImmediate,
    awaitPost: (waitMs, act) => {
      posts?.wait(waitMs);
      setImmediate(act);
    },
    write: writeFd,
  },
  (message) => self.postMessage(message, handedOver(message)),
);
self.onmessage = ({ data }: MessageEvent<ToRing | SharedArrayBuffer>): void => {
  if (data instanceof SharedArrayBuffer) {
    posts = new PostCount(data);
    return;
  }
  posts?.taken();
  thread.received(data);
};
self.postMessage({ kind: "loaded" } satisfies FromRing);
