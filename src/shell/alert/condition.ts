// What an alert is about: kinds, and names that are the same on every node, so that what two nodes see is one alert. Pure.

/** The gravest first. */
export const alertKinds = ["quorum", "tree", "node", "arbiter", "link", "certificate"] as const;
export const channelNames = ["webhook", "mail"] as const;
export type ChannelName = (typeof channelNames)[number];

export type AlertKind = (typeof alertKinds)[number];

/** Something that ought not to be, as one node sees it. */
export interface Condition {
  /** As made below. */
  readonly id: string;
  /** Since when, Unix milliseconds; undefined: since it is seen. */
  readonly since?: number;
  /** A sentence. */
  readonly state: string;
}

export const stateCharactersMax = 240;
const fileCharactersMax = 48;

/** Makers of names. Nodeids are from 1 to 2^32 - 1; `node` 0 is the cluster. */
export const conditionIds = {
  /** A part without quorum, by one of its nodes. */
  quorum: (node: number) => `quorum/${node}`,
  arbiter: "arbiter",
  node: (node: number) => `node/${node}`,
  /** Both ends see it, and it is one. */
  link: (a: number, b: number, link: number) => `link/${Math.min(a, b)}-${Math.max(a, b)}/${link}`,
  /** Of so many nodes that it is the network. */
  network: (link: number) => `network/${link}`,
  certificate: (node: number, file: string) =>
    `certificate/${node}/${file.replace(/[^\w.-]/g, "_").slice(0, fileCharactersMax)}`,
  /** The tree was another when it was compared. */
  tree: (node: number) => `tree/${node}`,
  /** A tree that lost is kept there. */
  kept: (node: number) => `kept/${node}`,
} as const;

const idPattern =
  /^(?:arbiter|(?:quorum|node|tree|kept)\/(\d{1,10})|link\/(\d{1,10})-(\d{1,10})\/([0-7])|network\/([0-7])|certificate\/(\d{1,10})\/[\w.-]{1,48})$/;

export interface ConditionName {
  readonly kind: AlertKind;
  /** Who alone can see it: a node, or the two ends of a link; none: any member. */
  readonly nodes: readonly number[];
  readonly link: number | undefined;
}

const kindsByWord: Readonly<Record<string, AlertKind>> = {
  ...{ quorum: "quorum", arbiter: "arbiter", node: "node", tree: "tree", kept: "tree" },
  ...{ link: "link", network: "link", certificate: "certificate" },
};

/** Undefined: no name of ours, whatever it is. */
export function nameOf(id: string): ConditionName | undefined {
  const match = id.length > 100 ? null : idPattern.exec(id);
  const word = id.split("/", 1)[0] ?? "";
  const kind = kindsByWord[word];
  if (match === null || kind === undefined) return undefined;
  const [, node, a, b, link, network, owner] = match;
  const nodes = [node, a, b, owner].flatMap((each) => (each === undefined ? [] : [Number(each)]));
  const number = link ?? network;
  return {
    kind,
    nodes: nodes.filter((each) => each !== 0),
    link: number === undefined ? undefined : Number(number),
  };
}

export function kindOf(id: string): AlertKind {
  return nameOf(id)?.kind ?? "quorum";
}

/** How grave, 0 the gravest. */
export function graveness(id: string): number {
  return alertKinds.indexOf(kindOf(id));
}
