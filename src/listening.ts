// A process without a free descriptor cannot accept, and the runtime tries again without end: it would spin (issue 8, A.10). Listeners
// that are registered here stop listening while hardly a descriptor is left, and listen again when there are enough. The limit
// itself needs no raising: the runtime has raised it to the hard one.
import { closeSync, openSync } from "node:fs";
import type { ListenOptions, Server } from "node:net";

const checkMs = 500;
/** Fewer free ones than this: nobody new is let in. The rest is for files of our own. */
const scarce = 8;
const enough = 32;
/** From the end of listening to its next beginning, so that a flood costs little. */
const restMs = 5000;
const sayAgainMs = 60_000;

export interface Listener {
  /** Stops listening; those who are connected stay. */
  pause(): void;
  /** Listens again, now or at a later call; does nothing when it listens already. */
  resume(): void;
}

const listeners = new Set<Listener>();
let timer: NodeJS.Timeout | undefined;
let pausedAt: number | undefined;
let saidAt = Number.NEGATIVE_INFINITY;
let say: (sentence: string) => void = () => undefined;

/** Who is told, at most once a minute, that nobody new is let in. */
export function onScarceDescriptors(tell: (sentence: string) => void): void {
  say = tell;
}

/** Pauses a listener while descriptors are scarce; the answer ends that. */
export function pauseWhenScarce(listener: Listener): () => void {
  listeners.add(listener);
  timer ??= setInterval(check, checkMs).unref();
  return () => {
    listeners.delete(listener);
    if (listeners.size > 0) return;
    clearInterval(timer);
    timer = undefined;
    pausedAt = undefined;
  };
}

function check(): void {
  const now = performance.now();
  if (pausedAt === undefined) {
    if (hasFree(scarce)) return;
    for (const listener of listeners) listener.pause();
    pausedAt = now;
    if (now - saidAt < sayAgainMs) return;
    saidAt = now;
    say(
      "this process has hardly a file descriptor left: nobody new is let in until there are some again. Its limit of open files may be too low (systemd: LimitNOFILE=)",
    );
    return;
  }
  if (now - pausedAt < restMs || !hasFree(enough)) return;
  pausedAt = undefined;
  for (const listener of listeners) listener.resume();
}

/** Opens and closes so many. */
function hasFree(count: number): boolean {
  const open: number[] = [];
  try {
    while (open.length < count) open.push(openSync("/dev/null", "r"));
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    return code !== "EMFILE" && code !== "ENFILE";
  } finally {
    for (const fd of open) closeSync(fd);
  }
}

/** A server that listens by `options` and is paused while descriptors are scarce. The answer ends that, not the server. */
export function pauseServerWhenScarce(
  server: Server,
  options: ListenOptions,
  events: { readonly onListening?: () => void; readonly onError: (error: Error) => void },
): () => void {
  let isResuming = false;
  const { onListening, onError } = events;
  server.on("listening", () => {
    isResuming = false;
    onListening?.();
  });
  server.on("error", (error) => {
    if (!isResuming) return onError(error);
    // Taken meanwhile, or scarce again: tried until it works.
    isResuming = false;
    setTimeout(resume, restMs).unref();
  });
  let isWanted = true;
  const resume = (): void => {
    if (!isWanted || server.listening) return;
    isResuming = true;
    server.listen(options);
  };
  const end = pauseWhenScarce({ pause: () => void server.close(), resume });
  return () => {
    isWanted = false;
    end();
  };
}

/** What an operator can do about an address that cannot be listened on. `message`: of the runtime's error. A clause with its own comma, or "". */
export function listenAdvice(message: string): string {
  if (message.includes("EADDRINUSE")) {
    return ", by another program: `ss -lntp` as root shows which; stop it, or choose another port";
  }
  if (message.includes("EADDRNOTAVAIL") || message.startsWith("Failed to listen at")) {
    return ", which is no address of this machine (`ip address` shows them)";
  }
  return message.includes("EACCES") ? ": ports below 1024 are for root only" : "";
}
