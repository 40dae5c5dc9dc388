// The services of a node's machine (pvecm.md §4.2): listed as systemd knows them; started, stopped and restarted is only what quorate owns, which is
// this process itself.
import * as v from "valibot";
import { success } from "../../../result.ts";
import { type UnitState, unitStates } from "../../machine/unit-states.ts";
import * as parameter from "../parameters.ts";
import { ApiError, type Caller, type Route, route } from "../route.ts";
import { mayAudit, mayModify, node, type NodeSource } from "./node-source.ts";

/** What the original lists, as far as a machine without its guests can have it, and ours. */
const serviceNames = [
  "chrony",
  "corosync",
  "cron",
  "ksmtuned",
  "lxcfs",
  "postfix",
  "proxmox-firewall",
  "pve-cluster",
  "pve-firewall",
  "pve-ha-crm",
  "pve-ha-lrm",
  "pve-lxc-syscalld",
  "pvedaemon",
  "pvefw-logger",
  "pveproxy",
  "pvescheduler",
  "pvestatd",
  "qmeventd",
  "quorate-node",
  "quorate-qnetd",
  "spiceproxy",
  "sshd",
  "syslog",
  "systemd-journald",
  "systemd-timesyncd",
] as const;
type ServiceName = (typeof serviceNames)[number];
/** The service whose process answers here. */
const own = "quorate-node";
const ownDescription = "quorate cluster node";

const serviceSchema = v.object({
  service: v.string(),
  name: v.string(),
  desc: v.string(),
  state: v.string(),
  "active-state": v.string(),
  "unit-state": v.string(),
});
/** One of those that are listed. */
export const service = parameter.oneOf(serviceNames);
const commands = ["start", "stop", "restart", "reload"] as const;

export function serviceRoutes(source: NodeSource): readonly Route[] {
  return [
    route({
      method: "GET",
      path: "/nodes/{node}/services",
      description: "The services of the machine of a node.",
      permission: mayAudit,
      parameters: node,
      returns: v.array(serviceSchema),
      handle: async () => {
        const states = await unitStates(source.run, serviceNames);
        return serviceNames
          .filter((name) => name === own || states.has(name))
          .map((name) => serviceRow(name, states.get(name)));
      },
    }),
    route({
      method: "GET",
      path: "/nodes/{node}/services/{service}/state",
      description: "One service of the machine of a node.",
      permission: mayAudit,
      parameters: { ...node, service },
      returns: serviceSchema,
      handle: async ({ parameters: { service: name } }) =>
        serviceRow(name, (await unitStates(source.run, [name])).get(name)),
    }),
    ...commands.map((command) => commandRoute(source, command)),
  ];
}

function serviceRow(
  name: ServiceName,
  state: UnitState | undefined,
): v.InferOutput<typeof serviceSchema> {
  const isSelf = name === own && (state === undefined || state.active !== "active");
  if (isSelf) {
    // It answers, whoever has started it.
    const unit = state?.unit ?? "not-found";
    const running = { state: "running", "active-state": "active", "unit-state": unit };
    return { service: name, name, desc: ownDescription, ...running };
  }
  return {
    service: name,
    name,
    desc: state?.description || `${name}.service`,
    state: state?.state ?? "unknown",
    "active-state": state?.active ?? "unknown",
    "unit-state": state?.unit ?? "unknown",
  };
}

/** For people, and as the original calls the task. */
const words: Readonly<Record<(typeof commands)[number], { verb: string; type: string }>> = {
  start: { verb: "Starts", type: "srvstart" },
  stop: { verb: "Stops", type: "srvstop" },
  restart: { verb: "Restarts", type: "srvrestart" },
  reload: { verb: "Reloads", type: "srvreload" },
};

function commandRoute(source: NodeSource, command: (typeof commands)[number]): Route {
  const { verb, type } = words[command];
  return route({
    method: "POST",
    path: `/nodes/{node}/services/{service}/${command}`,
    description: `${verb} a service of quorate, and answers the UPID of the task.`,
    permission: mayModify,
    parameters: { ...node, service },
    returns: v.string(),
    handle: ({ parameters: { service: name }, caller }) => {
      refuseOthers(name, command);
      return started(source, { command, type, name }, caller);
    },
  });
}

function refuseOthers(name: ServiceName, command: (typeof commands)[number]): void {
  const said = `invalid service cmd '${name} ${command}'`;
  if (name !== own) {
    throw new ApiError(500, `${said}: quorate commands its own services only`, {
      code: "foreignService",
      hint: `on that machine: systemctl ${command} ${name}`,
    });
  }
  if (command !== "stop") return;
  throw new ApiError(500, `${said}: refusing to stop essential service!`, {
    code: "essentialService",
    hint: "on that machine: systemctl stop quorate-node",
  });
}

function started(
  { start, restart }: NodeSource,
  of: { readonly command: (typeof commands)[number]; readonly type: string; readonly name: string },
  { user }: Caller,
): string {
  const { command, type, name } = of;
  const task = start({ type, id: name, user }, async (context) => {
    if (command === "start") context.log(`${name} is running: it has answered this`);
    else {
      context.log(`${name} leaves its cluster and begins anew as the same process`);
      restart(`asked for by ${user}`);
    }
    return success(undefined);
  });
  if (task.ok) return task.value;
  throw new ApiError(503, task.reason, { code: "tooManyTasks" });
}
