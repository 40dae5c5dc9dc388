// Records that are kept as JSON: whatever stands in the file, reading one ends in a value or a reason.
import * as v from "valibot";
import { failure, type Result, reasonOf, success } from "../result.ts";

const issuesMax = 3;

/** `content`: at most `charactersMax` long. A failure names the field. */
export function decodeJson<T>(
  schema: v.GenericSchema<unknown, T>,
  content: string,
  charactersMax: number,
): Result<T> {
  if (content.length > charactersMax) return failure("it is too long");
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch (error) {
    return failure(reasonOf(error));
  }
  const read = v.safeParse(schema, value);
  if (read.success) return success(read.output);
  const reasons = read.issues
    .slice(0, issuesMax)
    .map((issue) => `${v.getDotPath(issue) ?? "it"}: ${issue.message}`);
  return failure(reasons.join("; "));
}
