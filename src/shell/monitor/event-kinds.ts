// The kinds of events of a node, for whoever only names them.

export const eventKinds = ["membership", "quorum", "link", "device", "tree", "upgrade"] as const;
