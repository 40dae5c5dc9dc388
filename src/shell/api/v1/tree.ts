// The tree over the API: listed, read, and written, where the writer may say which version it has read. Reading is as on /etc/pve (tree-path.ts), changes
// are root's. A file is replaced as a whole; with a version, under the lock that Proxmox's tools take for it.
import * as v from "valibot";
import { treeChanged, treeFile, treeListed } from "../../answers/tree.ts";
import type { FileStat, Files, Outcome } from "../../../fs/tree/files.ts";
import { corosyncConfPath } from "../../../fs/tree/rules.ts";
import * as parameter from "../parameters.ts";
import { textOfPath } from "../path-text.ts";
import { ApiError, type Caller, onlyRoot, type Route, route } from "../route.ts";
import { withTreeLock } from "../tree-file.ts";
import { dryRunParameter, mayAudit, treeValue } from "./v1-rules.ts";
import { type ConfGuard, insisting, lossReason, unusableReason } from "./conf-guard.ts";
import { checkContentReadable, checkReadable, fileLockName, storedPath } from "./tree-path.ts";

export interface TreeSource {
  readonly files: Files;
  /** Why nothing can be changed now, a sentence; "": it can. */
  readonly refusal: () => string;
  readonly confProblem: ConfGuard["confProblem"];
  /** What the running nodes would make of this corosync.conf, a sentence each; of one that they could use. */
  readonly confEffect: (content: Uint8Array) => Promise<readonly string[]>;
}

/** As path-text.ts writes them. */
const path = parameter.text({ max: 4096 });
/** Of a request's body, which has 64 KiB for everything. */
const contentCharactersMax = 65_536;
const encoding = parameter.oneOf(["text", "base64"]);
const version = parameter.optional(parameter.integer({ min: 0 }));
const force = parameter.optional(parameter.boolean());

/** All of this file. */
export function treeRoutes(source: TreeSource): readonly Route[] {
  return [...readRoutes(source.files), writeRoute(source), removeRoute(source), makeRoute(source)];
}

function readRoutes(files: Files): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/tree",
      isOurs: true,
      description: "An object of /etc/pve; of a directory, what is in it.",
      permission: mayAudit,
      returns: treeListed,
      parameters: { path: parameter.optional(path) },
      handle: ({ parameters, caller }) => listed(files, parameters.path ?? "", caller),
    }),
    route({
      method: "GET",
      path: "/tree/file",
      isOurs: true,
      description:
        "The content of a file of /etc/pve, as text, or in base64 when it is none or when asked so; of most files only for root@pam without an API token.",
      permission: mayAudit,
      returns: treeFile,
      parameters: { path, encoding: parameter.optional(encoding) },
      handle: ({ parameters, caller }) => {
        const stored = storedPath(files, parameters.path);
        checkContentReadable(stored, caller);
        const subject = textOfPath(stored);
        const bytes = treeValue(subject, files.read(stored));
        const facts = treeValue(subject, files.stat(stored));
        const { size, mtime, version: at } = facts;
        const text = parameters.encoding === "base64" ? undefined : textOf(bytes);
        return {
          ...{ path: subject, size, mtime, version: at },
          ...(text === undefined
            ? { encoding: "base64" as const, content: Buffer.from(bytes).toString("base64") }
            : { encoding: "text" as const, content: text }),
        };
      },
    }),
  ];
}

function listed(files: Files, text: string, caller: Caller): v.InferOutput<typeof treeListed> {
  const stored = storedPath(files, text);
  checkReadable(stored, caller);
  const subject = textOfPath(stored);
  const own = treeValue(subject, files.stat(stored));
  const head = { path: subject, ...shown(own) };
  if (own.type !== "directory") return head;
  const entries = treeValue(subject, files.list(stored)).map(({ name, stat: facts }) => {
    const below = stored === "" ? name : `${stored}/${name}`;
    const target = facts.type === "symlink" ? files.readlink(below) : undefined;
    return {
      name: textOfPath(name),
      ...shown(facts),
      ...(target?.ok === true ? { target: textOfPath(target.value) } : {}),
    };
  });
  return { ...head, entries };
}

function shown({ type, mode, size, mtime, version: at, generated }: FileStat) {
  return { type, mode: mode.toString(8).padStart(4, "0"), size, mtime, version: at, generated };
}

/** Undefined: these bytes are no text. */
function textOf(bytes: Uint8Array): string | undefined {
  if (bytes.includes(0)) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined; // No UTF-8.
  }
}

function writeRoute(source: TreeSource): Route {
  const { files } = source;
  return route({
    method: "PUT",
    path: "/tree/file",
    isOurs: true,
    description:
      "Replaces a file of /etc/pve as a whole. With version only if that is still what is there (0: nothing is), else 412.",
    permission: onlyRoot,
    returns: treeChanged,
    parameters: {
      ...{ path, content: parameter.text({ max: contentCharactersMax }) },
      ...{ encoding: parameter.optional(encoding), version, force, ...dryRunParameter },
    },
    handle: async ({ parameters }) => {
      const data = contentOf(parameters.content, parameters.encoding === "base64");
      const stored = storedPath(files, parameters.path);
      if (parameters.force !== true) {
        const guard = guardOf(source);
        refuse(400, await unusableReason(guard, stored, data), insisting(guard));
      }
      const isAsked = parameters["dry-run"] === true && stored === corosyncConfPath;
      const effects = isAsked ? await source.confEffect(data) : [];
      return changed(source, { stored, version: parameters.version }, parameters["dry-run"], {
        notes: [`it would have ${data.length} bytes`, ...effects],
        act: (held) => held.replace(stored, data),
        isIt: () => {
          const read = files.read(stored);
          return read.ok && Buffer.compare(read.value, data) === 0;
        },
      });
    },
  });
}

function removeRoute(source: TreeSource): Route {
  return route({
    method: "DELETE",
    path: "/tree",
    isOurs: true,
    description:
      "Takes away a file or an empty directory of /etc/pve; with version as for a write.",
    permission: onlyRoot,
    returns: treeChanged,
    parameters: { path, version, force, ...dryRunParameter },
    handle: ({ parameters }) => {
      const stored = storedPath(source.files, parameters.path);
      if (parameters.force !== true) refuse(403, lossReason(guardOf(source), stored));
      return changed(source, { stored, version: parameters.version }, parameters["dry-run"], {
        notes: ["it would be gone"],
        act: (held) => held.remove(stored),
        isIt: () => false,
      });
    },
  });
}

function makeRoute(source: TreeSource): Route {
  return route({
    method: "POST",
    path: "/tree/directory",
    isOurs: true,
    description: "Makes a directory in /etc/pve.",
    permission: onlyRoot,
    returns: treeChanged,
    parameters: { path, ...dryRunParameter },
    handle: ({ parameters }) => {
      const stored = storedPath(source.files, parameters.path);
      return changed(source, { stored, version: undefined }, parameters["dry-run"], {
        notes: ["it would be there"],
        act: (held) => held.mkdir(stored),
        isIt: () => true,
      });
    },
  });
}

interface Wanted {
  /** Of `storedPath`. */
  readonly stored: string;
  /** That it must have; undefined: any. */
  readonly version: number | undefined;
}

interface Act {
  /** What would be. */
  readonly notes: readonly string[];
  readonly act: (files: Files) => Promise<Outcome<undefined>>;
  /** What is there now is what was done here, and not already another's. */
  readonly isIt: () => boolean;
}

async function changed(
  { files, refusal }: TreeSource,
  wanted: Wanted,
  isDry: boolean | undefined,
  { notes, act, isIt }: Act,
): Promise<v.InferOutput<typeof treeChanged>> {
  const { stored } = wanted;
  const subject = textOfPath(stored);
  if (stored === "") throw new ApiError(400, "/: the root itself cannot be changed");
  const reason = refusal();
  if (reason !== "") throw new ApiError(503, reason, { code: "notWritable" });
  await files.caughtUp();
  checkVersion(files, wanted, subject);
  if (isDry === true) return { path: subject, isChanged: false, notes: [...notes], version: null };
  if (wanted.version === undefined) treeValue(subject, await act(files));
  else {
    const under = await withTreeLock(files, fileLockName(stored), async (held) => {
      await held.caughtUp();
      checkVersion(held, wanted, subject);
      return act(held);
    });
    if (!under.ok) throw new ApiError(503, under.reason, { code: "EBUSY" });
    treeValue(subject, under.value);
  }
  const after = files.stat(stored);
  const now = after.ok && isIt() ? after.value.version : null;
  return { path: subject, isChanged: true, notes: [], version: now };
}

function checkVersion(files: Files, { stored, version: wanted }: Wanted, subject: string): void {
  if (wanted === undefined) return;
  const facts = files.stat(stored);
  const is = facts.ok ? facts.value.version : 0;
  if (is === wanted) return;
  const now = is === 0 ? "it is not there" : `it has version ${is} now`;
  throw new ApiError(412, `/${subject}: ${now}, and not version ${wanted}`, {
    code: "staleVersion",
    hint: "somebody has changed it since: read it again, and make your change to what is there",
  });
}

function contentOf(content: string, isBase64: boolean): Uint8Array {
  if (!isBase64) return new TextEncoder().encode(content);
  if (/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(content)) {
    return new Uint8Array(Buffer.from(content, "base64"));
  }
  throw new ApiError(400, "Parameter verification failed.", {
    errors: { content: "invalid format - it is no base64" },
  });
}

function guardOf({ files, confProblem }: TreeSource): ConfGuard {
  return { files, confProblem, force: "force=1" };
}

function refuse(status: 400 | 403, reason: string, hint?: string): void {
  if (reason === "") return;
  throw new ApiError(status, reason, { code: "needsForce", ...(hint && { hint }) });
}
