// Debian's libcpg.so.4 through bun:ffi: the few calls a group member needs (services.md §3; the header is a public
// interface). One connection, one group. Callbacks run only inside `dispatch`. Not for production: tests are its only user.
import { dlopen, FFIType, JSCallback, type Pointer, ptr, toArrayBuffer } from "bun:ffi";

/** cs_error_t, as far as it is told apart here. */
export const csOk = 1;
export const csTryAgain = 6;
const dispatchOneNonBlocking = 4;
const agreed = 2;
const groupBytesMax = 128;
const addressBytes = 12;

export interface CpgCallbacks {
  /** `message` is libcpg's memory: valid during the call only. */
  delivered(nodeid: number, pid: number, message: Uint8Array): void;
  configured(members: readonly number[], left: readonly number[], joined: readonly number[]): void;
}

export class CpgConnection {
  readonly #cpg = openCpg();
  readonly #libc = openLibc();
  readonly #handle: bigint;
  readonly #callbacks: readonly JSCallback[];
  readonly #groupName = new Uint8Array(4 + groupBytesMax);
  readonly #vector = new BigUint64Array(2);
  readonly #poll = new DataView(new ArrayBuffer(8));
  /** What a callback threw; raised again outside of C code. */
  #failure: unknown;

  constructor(callbacks: CpgCallbacks) {
    this.#callbacks = this.#makeCallbacks(callbacks);
    const pointers = new BigUint64Array(2);
    for (const [index, callback] of this.#callbacks.entries()) {
      pointers[index] = BigInt(callback.ptr ?? 0);
    }
    const handle = new BigUint64Array(1);
    expectOk("cpg_initialize", this.#cpg.symbols.cpg_initialize(ptr(handle), ptr(pointers)));
    this.#handle = handle[0] ?? 0n;
    const fd = new Int32Array(1);
    expectOk("cpg_fd_get", this.#cpg.symbols.cpg_fd_get(this.#handle, ptr(fd)));
    this.#poll.setInt32(0, fd[0] ?? -1, true);
    this.#poll.setInt16(4, 1, true); // POLLIN
  }

  /** Our own nodeid. */
  nodeid(): number {
    const nodeid = new Uint32Array(1);
    expectOk("cpg_local_get", this.#cpg.symbols.cpg_local_get(this.#handle, ptr(nodeid)));
    return nodeid[0] ?? 0;
  }

  /** False: try again later. */
  join(group: string): boolean {
    const bytes = new TextEncoder().encode(group);
    if (bytes.length > groupBytesMax) throw new Error(`the group name ${group} is too long`);
    new DataView(this.#groupName.buffer).setUint32(0, bytes.length, true);
    this.#groupName.set(bytes, 4);
    return this.#accepted(
      "cpg_join",
      this.#cpg.symbols.cpg_join(this.#handle, ptr(this.#groupName)),
    );
  }

  /** Sends the first `size` bytes of `buffer` in agreed order. False: nothing was queued, try again later. */
  send(buffer: Uint8Array, size: number): boolean {
    this.#vector[0] = BigInt(ptr(buffer));
    this.#vector[1] = BigInt(size);
    const result = this.#cpg.symbols.cpg_mcast_joined(this.#handle, agreed, ptr(this.#vector), 1);
    return this.#accepted("cpg_mcast_joined", result);
  }

  /** Carries out at most `limit` callbacks that are due; answers how many were. */
  dispatch(limit: number): number {
    for (let done = 0; done < limit; done += 1) {
      const result = this.#cpg.symbols.cpg_dispatch(this.#handle, dispatchOneNonBlocking);
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.#accepted("cpg_dispatch", result)) return done;
    }
    return limit;
  }

  /** Blocks until a callback is due, `timeoutMs` at most. */
  wait(timeoutMs: number): void {
    this.#libc.symbols.poll(ptr(this.#poll), 1n, timeoutMs);
  }

  close(): void {
    this.#cpg.symbols.cpg_finalize(this.#handle);
    for (const callback of this.#callbacks) callback.close();
  }

  #accepted(call: string, result: number): boolean {
    if (result === csTryAgain) return false;
    expectOk(call, result);
    return true;
  }

  #makeCallbacks(callbacks: CpgCallbacks): readonly JSCallback[] {
    const guarded = (call: () => void): void => {
      try {
        call();
      } catch (error) {
        this.#failure ??= error;
      }
    };
    const deliver = (
      _handle: unknown,
      _group: Pointer,
      nodeid: number,
      pid: number,
      message: Pointer,
      bytes: number | bigint,
    ): void =>
      guarded(() =>
        callbacks.delivered(nodeid, pid, new Uint8Array(toArrayBuffer(message, 0, Number(bytes)))),
      );
    const change = (
      _handle: unknown,
      _group: Pointer,
      members: Pointer,
      memberCount: number | bigint,
      left: Pointer,
      leftCount: number | bigint,
      joined: Pointer,
      joinedCount: number | bigint,
    ): void =>
      guarded(() =>
        callbacks.configured(
          nodeids(members, Number(memberCount)),
          nodeids(left, Number(leftCount)),
          nodeids(joined, Number(joinedCount)),
        ),
      );
    return [
      new JSCallback(deliver, {
        args: [FFIType.u64_fast, "ptr", "u32", "u32", "ptr", FFIType.u64_fast],
        returns: "void",
      }),
      new JSCallback(change, {
        args: [
          FFIType.u64_fast,
          "ptr",
          "ptr",
          FFIType.u64_fast,
          "ptr",
          FFIType.u64_fast,
          "ptr",
          FFIType.u64_fast,
        ],
        returns: "void",
      }),
    ];
  }
}

/** The nodeids of an array of struct cpg_address { nodeid, pid, reason }. */
function nodeids(pointer: Pointer | null, count: number): readonly number[] {
  if (pointer === null || count === 0) return [];
  const view = new DataView(toArrayBuffer(pointer, 0, count * addressBytes));
  return Array.from({ length: count }, (_, index) => view.getUint32(index * addressBytes, true));
}

function expectOk(call: string, result: number): void {
  if (result !== csOk) throw new Error(`${call} failed with cs_error ${result}`);
}

function openCpg() {
  return dlopen("libcpg.so.4", {
    cpg_initialize: { args: ["ptr", "ptr"], returns: "i32" },
    cpg_finalize: { args: ["u64"], returns: "i32" },
    cpg_fd_get: { args: ["u64", "ptr"], returns: "i32" },
    cpg_local_get: { args: ["u64", "ptr"], returns: "i32" },
    cpg_join: { args: ["u64", "ptr"], returns: "i32" },
    cpg_mcast_joined: { args: ["u64", "i32", "ptr", "u32"], returns: "i32" },
    cpg_dispatch: { args: ["u64", "i32"], returns: "i32" },
  });
}

function openLibc() {
  return dlopen("libc.so.6", { poll: { args: ["ptr", "u64", "i32"], returns: "i32" } });
}
