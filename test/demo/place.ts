// The demo's directory and addresses: one demo at a time, nothing of a running one is touched, and what a killed one left
// behind (a dead mount, a node that runs on) is cleared away or named.
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { mountedOn } from "../../src/fs/fuse/mountinfo.ts";
import {
  bindUdpSocket,
  closeFd,
  errnoName,
  errnos,
  lockFile,
  umount2,
  unmountFlags,
} from "../../src/libc.ts";
import { reasonOf } from "../../src/result.ts";

/** Where nodes of the sample database listen. */
export const ringPort = 5405;

/** Something in the way of a demo, as a sentence for the person who started it. */
export class Obstacle extends Error {}

/** Claims the directory for this process until its end. Throws an Obstacle when another demo has it. */
export function claim(directory: string): void {
  const file = `${directory}/lock`;
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw new Obstacle(`${directory} cannot be made: ${reasonOf(error)}`);
  }
  const lock = lockFile(file);
  if (lock.ok) {
    writeFileSync(file, `${process.pid}\n`);
    return;
  }
  if (lock.call === "flock" && lock.errno === errnos.EAGAIN) {
    const pid = readFileSync(file, "utf8").trim();
    throw new Obstacle(
      `a demo runs already in ${directory} (process ${pid}), and was left alone: end it with Ctrl-C in its terminal, or kill ${pid}`,
    );
  }
  throw new Obstacle(
    `${file} cannot be opened (${errnoName(lock.errno)}): was the last demo another user's? Remove ${directory} as that user`,
  );
}

/** Throws an Obstacle when something else listens where a node shall. */
export function expectFree(address: string): void {
  const socket = bindUdpSocket({ address, port: ringPort, options: [] });
  if (socket.ok) {
    closeFd(socket.fd);
    return;
  }
  if (socket.errno === errnos.EADDRINUSE) {
    throw new Obstacle(
      `port ${ringPort}/udp of ${address} is taken: by a demo of another directory, or another cluster node of this machine. "ss -lunp sport = ${ringPort}" as root shows by which; end that first`,
    );
  }
  throw new Obstacle(
    `no socket can be opened on ${address} (${socket.call}: ${errnoName(socket.errno)}); the demo needs the loopback addresses 127.0.0.11 to 13`,
  );
}

/** Takes away the mounts that killed nodes left on `target`, and only dead ones are there: the caller has seen that none runs. */
export function unmount(target: string): void {
  let point: string;
  try {
    // Its last component may be the dead mount itself.
    point = `${realpathSync(`${target}/..`)}/${target.slice(target.lastIndexOf("/") + 1)}`;
  } catch {
    return; // No such directory: nothing is mounted there.
  }
  while (mountedOn(readFileSync("/proc/self/mountinfo", "utf8"), point) !== undefined) {
    const errno = umount2(point, unmountFlags.DETACH);
    if (errno === 0) continue;
    throw new Obstacle(
      `a node that was killed left its mount on ${point}, and it cannot be taken away (${errnoName(errno)}): umount -l ${point} as root`,
    );
  }
}

/** Removes a node's directory of an earlier demo. */
export function remove(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true });
  } catch (error) {
    throw new Obstacle(
      `${directory} of an earlier demo cannot be removed: ${reasonOf(error)}. Was it another user's? Remove it as that user`,
    );
  }
}
