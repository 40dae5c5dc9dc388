// What the parts of the command table share: words out of cac's option values, the option every verb has, and the output.
import type { Command } from "cac";

/** cac makes numbers of digits. */
export function wordOf(value: unknown): string | undefined {
  return typeof value === "string" || typeof value === "number" ? String(value) : undefined;
}

/** cac gives `true` for an option that was not written. */
export function textOf(value: unknown, fallback: string): string {
  return typeof value === "string" ? value : fallback;
}

/** Every verb that meets files or sockets takes the directory they are below. */
export function rootOption(command: Command): Command {
  return command.option("--root <dir>", "Directory that holds etc/, var/ and run/", {
    default: "/",
  });
}

export function write(text: string | Uint8Array): void {
  process.stdout.write(text);
}

/** What a person should read and a script should not. */
export function note(text: string | Uint8Array): void {
  process.stderr.write(text);
}
