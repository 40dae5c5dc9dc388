// crypt(3) of the system (bun:ffi): the hashes of /etc/shadow, yescrypt included where libxcrypt is there. It takes up to half a second
// of one processor, so only the Worker of passwords.ts calls it.
import { CString, dlopen } from "bun:ffi";
import { type Result, failure, reasonOf, success } from "../../result.ts";

/** glibc's and Debian's libxcrypt, Fedora's libxcrypt, musl. */
const names = [
  "libcrypt.so.1",
  "libcrypt.so.2",
  process.arch === "arm64" ? "libc.musl-aarch64.so.1" : "libc.musl-x86_64.so.1",
];
const advice =
  "apt install libcrypt1, or the package libxcrypt or libxcrypt-compat of other distributions";

type Crypt = (password: Uint8Array, setting: Uint8Array) => string | undefined;

let opened: Crypt | undefined;

/** The hash of a password with the method, cost and salt of `setting` (a hash is one); "" when the method is not known here. */
export function crypt(password: string, setting: string): Result<string> {
  try {
    opened ??= open();
  } catch (error) {
    return failure(reasonOf(error));
  }
  const hash = opened(terminated(password), terminated(setting));
  // libxcrypt answers "*0" or "*1" for what it does not know, others nothing.
  return success(hash === undefined || hash.startsWith("*") ? "" : hash);
}

function open(): Crypt {
  const failures: string[] = [];
  for (const name of names) {
    try {
      const { symbols } = dlopen(name, { crypt: { args: ["ptr", "ptr"], returns: "ptr" } });
      return (password, setting) => {
        const at = symbols.crypt(password, setting);
        return at === null ? undefined : new CString(at);
      };
    } catch (error) {
      failures.push(reasonOf(error));
    }
  }
  throw new Error(`the library libcrypt is missing (${advice}): ${failures.join("; ")}`);
}

function terminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}
