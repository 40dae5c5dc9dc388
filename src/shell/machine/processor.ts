// Processor, memory and load of this machine as Linux tells them below /proc, in the numbers of the original's API (pvecm.md §4.2). Pure.

/** Jiffies since boot. */
export interface ProcessorTimes {
  /** All that is not idle. */
  readonly used: number;
  readonly waiting: number;
  readonly total: number;
}

/** Of /proc/stat; undefined: it has no line of all processors. */
export function processorTimes(text: string): ProcessorTimes | undefined {
  const words = /^cpu +([\d ]+)$/m.exec(text)?.[1]?.trim().split(/ +/).map(Number);
  if (words === undefined || words.length < 4) return undefined;
  // The time of guests is in user and nice already.
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] =
    words;
  const used = user + nice + system + irq + softirq + steal;
  return { used, waiting: iowait, total: used + idle + iowait };
}

/** Shares of the time between two moments, 0 to 1. */
export interface ProcessorShares {
  readonly cpu: number;
  readonly wait: number;
}

export function processorShares(before: ProcessorTimes, now: ProcessorTimes): ProcessorShares {
  const total = now.total - before.total;
  const share = (part: number): number => (total <= 0 ? 0 : Math.min(1, Math.max(0, part / total)));
  return { cpu: share(now.used - before.used), wait: share(now.waiting - before.waiting) };
}

export interface ProcessorInfo {
  readonly model: string;
  readonly sockets: number;
  /** Real ones; threads of one count once. */
  readonly cores: number;
  readonly cpus: number;
  /** A number as text. */
  readonly mhz: string;
  readonly flags: string;
  /** It has the instructions for virtual machines. */
  readonly hvm: boolean;
}

const modelCharactersMax = 200;

/** Of /proc/cpuinfo. `count`: of processors, where the text has none that can be counted. */
export function processorInfo(text: string, count: number): ProcessorInfo {
  const first = (name: string): string | undefined =>
    new RegExp(`^${name}\\s*:[ \\t]*(.*\\S)\\s*$`, "mi").exec(text)?.[1];
  const blocks = text.split(/\n\s*\n/).filter((block) => /^processor\s*:/m.test(block));
  const number = (block: string, name: string): string =>
    new RegExp(`^${name}\\s*:\\s*(\\d+)`, "m").exec(block)?.[1] ?? "0";
  const sockets = new Set(blocks.map((block) => number(block, "physical id")));
  const cores = new Set(
    blocks.map((block, at) => {
      const core = /^core id\s*:\s*(\d+)/m.exec(block)?.[1] ?? `of ${at}`;
      return `${number(block, "physical id")} ${core}`;
    }),
  );
  const flags = first("flags") ?? first("Features") ?? "";
  const arm = first("CPU part");
  const model =
    first("model name") ?? (arm === undefined ? "unknown" : `${first("CPU implementer")} ${arm}`);
  return {
    model: model.slice(0, modelCharactersMax),
    sockets: Math.max(1, sockets.size),
    cores: Math.max(1, cores.size),
    cpus: Math.max(blocks.length, count),
    mhz: first("cpu MHz") ?? "0",
    flags,
    hvm: /(?:^| )(?:vmx|svm)(?: |$)/.test(flags),
  };
}

/** Bytes. */
export interface Memory {
  readonly total: number;
  readonly free: number;
  readonly available: number;
  readonly used: number;
  readonly swapTotal: number;
  readonly swapFree: number;
}

/** Of /proc/meminfo. */
export function memoryOf(text: string): Memory {
  const bytes = (name: string): number =>
    1024 * Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? 0);
  const total = bytes("MemTotal");
  const free = bytes("MemFree");
  const available = /^MemAvailable:/m.test(text) ? bytes("MemAvailable") : free;
  return {
    ...{ total, free, available },
    used: Math.max(0, total - available),
    swapTotal: bytes("SwapTotal"),
    swapFree: bytes("SwapFree"),
  };
}

/** Of /proc/loadavg: of 1, 5 and 15 minutes, as text. */
export function loadAverages(text: string): readonly [string, string, string] {
  const [, one = "0.00", five = "0.00", fifteen = "0.00"] =
    /^([\d.]+) ([\d.]+) ([\d.]+) /.exec(text) ?? [];
  return [one, five, fifteen];
}

/** Of /proc/uptime: whole seconds; 0: unknown. */
export function uptimeOf(text: string): number {
  return Math.floor(Number(/^(\d+(?:\.\d+)?) /.exec(text)?.[1] ?? 0));
}

/** Bytes in and out of the interfaces that `counts`, of /proc/net/dev. */
export function trafficOf(
  text: string,
  counts: (name: string) => boolean,
): { readonly received: number; readonly sent: number } {
  let [received, sent] = [0, 0];
  for (const line of text.split("\n")) {
    const [, name = "", numbers = ""] = /^\s*(\S+):\s*([\d ]+)$/.exec(line) ?? [];
    if (name === "" || !counts(name)) continue;
    const words = numbers.trim().split(/ +/).map(Number);
    received += words[0] ?? 0;
    sent += words[8] ?? 0;
  }
  return { received, sent };
}
