// What an alert means for whoever reads it, far from the machine: what is so, the effect, the next step; and a whole message as text and as an object for
// programs. Everything in it is bounded, and one line where a line is meant. Pure.
import type { AlertNode, Item } from "./events.ts";
import { type AlertKind, kindOf, nameOf } from "./condition.ts";
import { cut } from "./ledger.ts";

/** What is known of the cluster when an alert is told. */
export interface Situation {
  readonly cluster: string;
  /** The node that tells. */
  readonly node: string;
  readonly version: string;
  /** Unix milliseconds. */
  readonly wallMs: number;
  /** Quorum in a sentence: "Quorate: 2 of 3 votes, 2 needed. No further node may fail." */
  readonly verdict: string;
  readonly members: readonly number[];
  readonly nodes: readonly AlertNode[];
}

export interface Meaning {
  readonly effect: string;
  readonly nextStep: string;
}

/** Of an alert that is open. */
export function meaningOf(id: string, situation: Situation): Meaning {
  const { kind, nodes = [] } = nameOf(id) ?? {};
  const names = nodes.map((nodeid) => nodeName(nodeid, situation));
  const [first = "that node"] = names;
  const { verdict } = situation;
  switch (kind) {
    case undefined:
    case "quorum":
      return {
        effect:
          "/etc/pve is read-only there: guests go on, but none can be started, moved or changed; with high availability the nodes may reset themselves.",
        nextStep:
          "Start the missing nodes or mend their network. `quorate status` on a node, or the screen Emergency of its page, shows what is possible, in the order of safety.",
      };
    case "node":
      return {
        effect: `${verdict} The guests of ${first} do not run, unless it is only cut off.`,
        nextStep: `Look at the power, the network and the service quorate-node of ${first}: \`systemctl status quorate-node\` there, \`quorate links\` here.`,
      };
    case "link":
      return {
        effect: "The ring goes on over another link; when that fails too, nodes are lost.",
        nextStep: `Look at cable, port and switch of that network. \`quorate links\` on ${names.join(" or ") || "a node"} says since when and why.`,
      };
    case "arbiter":
      return {
        effect: `Without its vote fewer nodes may fail. ${verdict}`,
        nextStep:
          "Look at the machine of the vote server and the way to it (TCP 5403): `quorate qdevice status` on a node, `quorate qnetd status` there.",
      };
    case "tree":
      return id.startsWith("kept/")
        ? {
            effect: `What was written on ${first} while it was apart is not in force.`,
            nextStep: `On ${first}: \`quorate fs lost list\`, then \`quorate fs lost diff NAME\`, and \`restore\` what is wanted. The alert ends a week after that, or when the file is removed from /var/lib/pve-cluster/lost.`,
          }
        : {
            effect:
              "It is the cluster's again; until then programs on that node may have read something else.",
            nextStep: `Look at the log of ${first} and of the node with the lowest id around that time, and at their disks and memory. The alert ends with the next comparison, within the hour.`,
          };
    case "certificate":
      return {
        effect: "Pages, API and joins that check it are refused when it has expired.",
        nextStep: id.includes("pve-ssl.pem")
          ? `On ${first}: \`pvecm updatecerts --force\`, and look into its log why it was not renewed.`
          : id.includes("pve-root-ca")
            ? "The cluster needs a new authority: plan it before that day."
            : `Replace the certificate that was put there by hand on ${first}, or remove it to use the cluster's.`,
      };
  }
  return kind satisfies never;
}

function nodeName(nodeid: number, { nodes }: Situation): string {
  const name = nodes.find((node) => node.nodeid === nodeid)?.name ?? "";
  return cut(name) || `node ${nodeid}`;
}

/** Of one that is over. */
function overText({ id, what, times }: Item, situation: Situation): string {
  const { nodes = [] } = nameOf(id) ?? {};
  const gone = nodes.filter((nodeid) => !situation.nodes.some((node) => node.nodeid === nodeid));
  const why = gone.length === 0 ? "" : ` (node ${gone.join(", ")} belongs to the cluster no more)`;
  return `It is over${why}: ${what}${often(times)}`;
}

function often(times: number): string {
  return times < 3 ? "" : ` It has come ${times} times within the hour or so.`;
}

/** An alert for a program. Times ISO 8601. */
export interface ToldAlert {
  /** The same for each try to tell it: who got it already knows it by this. */
  readonly key: string;
  readonly id: string;
  readonly kind: AlertKind;
  /** still: it was told before, and is so still. */
  readonly state: "open" | "still" | "over";
  readonly since: string;
  /** Null: it is open. */
  readonly until: string | null;
  readonly what: string;
  readonly effect: string;
  readonly nextStep: string;
}

export interface Message {
  readonly source: "quorate";
  readonly version: string;
  readonly cluster: string;
  /** The node that tells. */
  readonly sentBy: string;
  readonly at: string;
  /** The whole in a line, as chat services want it. */
  readonly text: string;
  readonly alerts: readonly ToldAlert[];
  /** Somebody has pressed the button: nothing is wrong. */
  readonly isTest: boolean;
}

function isoText(ms: number): string {
  return new Date(Math.min(Math.max(ms, 0), 8.64e15)).toISOString().replace(/\.\d+/, "");
}

export function messageOf(items: readonly Item[], situation: Situation): Message {
  const alerts = items.map((item): ToldAlert => {
    const isOver = item.state === "over";
    const meaning = isOver
      ? { effect: situation.verdict, nextStep: "" }
      : meaningOf(item.id, situation);
    return {
      ...{
        key: `${item.id}#${item.serial}`,
        id: item.id,
        kind: kindOf(item.id),
        state: item.state,
      },
      since: isoText(item.since),
      until: isOver ? isoText(item.until) : null,
      what: isOver ? overText(item, situation) : `${item.what}${often(item.times)}`,
      ...meaning,
    };
  });
  const [first] = alerts;
  const more = alerts.length > 1 ? ` (and ${alerts.length - 1} more)` : "";
  return framed(situation, alerts, first === undefined ? "" : `${first.what}${more}`, false);
}

export function testMessage(situation: Situation): Message {
  const text = `This is a test of the alerts, asked for on ${cut(situation.node)}: nothing is wrong.`;
  return framed(situation, [], text, true);
}

function framed(
  { version, cluster, node, wallMs }: Situation,
  alerts: readonly ToldAlert[],
  text: string,
  isTest: boolean,
): Message {
  const name = cut(cluster);
  return {
    ...{ source: "quorate", version, cluster: name, sentBy: cut(node), at: isoText(wallMs) },
    text: `${name === "" ? cut(node) : name}: ${text}`,
    ...{ alerts, isTest },
  };
}

const subjectCharactersMax = 120;

/** Of a mail, one line. */
export function subjectOf({ text, alerts, isTest }: Message): string {
  const word = isTest ? "test" : alerts.every(({ state }) => state === "over") ? "over" : "alert";
  const subject = `[quorate ${word}] ${cut(text)}`;
  return subject.length > subjectCharactersMax
    ? `${subject.slice(0, subjectCharactersMax - 1)}…`
    : subject;
}

const words = { open: "NEW", still: "STILL SO", over: "OVER" } as const;

/** Lines with \n. */
export function mailText({ text, alerts, sentBy, at, version, isTest }: Message): string {
  const parts = alerts.map(({ state, what, since, until, effect, nextStep }) =>
    [
      `${words[state]}: ${what}`,
      `  Since:     ${since}${until === null ? "" : `, until ${until}`}`,
      `  Effect:    ${effect}`,
      ...(nextStep === "" ? [] : [`  Next step: ${nextStep}`]),
    ].join("\n"),
  );
  const body = isTest ? [text] : parts;
  const end = `-- \nSent by ${sentBy} at ${at}, quorate ${version}. \`quorate alert\` on a node shows all alerts.`;
  return `${[...body, end].join("\n\n")}\n`;
}
