// When a plan on a real node has come to one of its steps, told by its record on disk: there a test kills something.
import { mkdirSync, watch } from "node:fs";
import { OperationFiles } from "../../src/shell/operation/operation-store.ts";

/** Resolves when the operation's record says that this step has begun, or that there is none any more. */
export async function stepReached(operationDir: string, step: string): Promise<void> {
  mkdirSync(operationDir, { recursive: true });
  const files = new OperationFiles(operationDir);
  const { promise, resolve } = Promise.withResolvers<void>();
  let hasBegun = false;
  const look = (): void => {
    const found = files.record();
    if (!found.ok) return;
    const record = found.value;
    hasBegun ||= record !== undefined;
    if (record?.at === step || (hasBegun && record === undefined)) resolve();
  };
  const watcher = watch(operationDir, look);
  await promise.finally(() => watcher.close());
}
