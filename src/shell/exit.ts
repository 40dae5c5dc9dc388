// Exit codes of every verb, and how a verb ends early with one sentence.

export const exitOk = 0;
/** The verb could not do what was asked; the sentence on stderr says why. */
export const exitFailed = 1;
/** The command line is wrong. */
export const exitUsage = 2;
/** No node answers on the local socket. */
export const exitNotRunning = 3;
/** corosync.conf, the key or the database is wrong or missing (corosync's own status for a bad configuration is 8). */
export const exitConfiguration = 8;

/** An exit code and what it means. */
export type ExitText = readonly [number, string];

/** What they mean where a command says nothing else. */
export const exitTexts: readonly ExitText[] = [
  [exitOk, "done"],
  [exitFailed, "could not be done, or not all is well; the text says why"],
  [exitUsage, "the command line is wrong"],
  [exitNotRunning, "no node or no vote server answers here"],
  [exitConfiguration, "configuration, key or database missing or wrong"],
];

/** Ends a verb: `reason` is one clear sentence for stderr. */
export class CommandFailure extends Error {
  readonly code: number;
  constructor(reason: string, code: number = exitFailed) {
    super(reason);
    this.code = code;
  }
}
