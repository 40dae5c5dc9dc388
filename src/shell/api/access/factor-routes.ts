// Second factors of users (pvecm.md §4.2), as /access/tfa of Proxmox VE: codes by time and recovery codes are added here, entries of other kinds
// shown, switched and removed.
import * as v from "valibot";
import {
  addRecovery,
  addTotp,
  type FactorEntry,
  listFactors,
  lockOf,
  removeFactor,
  unlockFactors,
  updateFactor,
} from "../../access/factor-entries.ts";
import { byteTextAt, userPaths } from "../../access/user-files.ts";
import { textOfByteString } from "../../../bytes.ts";
import { parseUserId } from "../../users/user-id.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, type Route, route } from "../route.ts";
import { ownPassword, userId } from "./access-parameters.ts";
import type { AccessRules } from "./access-rules.ts";
import { type AccessRoutesSource, badParameter } from "./access-source.ts";
import { changeFactors } from "./factor-changes.ts";
import { askOwnPassword } from "./passwords.ts";
import { isVisible } from "./user-routes.ts";

const factorKinds = ["totp", "u2f", "webauthn", "recovery", "yubico"] as const;
const entryAnswer = v.object({
  type: v.picklist(factorKinds),
  id: v.string(),
  description: v.string(),
  created: v.pipe(v.number(), v.description("Unix seconds.")),
  enable: v.boolean(),
});
const lockAnswer = {
  "totp-locked": v.optional(v.boolean()),
  "tfa-locked-until": v.optional(v.pipe(v.number(), v.description("Unix seconds."))),
};
const oneFactor = { userid: userId(), id: parameter.text({ min: 1, max: 256 }) } as const;
const description = () => parameter.optional(parameter.text({ max: 255 }));

export function factorRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  return [
    ...readRoutes(source, rules),
    addRoute(source, rules),
    ...entryRoutes(source, rules),
    ...userRoutes(source, rules),
  ];
}

function factorsText({ files }: AccessRoutesSource): string {
  return textOfByteString(byteTextAt(files, userPaths.factors));
}

function allFactors(source: AccessRoutesSource) {
  const listed = listFactors(factorsText(source));
  if (!listed.ok) throw new ApiError(500, listed.reason);
  return listed.value;
}

function factorsOf(source: AccessRoutesSource, user: string): readonly FactorEntry[] {
  return allFactors(source).find((each) => each.user === user)?.entries ?? [];
}

function readRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access/tfa",
      description: "Who has second factors, of those whom the caller may see, without the secrets.",
      permission: anyUser,
      parameters: {},
      returns: v.array(
        v.object({ userid: v.string(), entries: v.array(entryAnswer), ...lockAnswer }),
      ),
      handle: ({ caller }) => {
        const text = factorsText(source);
        return allFactors(source)
          .filter(({ user }) => isVisible(source, caller, user))
          .map(({ user, entries }) => ({
            ...{ userid: user, entries },
            ...lockOf(text, user, source.now()),
          }));
      },
    }),
    route({
      method: "GET",
      path: "/access/tfa/{userid}",
      description: "The second factors of a user, without the secrets.",
      permission: rules.selfOrUserReader,
      parameters: { userid: userId() },
      returns: v.array(entryAnswer),
      handle: ({ parameters: { userid } }) => factorsOf(source, userid),
    }),
    route({
      method: "GET",
      path: "/access/tfa/{userid}/{id}",
      description: "One second factor, without its secret.",
      permission: rules.selfOrUserReader,
      parameters: oneFactor,
      returns: entryAnswer,
      handle: ({ parameters: { userid, id } }) => {
        const entry = factorsOf(source, userid).find((each) => each.id === id);
        if (entry === undefined) throw new ApiError(404, `No such tfa entry '${id}'`);
        return entry;
      },
    }),
  ];
}

function addRoute(source: AccessRoutesSource, { selfOrUserAdmin }: AccessRules): Route {
  return route({
    method: "POST",
    path: "/access/tfa/{userid}",
    description:
      "Adds codes by time (`totp` is their otpauth address, `value` one of them) or ten recovery codes, which this answer alone has. Who is not root gives its own password, too.",
    permission: selfOrUserAdmin,
    isTicketOnly: true,
    parameters: {
      userid: userId(),
      type: parameter.oneOf(factorKinds),
      description: description(),
      // Of an otpauth:// address; 64 of them are all that a user has in a file of 1 MiB for everybody.
      totp: parameter.optional(parameter.text({ max: 1024 })),
      value: parameter.optional(parameter.text({ max: 8192 })),
      challenge: parameter.optional(parameter.text({ max: 8192 })),
      password: ownPassword(),
    },
    returns: v.object({ id: v.string(), recovery: v.optional(v.array(v.string())) }),
    handle: async (call) => {
      const { userid, type, totp, value, challenge, password } = call.parameters;
      await askOwnPassword(source, call, { user: userid, parameter: "password", password });
      const what = "enabling TFA for the user failed";
      const now = source.now();
      if (type === "recovery") {
        if (totp !== undefined || value !== undefined || challenge !== undefined) {
          const words = "generating recovery tokens does not allow additional parameters";
          throw badParameter("type", words);
        }
        const made = await changeFactors(source, what, userid, (text) =>
          addRecovery(text, userid, now),
        );
        return { id: "recovery", recovery: made.value };
      }
      if (type !== "totp") {
        throw badParameter("type", "only entries of the kinds totp and recovery can be added here");
      }
      const given = totpOf(call.parameters);
      const made = await changeFactors(source, what, userid, (text) =>
        addTotp(text, userid, { ...given, now }),
      );
      return { id: made.value };
    },
  });
}

/** Throws ApiError for what is missing. */
function totpOf(parameters: {
  readonly description?: string | undefined;
  readonly totp?: string | undefined;
  readonly value?: string | undefined;
  readonly challenge?: string | undefined;
}): { readonly description: string; readonly uri: string; readonly code: string } {
  const { description: text, totp, value, challenge } = parameters;
  if (challenge !== undefined) {
    throw badParameter("challenge", "'challenge' parameter is invalid for 'totp' entries");
  }
  if (text === undefined) {
    throw badParameter("description", "'description' is required for new entries");
  }
  if (totp === undefined || value === undefined) {
    const words = "'totp' type requires both 'totp' and 'value' parameters";
    throw badParameter(totp === undefined ? "totp" : "value", words);
  }
  return { description: text, uri: totp, code: value };
}

function entryRoutes(
  source: AccessRoutesSource,
  { selfOrUserAdmin }: AccessRules,
): readonly Route[] {
  const refuseMissing = (user: string, id: string): void => {
    if (factorsOf(source, user).some((each) => each.id === id)) return;
    throw new ApiError(404, `No such tfa entry '${id}'`);
  };
  return [
    route({
      method: "PUT",
      path: "/access/tfa/{userid}/{id}",
      description: "Gives a second factor another description, or switches it on or off.",
      permission: selfOrUserAdmin,
      isTicketOnly: true,
      parameters: {
        ...oneFactor,
        description: description(),
        enable: parameter.optional(parameter.boolean()),
        password: ownPassword(),
      },
      returns: v.null(),
      handle: async (call) => {
        const { userid, id, description: text, enable, password } = call.parameters;
        await askOwnPassword(source, call, { user: userid, parameter: "password", password });
        refuseMissing(userid, id);
        await changeFactors(source, "updating TFA failed", userid, (file) =>
          updateFactor(file, userid, id, { description: text, enable }),
        );
        return null;
      },
    }),
    route({
      method: "DELETE",
      path: "/access/tfa/{userid}/{id}",
      description: "Removes a second factor.",
      permission: selfOrUserAdmin,
      isTicketOnly: true,
      parameters: { ...oneFactor, password: ownPassword() },
      returns: v.null(),
      handle: async (call) => {
        const { userid, id, password } = call.parameters;
        await askOwnPassword(source, call, { user: userid, parameter: "password", password });
        refuseMissing(userid, id);
        await changeFactors(source, "removing TFA failed", userid, (file) =>
          removeFactor(file, userid, id),
        );
        return null;
      },
    }),
  ];
}

function userRoutes(source: AccessRoutesSource, rules: AccessRules): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/access/users/{userid}/tfa",
      description: "Which kinds of second factors a user has, and its realm demands.",
      permission: rules.selfOrUserReader,
      parameters: {
        userid: userId(),
        multiple: parameter.optional(parameter.boolean(), false),
      },
      returns: v.object({
        realm: v.optional(v.picklist(["oath", "yubico"])),
        user: v.optional(v.array(v.picklist(factorKinds))),
      }),
      handle: ({ parameters: { userid, multiple } }) => {
        const realm = source.users.realms.get(parseUserId(userid)?.realm ?? "");
        if (realm === undefined) {
          throw new ApiError(500, `auth domain '${parseUserId(userid)?.realm}' does not exist`);
        }
        const { secondFactor } = realm;
        const types = new Set(factorsOf(source, userid).map(({ type }) => type));
        return {
          ...(secondFactor === undefined || secondFactor === "unknown"
            ? {}
            : { realm: secondFactor }),
          ...(multiple ? { user: [...types] } : {}),
        };
      },
    }),
    route({
      method: "PUT",
      path: "/access/users/{userid}/unlock-tfa",
      description: "Ends what wrong codes have locked; says whether something was.",
      permission: rules.unlockUser,
      parameters: { userid: userId() },
      returns: v.boolean(),
      handle: async ({ parameters: { userid } }) => {
        if (factorsOf(source, userid).length === 0) return false;
        const done = await changeFactors(source, "unlocking TFA failed", userid, (text) =>
          unlockFactors(text, userid, source.now()),
        );
        return done.value;
      },
    }),
  ];
}
