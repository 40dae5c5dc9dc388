// Texts of Linux below /proc as numbers.
import { describe, expect, test } from "bun:test";
import {
  loadAverages,
  memoryOf,
  processorInfo,
  processorShares,
  processorTimes,
  trafficOf,
  uptimeOf,
} from "./processor.ts";

test("processor times: guests count once, waiting and idle are not used", () => {
  const stat = "cpu  100 10 50 800 40 5 5 10 20 0\ncpu0 1 1 1 1\nintr 5\n";
  const before = processorTimes(stat);
  expect(before).toEqual({ used: 180, waiting: 40, total: 1020 });
  expect(processorTimes("intr 5\n")).toBeUndefined();
  const now = { used: 280, waiting: 60, total: 1420 };
  if (before === undefined) throw new Error("there are times");
  expect(processorShares(before, now)).toEqual({ cpu: 0.25, wait: 0.05 });
  // A clock that stands still, or a machine that counts anew.
  expect(processorShares(now, now)).toEqual({ cpu: 0, wait: 0 });
  expect(processorShares(now, before)).toEqual({ cpu: 0, wait: 0 });
});

describe("processors", () => {
  const block = (processor: number, socket: number, core: number) =>
    `processor\t: ${processor}\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R) Xeon(R) CPU  \ncpu MHz\t\t: 2400.123\nphysical id\t: ${socket}\ncore id\t\t: ${core}\nflags\t\t: fpu vmx sse\n`;

  test("two sockets of two cores with two threads", () => {
    const all = [0, 1].flatMap((socket) =>
      [0, 1].flatMap((core) =>
        [0, 1].map((thread) => [socket * 4 + core * 2 + thread, socket, core] as const),
      ),
    );
    const text = all.map(([at, socket, core]) => block(at, socket, core)).join("\n");
    expect(processorInfo(text, 1)).toEqual({
      ...{ model: "Intel(R) Xeon(R) CPU", sockets: 2, cores: 4, cpus: 8, mhz: "2400.123" },
      ...{ flags: "fpu vmx sse", hvm: true },
    });
  });

  test("an ARM machine has no model name, and each processor is a core", () => {
    const one = (at: number) =>
      `processor\t: ${at}\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n`;
    expect(processorInfo([one(0), one(1)].join("\n"), 2)).toEqual({
      ...{ model: "0x41 0xd0c", sockets: 1, cores: 2, cpus: 2, mhz: "0", flags: "fp asimd" },
      hvm: false,
    });
  });

  test("nothing that can be read: one of each, as many as the runtime counts", () => {
    expect(processorInfo("", 4)).toMatchObject({ model: "unknown", sockets: 1, cpus: 4 });
  });
});

test("memory, load, uptime and traffic", () => {
  const meminfo =
    "MemTotal:       1000 kB\nMemFree:         200 kB\nMemAvailable:    600 kB\nSwapTotal:       50 kB\nSwapFree:        20 kB\n";
  const kib = 1024;
  expect(memoryOf(meminfo)).toEqual({
    ...{ total: 1000 * kib, free: 200 * kib, available: 600 * kib, used: 400 * kib },
    ...{ swapTotal: 50 * kib, swapFree: 20 * kib },
  });
  expect(memoryOf("MemTotal: 10 kB\nMemFree: 4 kB\n")).toMatchObject({ available: 4 * kib });
  expect(loadAverages("0.52 0.58 0.59 1/467 12345\n")).toEqual(["0.52", "0.58", "0.59"]);
  expect(loadAverages("")).toEqual(["0.00", "0.00", "0.00"]);
  expect(uptimeOf("350735.47 234388.90\n")).toBe(350_735);
  const net =
    "Inter-|   Receive   |  Transmit\n face |bytes packets errs drop fifo frame compressed multicast|bytes\n" +
    "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n";
  expect(trafficOf(net, (name) => name === "eth0")).toEqual({ received: 100, sent: 200 });
});
