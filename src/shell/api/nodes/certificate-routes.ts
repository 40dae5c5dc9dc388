// The certificates of a node (pvecm.md §4.2): what there is, and an administrator's own put there and taken away. The API shows a new one at once, so
// that nothing is restarted for it.
import * as v from "valibot";
import type { Result } from "../../../result.ts";
import { certificatesOf } from "../../certificates/certificate-info.ts";
import {
  certificateChain,
  hasCustomKey,
  privateKey,
  removeCustomCertificate,
  setCustomCertificate,
} from "../../certificates/custom-certificate.ts";
import * as parameter from "../parameters.ts";
import { anyUser, ApiError, type Route, route } from "../route.ts";
import { mayModify, node, type NodeSource, wrong } from "./node-source.ts";

const pemBytesMax = 60_000;
const certificateSchema = v.object({
  filename: v.string(),
  fingerprint: v.pipe(v.string(), v.regex(/^(?:[0-9A-F]{2}:){31}[0-9A-F]{2}$/)),
  subject: v.string(),
  issuer: v.string(),
  notbefore: v.number(),
  notafter: v.number(),
  san: v.array(v.string()),
  "public-key-type": v.string(),
  "public-key-bits": v.number(),
  pem: v.string(),
});
const restart = parameter.optional(parameter.boolean());

export function certificateRoutes({
  files,
  nodeName,
}: Pick<NodeSource, "files" | "nodeName">): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/certificates/info",
      description: "The certificates of a node and of the cluster's authority.",
      permission: anyUser,
      parameters: node,
      returns: v.array(certificateSchema),
      handle: () => [...certificatesOf(files, nodeName)],
    }),
    route({
      method: "POST",
      path: "/nodes/{node}/certificates/custom",
      description: "Gives a node a certificate of its administrator's, with its key.",
      permission: mayModify,
      needsQuorum: true,
      parameters: {
        ...node,
        certificates: parameter.text({ max: pemBytesMax }),
        key: parameter.optional(parameter.text({ max: pemBytesMax })),
        force: parameter.optional(parameter.boolean(), false),
        restart,
      },
      returns: certificateSchema,
      handle: async ({ parameters: { certificates, key, force } }) => {
        const chain = certificateChain(certificates);
        if (chain === undefined) {
          throw wrong("certificates", "invalid format - value is no PEM certificate chain");
        }
        const ownKey = key === undefined || key === "" ? undefined : privateKey(key);
        if (ownKey === undefined && key !== undefined && key !== "") {
          throw wrong("key", "invalid format - value is no PEM private key without a password");
        }
        if (ownKey === undefined && !hasCustomKey(files, nodeName)) {
          throw wrong("key", "Attempted to upload custom certificate without (existing) key.");
        }
        const pair = { certificates: chain, key: ownKey, isForced: force };
        settled(await setCustomCertificate(files, nodeName, pair));
        const found = certificatesOf(files, nodeName).find(
          ({ filename }) => filename === "pveproxy-ssl.pem",
        );
        if (found === undefined) throw new ApiError(500, "somebody has removed it meanwhile");
        return { ...found, san: [...found.san] };
      },
    }),
    route({
      method: "DELETE",
      path: "/nodes/{node}/certificates/custom",
      description: "Takes the certificate of its administrator from a node.",
      permission: mayModify,
      needsQuorum: true,
      parameters: { ...node, restart },
      returns: v.null(),
      handle: async () => {
        settled(await removeCustomCertificate(files, nodeName));
        return null;
      },
    }),
  ];
}

function settled(done: Result<undefined>): void {
  if (!done.ok) throw new ApiError(500, done.reason);
}
