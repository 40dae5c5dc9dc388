// The machines we build for: which runtime and which database addon go into which file.

export interface Target {
  /** As in the file's name and in `--version`. */
  readonly name: string;
  readonly bun: Bun.Build.CompileTarget;
  /** npm package that carries the runtime, and the one that carries the database addon (build/runtimes.json). */
  readonly runtime: string;
  readonly addon: string;
  readonly arch: "x64" | "arm64";
  readonly libc: "glibc" | "musl";
}

export const targets: readonly Target[] = [
  {
    name: "linux-x64",
    bun: "bun-linux-x64",
    runtime: "@oven/bun-linux-x64",
    addon: "@libsql/linux-x64-gnu",
    arch: "x64",
    libc: "glibc",
  },
  {
    // For processors without AVX2. Bun 1.4.5 carries the same bytes in both packages; that need not stay so.
    name: "linux-x64-baseline",
    bun: "bun-linux-x64-baseline",
    runtime: "@oven/bun-linux-x64-baseline",
    addon: "@libsql/linux-x64-gnu",
    arch: "x64",
    libc: "glibc",
  },
  {
    name: "linux-arm64",
    bun: "bun-linux-arm64",
    runtime: "@oven/bun-linux-aarch64",
    addon: "@libsql/linux-arm64-gnu",
    arch: "arm64",
    libc: "glibc",
  },
  {
    name: "linux-x64-musl",
    bun: "bun-linux-x64-musl",
    runtime: "@oven/bun-linux-x64-musl",
    addon: "@libsql/linux-x64-musl",
    arch: "x64",
    libc: "musl",
  },
  {
    name: "linux-arm64-musl",
    bun: "bun-linux-arm64-musl",
    runtime: "@oven/bun-linux-aarch64-musl",
    addon: "@libsql/linux-arm64-musl",
    arch: "arm64",
    libc: "musl",
  },
];

export function fileName(target: Target): string {
  return `quorate-${target.name}`;
}
