// A quorum device's set-up by an invitation as one operation of a node: key, certificate, then as `device-plan.ts`. Key and request are chosen in a step
// of their own: the same request, sent again after a kill, gets the same certificate, so an invitation is never used up in vain by a kill.
import * as v from "valibot";
import type { Result } from "../../result.ts";
import { createRequest } from "../../qnetd/pki/issue.ts";
import { decodeToken, type InviteToken } from "../../qnetd/enrol/enrolment-token.ts";
import { CommandFailure } from "../exit.ts";
import { NotRepeatable, type Plan, type Step } from "../operation/plan.ts";
import { checkedIdentity } from "./device-identity.ts";
import {
  type DevicePorts,
  type DeviceSetupFacts,
  deviceSetupFacts,
  deviceSetupPlan,
  setupFacts,
} from "./device-plan.ts";
import { orFail } from "./device-setup.ts";
import { enrol, type Enrolled } from "./enrol.ts";

export interface InvitedPorts extends DevicePorts {
  readonly enrol: {
    /** For the name of a cluster: a key (PKCS#8) and its request (PKCS#10), DER. */
    readonly request: (cluster: string) => Promise<KeyRequest>;
    readonly ask: (token: InviteToken, request: Uint8Array) => Promise<Result<Enrolled>>;
  };
}

interface KeyRequest {
  readonly key: Uint8Array;
  readonly request: Uint8Array;
}

/** The real ones. */
export const enrolment: InvitedPorts["enrol"] = { request: createRequest, ask: enrol };

const base64 = v.pipe(v.string(), v.base64());
const facts = v.object({
  token: v.string(),
  /** Absent until it is made. */
  request: v.exactOptional(v.object({ key: base64, request: base64 })),
  /** With the first address of the token, and without identity, until a server has given it. */
  setup: setupFacts,
});
export type InvitedFacts = v.InferOutput<typeof facts>;

export const deviceInvitedPlan: Plan<InvitedFacts, InvitedPorts> = {
  kind: "qdevice-invited",
  facts,
  timeMsMax: deviceSetupPlan.timeMsMax,
  steps: [
    {
      name: "key",
      text: ({ setup }) => `make a key for the cluster "${setup.cluster}"`,
      run: async (known, { enrol: { request: make } }) => {
        const { key, request } = await make(known.setup.cluster);
        return { ...known, request: { key: key.toBase64(), request: request.toBase64() } };
      },
    },
    {
      name: "enrol",
      text: ({ token }) =>
        `get its certificate with the invitation of the vote server at ${tokenOf(token).addresses.join(", ")}`,
      run: enrolled,
      undo: async ({ setup }, _ports, { tell }) => {
        if (setup.identity === undefined) return;
        tell("the invitation is used up: the next try needs another (`quorate qnetd invite`)");
      },
      byHand: () => "",
    },
    ...deviceSetupPlan.steps.map(lifted),
  ],
};

async function enrolled(known: InvitedFacts, ports: InvitedPorts): Promise<InvitedFacts> {
  const { token, request, setup } = known;
  if (request === undefined) throw new NotRepeatable("invariant broken: the key is made first");
  const answer = await ports.enrol.ask(tokenOf(token), Uint8Array.fromBase64(request.request));
  if (!answer.ok) throw new CommandFailure(`no certificate was given: ${answer.reason}`);
  const { certificate, authority, address: host } = answer.value;
  const { cluster, waitMs } = setup;
  const key = Uint8Array.fromBase64(request.key);
  const identity = checkedIdentity({ key, certificate, authority }, cluster);
  if (!identity.ok) {
    throw new CommandFailure(`the vote server's answer cannot be used: ${identity.reason}`);
  }
  const device = { ...setup.device, host };
  return { ...known, setup: await deviceSetupFacts({ cluster, device, waitMs }, identity.value) };
}

function tokenOf(text: string): InviteToken {
  return orFail(decodeToken(text));
}

/** A step of the set-up, over the facts of both. */
function lifted(step: Step<DeviceSetupFacts, DevicePorts>): Step<InvitedFacts, InvitedPorts> {
  const { name, text, run, undo, byHand, changes, commits } = step;
  return {
    name,
    text: ({ setup }) => text(setup),
    run: async (known, ports, context) => {
      const setup = await run(known.setup, ports, context);
      return setup === undefined ? undefined : { ...known, setup };
    },
    ...(undo === undefined
      ? {}
      : { undo: (known, ports, context) => undo(known.setup, ports, context) }),
    ...(byHand === undefined ? {} : { byHand: ({ setup }) => byHand(setup) }),
    ...(changes === undefined ? {} : { changes: ({ setup }) => changes(setup) }),
    ...(commits === true ? { commits } : {}),
  };
}
