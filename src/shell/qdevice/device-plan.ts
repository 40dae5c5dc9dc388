// A quorum device's set-up and removal as operations. They must never leave a device behind that does not vote on this very node, nor a
// certificate or a lock that nobody needs, whoever is killed. Words for people are the callers' (`command/`, `tool/`).
import * as v from "valibot";
import type { Result } from "../../result.ts";
import { pem } from "../../qnetd/pki/pki.ts";
import type { NodeClient } from "../api/client.ts";
import { readConfFacts, withDevice, withoutDevice, withVersionAfter } from "../conf/device.ts";
import { CommandFailure } from "../exit.ts";
import { checkLock, type ClusterLock, type WaitingClock } from "../operation/cluster-lock.ts";
import { treeConfPath } from "../change/conf-stage.ts";
import { type FileChange, NotRepeatable, type Plan } from "../operation/plan.ts";
import { type ClusterIdentity, packed, treeAuthority } from "./device-identity.ts";
import { orFail, untilVotes } from "./device-setup.ts";
import { handText } from "./device-text.ts";
import {
  dropDraft,
  readConf,
  putFiles,
  storedFiles,
  type TreeClient,
  writeConf,
} from "./device-tree.ts";
import type { Probe } from "./probe.ts";

/** Kills included; most of it is for who has to wait for a killed one's lock. */
const timeMsMax = 600_000;

export interface DevicePorts {
  readonly client: TreeClient & Pick<NodeClient, "status">;
  /** Of this process. */
  readonly lock: Pick<ClusterLock, "hold" | "release" | "aborted">;
  readonly probe: (probe: Probe) => Promise<Result<unknown>>;
  readonly clock: WaitingClock;
  readonly report: {
    /** The vote server is there, and the right one. */
    readonly probed: () => void;
    /** corosync.conf has the device; the votes are waited for. */
    readonly configured: (version: number, notes: readonly string[]) => void;
    /** corosync.conf is as before, under this version. */
    readonly restored: (version: number) => void;
  };
}

const base64 = v.pipe(v.string(), v.base64());
export const setupFacts = v.object({
  cluster: v.string(),
  device: v.object({
    host: v.string(),
    port: v.number(),
    algorithm: v.picklist(["ffsplit", "lms"]),
    tls: v.picklist(["off", "on", "required"]),
    votes: v.optional(v.number()),
  }),
  /** Absent: without TLS. */
  identity: v.exactOptional(
    v.object({
      ...{ key: base64, certificate: base64, authority: base64 },
      /** All three as one file, which differs each time it is made. */
      p12: base64,
    }),
  ),
  waitMs: v.number(),
  /** Of before, since the lock was taken. */
  before: v.exactOptional(
    v.object({
      text: v.string(),
      identity: v.nullable(base64),
      authority: v.nullable(base64),
    }),
  ),
  /** corosync.conf as it shall be. */
  after: v.exactOptional(
    v.object({
      text: v.string(),
      version: v.number(),
      notes: v.pipe(v.array(v.string()), v.readonly()),
    }),
  ),
});
export type DeviceSetupFacts = v.InferOutput<typeof setupFacts>;

/** Which part of the set-up failed, for the words around it. */
export class DeviceFailure extends CommandFailure {
  readonly part: "probe" | "votes";
  constructor(part: DeviceFailure["part"], reason: string) {
    super(reason);
    this.part = part;
  }
}

/** What `takeBack` cannot do: somebody else has written corosync.conf since, with our device in it. */
export const changedByOthers =
  "corosync.conf was changed by somebody else meanwhile: it is left as it is, with the device; remove it with `quorate qdevice remove`";

/** The first facts of a set-up. */
export async function deviceSetupFacts(
  given: Pick<DeviceSetupFacts, "cluster" | "device" | "waitMs">,
  identity: ClusterIdentity | undefined,
): Promise<DeviceSetupFacts> {
  if (identity === undefined) return given;
  const { key, certificate, authority } = identity;
  return {
    ...given,
    identity: {
      key: key.toBase64(),
      certificate: certificate.toBase64(),
      authority: authority.toBase64(),
      p12: (await packed(identity)).toBase64(),
    },
  };
}

export const deviceSetupPlan: Plan<DeviceSetupFacts, DevicePorts> = {
  kind: "qdevice-setup",
  facts: setupFacts,
  timeMsMax,
  steps: [
    {
      name: "probe",
      text: ({ device }) => `ask the vote server at ${device.host} port ${device.port}`,
      run: async (facts, { probe, report }) => {
        const { cluster, device } = facts;
        const { host, port, tls } = device;
        const probed = await probe({ host, port, cluster, tls, identity: identityOf(facts) });
        if (!probed.ok) throw new DeviceFailure("probe", probed.reason);
        report.probed();
      },
    },
    {
      name: "lock",
      text: () => "lock corosync.conf, and remember what there is",
      run: async (facts, { client, lock }, { isRepeated }) => {
        await lock.hold(isRepeated);
        const text = await readConf(client);
        const { identity, authority } = await storedFiles(client);
        return {
          ...facts,
          before: {
            text,
            identity: identity?.toBase64() ?? null,
            authority: authority?.toBase64() ?? null,
          },
          after: orFail(withDevice(text, { ...facts.device, votes: facts.device.votes })),
        };
      },
      undo: async (_facts, { lock }, { isRepeated }) => {
        if (isRepeated) await lock.hold(true);
        await lock.release();
      },
      byHand: () => "",
    },
    {
      name: "configure",
      text: ({ device }) =>
        `put the certificate into the tree, and the device ${device.host} into corosync.conf`,
      run: configure,
      undo: takeBack,
      byHand: () => "corosync.conf still has the device: remove it with `quorate qdevice remove`",
      changes: ({ before, after, identity }) =>
        before === undefined || after === undefined
          ? []
          : [
              { path: treeConfPath, before: before.text, after: after.text },
              ...(identity === undefined
                ? []
                : [
                    authorityChange(
                      before.authority,
                      pem("CERTIFICATE", Uint8Array.fromBase64(identity.authority)),
                    ),
                  ]),
            ],
    },
    unlock(),
    {
      name: "votes",
      text: () => "wait until the device votes on every node",
      run: async (facts, { client, clock, report }, { tell }) => {
        const { version, notes } = known(facts).after;
        report.configured(version, notes);
        for (const note of notes) tell(note);
        const outcome = await untilVotes(client, version, { waitMs: facts.waitMs, clock });
        const own = outcome.nodes.find(({ nodeid }) => nodeid === outcome.status.node.nodeid);
        if (own?.hasVote !== true) throw new DeviceFailure("votes", outcome.problem);
        const others = outcome.nodes.filter(({ hasVote }) => !hasVote);
        if (others.length > 0) tell(handText(others, facts.identity !== undefined).trimEnd());
      },
    },
  ],
};

async function configure(
  facts: DeviceSetupFacts,
  { client, lock }: DevicePorts,
  { isRepeated }: { readonly isRepeated: boolean },
): Promise<void> {
  const { before, after } = known(facts);
  await lock.hold(isRepeated);
  const text = await readConf(client);
  if (text === after.text) return;
  if (text !== before.text) {
    throw new CommandFailure(
      "corosync.conf was changed by somebody else meanwhile: nothing was changed; try again",
    );
  }
  // In this order every node has both when it reloads.
  if (facts.identity !== undefined) {
    const { authority, p12 } = facts.identity;
    const certificate = pem("CERTIFICATE", Uint8Array.fromBase64(authority));
    await putFiles(client, {
      identity: Uint8Array.fromBase64(p12),
      authority: new TextEncoder().encode(certificate),
    });
  }
  checkLock(lock);
  await writeConf(client, after.text);
}

async function takeBack(
  facts: DeviceSetupFacts,
  { client, lock, report }: DevicePorts,
  { isRepeated }: { readonly isRepeated: boolean },
): Promise<void> {
  const { before, after } = known(facts);
  await lock.hold(isRepeated);
  await dropDraft(client, after.text);
  const text = await readConf(client);
  const { device } = orFail(readConfFacts(text));
  if (text === after.text) {
    const { text: restored, version } = orFail(withVersionAfter(before.text, text));
    await writeConf(client, restored);
    report.restored(version);
  } else if (device?.host === facts.device.host) throw new NotRepeatable(changedByOthers);
  // Another device: the certificate is that one's now.
  else if (device !== undefined) return;
  await putFiles(client, {
    identity: before.identity === null ? undefined : Uint8Array.fromBase64(before.identity),
    authority: before.authority === null ? undefined : Uint8Array.fromBase64(before.authority),
  });
}

/** `before`: base64. The certificate itself is no text, and is not shown. */
function authorityChange(before: string | null, after: string | undefined): FileChange {
  const text = before === null ? undefined : Buffer.from(before, "base64").toString("latin1");
  return { path: `/etc/pve/${treeAuthority}`, before: text, after };
}

const removalFacts = v.object({
  /** What there was when it was asked for, for the preview. */
  seen: v.exactOptional(v.object({ text: v.string(), authority: v.nullable(base64) })),
  /** Of corosync.conf without the device. */
  version: v.exactOptional(v.number()),
});
export type DeviceRemovalFacts = v.InferOutput<typeof removalFacts>;

export const deviceRemovalPlan: Plan<DeviceRemovalFacts, Pick<DevicePorts, "client" | "lock">> = {
  kind: "qdevice-remove",
  facts: removalFacts,
  timeMsMax,
  steps: [
    {
      name: "configure",
      text: () => "lock corosync.conf, and take the device out of it",
      commits: true,
      changes: ({ seen }) =>
        seen === undefined
          ? []
          : [
              {
                path: treeConfPath,
                before: seen.text,
                after: orFail(withoutDevice(seen.text)).text,
              },
            ],
      run: async (_facts, { client, lock }, { isRepeated, isLate }) => {
        await lock.hold(isRepeated);
        const text = await readConf(client);
        const { device, version } = orFail(readConfFacts(text));
        if (device === undefined && isRepeated) return { version };
        if (isLate === true) throw new CommandFailure("it was interrupted, and its time is over");
        const edit = orFail(withoutDevice(text));
        checkLock(lock);
        await writeConf(client, edit.text);
        return { version: edit.version };
      },
      undo: async (_facts, { client, lock }, { isRepeated }) => {
        if (isRepeated) await lock.hold(true);
        if (!lock.aborted) {
          const edit = withoutDevice(await readConf(client));
          if (edit.ok) await dropDraft(client, edit.value.text);
        }
        await lock.release();
      },
    },
    {
      name: "certificate",
      text: () => "remove the certificate from the tree",
      run: async (_facts, { client, lock }, { isRepeated, tell }) => {
        await lock.hold(isRepeated);
        // An interrupted removal may go on days later.
        const { device } = orFail(readConfFacts(await readConf(client)));
        if (device !== undefined) return tell("there is a device again: its certificate stays");
        await putFiles(client, { identity: undefined, authority: undefined });
      },
      byHand: () => "remove priv/qdevice from the tree: the device is gone, and nobody needs it",
      changes: ({ seen }) =>
        seen === undefined ? [] : [authorityChange(seen.authority, undefined)],
    },
    unlock(),
  ],
};

/** For the facts and ports of either plan. */
function unlock<Facts, Ports extends Pick<DevicePorts, "lock">>(): Plan<
  Facts,
  Ports
>["steps"][number] {
  return {
    name: "unlock",
    text: () => "unlock corosync.conf",
    byHand: () => "",
    run: async (_facts, { lock }, { isRepeated }) => {
      if (isRepeated) await lock.hold(true);
      await lock.release();
    },
  };
}

/** A step after "lock". */
function known({
  before,
  after,
}: DeviceSetupFacts): Required<Pick<DeviceSetupFacts, "before" | "after">> {
  if (before === undefined || after === undefined) {
    throw new NotRepeatable("invariant broken: what was there before is not known");
  }
  return { before, after };
}

function identityOf({ identity }: DeviceSetupFacts): ClusterIdentity | undefined {
  if (identity === undefined) return undefined;
  return {
    key: Uint8Array.fromBase64(identity.key),
    certificate: Uint8Array.fromBase64(identity.certificate),
    authority: Uint8Array.fromBase64(identity.authority),
  };
}
