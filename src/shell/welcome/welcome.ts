// `quorate` without arguments: what it is, what runs here, what to do next. It changes nothing and ends with 0.
import type { Identity } from "../version.ts";
import { exitOk } from "../exit.ts";
import { type Machine, machineFacts } from "./facts.ts";
import { welcomeText } from "./text.ts";

export interface WelcomeOptions {
  readonly identity: Identity;
  readonly machine: Machine;
  readonly write: (text: string) => void;
}

export async function welcomeCommand({
  identity,
  machine,
  write,
}: WelcomeOptions): Promise<number> {
  write(welcomeText(identity, await machineFacts(machine)));
  return exitOk;
}
