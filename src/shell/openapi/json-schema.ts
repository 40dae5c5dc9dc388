// A schema of the API as JSON Schema (draft 2020-12, which OpenAPI 3.1 has as its own), for what goes in and what comes out.
import { toJsonSchema } from "@valibot/to-json-schema";
import type * as v from "valibot";

/** As JSON: what the document holds. */
export type JsonSchema = { readonly [key: string]: unknown };

/** The original's formats have 0 and 1 where a schema has a boolean (pvecm.md §4.1). */
export type BooleanForm = "boolean" | "zeroOrOne";

/** What has no counterpart in JSON Schema, and only narrows what is described otherwise. */
const unsaidActions = ["check", "raw_check", "partial_check", "trim", "readonly", "brand"];

/** Throws for a kind of schema that has no counterpart: every route's is converted in a test. */
export function jsonSchemaOf(schema: v.GenericSchema, booleans: BooleanForm): JsonSchema {
  const { $schema: _, ...converted } = toJsonSchema(schema, {
    typeMode: "output",
    target: "draft-2020-12",
    ignoreActions: unsaidActions,
    overrideAction: ({ valibotAction, jsonSchema }) => {
      if (valibotAction.type !== "regex") return undefined;
      const { flags, source } = requirementOf(valibotAction);
      // Such patterns are read as Unicode ones; other flags cannot be said.
      if (/^u?$/.test(flags)) return { ...jsonSchema, pattern: source };
      const { pattern: __, ...unsaid } = jsonSchema;
      return unsaid;
    },
    overrideSchema: ({ valibotSchema, jsonSchema }) => {
      if (valibotSchema.type !== "boolean" || booleans === "boolean") return undefined;
      return { ...jsonSchema, type: "integer", enum: [0, 1] };
    },
  });
  return converted;
}

function requirementOf(action: object): RegExp {
  if ("requirement" in action && action.requirement instanceof RegExp) return action.requirement;
  throw new Error("a regex action has a pattern");
}
