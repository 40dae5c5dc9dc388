// Entry of the ring thread (a Worker): the real machine around ring-thread.ts.
import { getRandomValues } from "node:crypto";
import { readFileSync } from "node:fs";
import { systemClock } from "../../deadlines.ts";
import type { FromRing, ToRing } from "./bridge.ts";
import { realMachine } from "../device/device-host.ts";
import { keyOnDisk } from "../settings/key-file.ts";
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
  },
  (message) => self.postMessage(message),
);
self.onmessage = (event: MessageEvent<ToRing>): void => thread.received(event.data);
self.postMessage({ kind: "loaded" } satisfies FromRing);
