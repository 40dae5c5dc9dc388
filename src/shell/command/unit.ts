// `quorate unit`: prints the file that makes a service of this program, for the service manager that is asked for.
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { CommandFailure, exitOk, exitUsage } from "../exit.ts";
import { detectManager } from "../unit/services.ts";
import { upgradePlaces } from "../upgrade/places.ts";
import { type UnitForm, unitText } from "../unit/unit-text.ts";

export interface UnitCommandOptions {
  readonly service: "node" | "qnetd" | "rescue";
  readonly systemd: boolean;
  readonly openrc: boolean;
  readonly rc: boolean;
  readonly isUser: boolean;
  /** Undefined: this program. */
  readonly bin: string | undefined;
  readonly root: string;
  readonly write: (text: string) => void;
}

export function unitCommand(options: UnitCommandOptions): number {
  const made = unitText({
    service: options.service,
    form: formOf(options),
    bin: options.bin === undefined ? realpathSync(process.execPath) : resolve(options.bin),
    root: resolve(options.root),
    isUser: options.isUser,
  });
  if ("reason" in made) throw new CommandFailure(made.reason, exitUsage);
  options.write(made.text);
  return exitOk;
}

/** What was asked for; else what this machine has. */
function formOf(options: UnitCommandOptions): UnitForm {
  const asked = (["systemd", "openrc", "rc"] as const).filter((form) => options[form]);
  if (asked.length > 1) {
    throw new CommandFailure("name one of --systemd, --openrc and --rc", exitUsage);
  }
  const [form] = asked;
  if (form !== undefined) return form;
  switch (detectManager(upgradePlaces("/", ""), [])) {
    case "openrc":
      return "openrc";
    case "rc":
      return "rc";
    default:
      return "systemd";
  }
}
