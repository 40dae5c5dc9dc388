// The services of this machine as systemd knows them, in the words of the original's API. One call answers for all of them.
import { outputOf, type RunProgram } from "./programs.ts";

export interface UnitState {
  /** "" where there is none. */
  readonly description: string;
  /** systemd's SubState: "running", "dead", "exited". */
  readonly state: string;
  /** systemd's ActiveState. */
  readonly active: string;
  /** systemd's UnitFileState; "not-found": not installed. */
  readonly unit: string;
}

const waitMs = 10_000;
const outputBytesMax = 1024 * 1024;

/** By name, those that systemd answered for; none where it is not there. Never rejects. */
export async function unitStates(
  run: RunProgram,
  names: readonly string[],
): Promise<ReadonlyMap<string, UnitState>> {
  const properties = "Description,LoadState,ActiveState,SubState,UnitFileState,Type,Result";
  const { text } = await outputOf(
    run,
    [
      "systemctl",
      "show",
      `--property=${properties}`,
      "--",
      ...names.map((name) => `${name}.service`),
    ],
    { waitMs, bytesMax: outputBytesMax },
  );
  const blocks = text.trim().split(/\n\n+/);
  // Blocks come in the order of the names; one short of that belongs to nobody.
  if (blocks.length !== names.length) return new Map();
  return new Map(names.map((name, at) => [name, stateOf(blocks[at] ?? "")]));
}

function stateOf(block: string): UnitState {
  const pairs = block.split("\n").map((line): [string, string] => {
    const [, key = "", value = ""] = /^([^=]+)=(.*)$/.exec(line) ?? [];
    return [key, value];
  });
  const of = new Map(pairs);
  const word = (name: string): string => of.get(name) || "unknown";
  const isOver = word("SubState") === "dead" && of.get("Type") === "oneshot";
  return {
    description: of.get("Description") ?? "",
    state: isOver && of.get("Result") ? word("Result") : word("SubState"),
    active: word("ActiveState"),
    unit: of.get("LoadState") === "not-found" ? "not-found" : word("UnitFileState"),
  };
}
