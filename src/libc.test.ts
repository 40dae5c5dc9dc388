import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import {
  bindUdpSocket,
  closeFd,
  errnoName,
  errnos,
  groupId,
  interfaceIndex,
  interfaceMtu,
  lockFile,
  mount,
  openFuse,
  ownInputSignal,
  readFd,
  setSocketOption,
  signalOnInput,
  socketAddress,
  socketOptions,
  umount2,
  writeFd,
  writev,
  type Descriptor,
} from "./libc.ts";

const directory = mkdtempSync(join(tmpdir(), "quorate-libc-"));
afterAll(() => rmSync(directory, { recursive: true }));

function fdOf(result: Descriptor): number {
  if (!result.ok) throw new Error(`${result.call}: ${errnoName(result.errno)}`);
  return result.fd;
}

test("errno names go both ways", () => {
  for (const [name, number] of Object.entries(errnos)) expect(errnoName(number)).toBe(name);
  expect(errnoName(999)).toBe("errno 999");
});

test("socket addresses are laid out as the kernel wants them", () => {
  expect(socketAddress("10.1.2.3", 5405)).toEqual(
    new Uint8Array([2, 0, 0x15, 0x1d, 10, 1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0]),
  );
  const six = socketAddress("fe80::1%lo", 5405)!;
  expect(six.length).toBe(28);
  expect([...six.subarray(0, 4)]).toEqual([10, 0, 0x15, 0x1d]);
  expect([...six.subarray(8, 24)]).toEqual([0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  expect(six[24]).toBe(interfaceIndex("lo"));
  for (const bad of ["", "10.1.2", "10.1.2.3%lo", "fe80::1%nosuchif", "host.name"])
    expect(socketAddress(bad, 1)).toBeUndefined();
});

test("a bound socket has its options and is adopted by Bun", async () => {
  const { SOL_IP, SOL_SOCKET, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE, SO_PRIORITY } = socketOptions;
  const fd = fdOf(
    bindUdpSocket({
      address: "127.0.0.1",
      port: 0,
      options: [
        [SOL_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE],
        [SOL_SOCKET, SO_PRIORITY, 6],
      ],
    }),
  );
  const received = Promise.withResolvers<string>();
  const options = {
    fd,
    socket: {
      data(_socket: unknown, data: Uint8Array) {
        received.resolve(new TextDecoder().decode(data));
      },
    },
  };
  const adopted = await Bun.udpSocket(options as Bun.udp.SocketOptions<"buffer">);
  const sender = await Bun.udpSocket({ hostname: "127.0.0.1" });
  sender.send("hello", adopted.port, "127.0.0.1");
  expect(await received.promise).toBe("hello");
  const taken = bindUdpSocket({ address: "127.0.0.1", port: adopted.port, options: [] });
  expect(taken).toEqual({ ok: false, errno: errnos.EADDRINUSE, call: "bind" });
  sender.close();
  adopted.close();
});

test("what cannot be bound says which call failed", () => {
  expect(bindUdpSocket({ address: "nonsense", port: 1, options: [] })).toEqual({
    ok: false,
    errno: errnos.EINVAL,
    call: "address",
  });
  expect(bindUdpSocket({ address: "192.0.2.77", port: 0, options: [] })).toEqual({
    ok: false,
    errno: errnos.EADDRNOTAVAIL,
    call: "bind",
  });
  expect(bindUdpSocket({ address: "127.0.0.1", port: 0, options: [[0, 9999, 1]] })).toEqual({
    ok: false,
    errno: errnos.ENOPROTOOPT,
    call: "setsockopt(0, 9999)",
  });
  expect(setSocketOption(-1, 1, 2, 1)).toBe(errnos.EBADF);
});

test("a lock has one holder until its descriptor is closed", () => {
  const path = join(directory, "lock");
  const first = fdOf(lockFile(path));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(lockFile(path)).toEqual({ ok: false, errno: errnos.EAGAIN, call: "flock" });
  expect(closeFd(first)).toBe(0);
  const second = fdOf(lockFile(path));
  expect(closeFd(second)).toBe(0);
  expect(closeFd(second)).toBe(errnos.EBADF);
  expect(lockFile(join(directory, "no/such"))).toEqual({
    ok: false,
    errno: errnos.ENOENT,
    call: "open",
  });
});

test("descriptors: read, write, writev, non-blocking", () => {
  const path = join(directory, "data");
  writeFileSync(path, "");
  const fd = fdOf(openFuse(path));
  expect(writeFd(fd, new Uint8Array([1, 2]))).toBe(2);
  const view = new Uint8Array([9, 3, 4, 9]).subarray(1, 3);
  expect(writev(fd, [view, new Uint8Array(0), new Uint8Array([5])])).toBe(3);
  expect([...readFileSync(path)]).toEqual([1, 2, 3, 4, 5]);
  expect(writev(fd, [])).toBe(0);
  closeFd(fd);
  const zero = fdOf(openFuse("/dev/zero"));
  const bytes = new Uint8Array(8).fill(7);
  expect(readFd(zero, bytes.subarray(2, 4))).toBe(2);
  expect([...bytes]).toEqual([7, 7, 0, 0, 7, 7, 7, 7]);
  closeFd(zero);
  expect(readFd(zero, bytes)).toBe(-errnos.EBADF);
  expect(writev(zero, [bytes])).toBe(-errnos.EBADF);
  expect(signalOnInput(zero, false)).toBe(errnos.EBADF);
  expect(ownInputSignal(zero)).toBe(errnos.EBADF);
});

test("a signal tells of input", async () => {
  const path = join(directory, "fifo");
  expect(Bun.spawnSync(["mkfifo", path]).exitCode).toBe(0);
  const fd = fdOf(openFuse(path));
  const bytes = new Uint8Array(4);
  expect(readFd(fd, bytes)).toBe(-errnos.EAGAIN);
  const signalled = Promise.withResolvers<void>();
  process.on("SIGIO", signalled.resolve);
  expect(ownInputSignal(fd)).toBe(0);
  expect(signalOnInput(fd, true)).toBe(0);
  const writer = Bun.spawn(["sh", "-c", 'printf abc > "$0"', path]);
  await signalled.promise;
  expect(readFd(fd, bytes)).toBe(3);
  expect(signalOnInput(fd, false)).toBe(0);
  await writer.exited;
  process.off("SIGIO", signalled.resolve);
  expect(closeFd(fd)).toBe(0);
});

test("mount calls give errnos", () => {
  const request = {
    source: "none",
    target: "/no/such/place",
    type: "tmpfs",
    flags: 0,
    options: "",
  };
  expect([errnos.ENOENT, errnos.EPERM] as number[]).toContain(mount(request));
  expect([errnos.ENOENT, errnos.EPERM] as number[]).toContain(umount2("/no/such/place", 0));
});

test("groups and interfaces", () => {
  const groups = join(directory, "group");
  writeFileSync(groups, "root:x:0:\nwww-data:x:33:a,b\nbroken\nodd:x:notanumber:\n");
  expect(groupId("www-data", groups)).toBe(33);
  for (const name of ["www", "broken", "odd"]) expect(groupId(name, groups)).toBeUndefined();
  expect(groupId("root", join(directory, "absent"))).toBeUndefined();
  expect(interfaceMtu("lo")).toBeGreaterThan(0);
  expect(interfaceMtu("../../etc")).toBeUndefined();
  expect(interfaceMtu("nosuchif0")).toBeUndefined();
});
