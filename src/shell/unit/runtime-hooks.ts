// Environment variables by which the runtime under quorate would become another program (engineering.md §10). Units unset them, and so does
// whoever starts quorate with more rights than its caller.

export const runtimeHooks: readonly string[] = [
  "BUN_OPTIONS",
  "BUN_BE_BUN",
  "BUN_INSPECT",
  "BUN_INSPECT_CONNECT_TO",
];

/** The environment without them, and with `more`. */
export function withoutHooks(
  environment: Readonly<Record<string, string | undefined>>,
  more: Readonly<Record<string, string>> = {},
): Record<string, string | undefined> {
  const kept = Object.entries(environment).filter(([name]) => !runtimeHooks.includes(name));
  return { ...Object.fromEntries(kept), ...more };
}
