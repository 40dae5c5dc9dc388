// What each way out without quorum brings, and what it costs.

function names(count: number): string {
  return count === 1 ? "any one of them is" : `any ${count} of them are`;
}

export const effects = {
  title: "Effect:",
  wait: "none. What runs goes on, /etc/pve can be read, and nothing can be changed.",
  start: (missing: number, nodes: number) =>
    nodes === 0
      ? "all of them are here: it is the votes that are missing."
      : `${missing} more ${missing === 1 ? "is" : "are"} needed; ${names(nodes)} enough. Nothing is lost.`,
  startNever: "even all of them would not be enough.",
  arbiterHelps: (votes: number) =>
    `its ${votes === 1 ? "vote" : `${votes} votes`} would be enough. Nothing is lost: it gives them to one part only.`,
  arbiterShort: "its votes alone would not be enough.",
  waitForAll: "this part may change things at once, and start guests that run elsewhere.",
  override:
    "this part may change things at once. Whatever the missing nodes do meanwhile is lost or doubled.",
  overrideHelpless: (deviceVotes: number) =>
    deviceVotes === 0
      ? "none: the votes that are here would not be enough. What it would do is said below."
      : `none by itself: the arbiter gives no votes here, and its ${deviceVotes === 1 ? "vote is" : `${deviceVotes} votes are`} expected all the same. What helps is said with what it would do.`,
  outdated:
    "The cluster has changed since that was shown: other votes or nodes are here now. Nothing was done; ask again what it would do.",
  overrideEnds: "How it ends",
  overrideEndsText:
    "By itself: when the votes of the missing nodes return, with any change of corosync.conf, or when this node restarts. Who did it, and when, stands in the cluster log.",
  separate:
    "this node is alone for good, with a copy of the tree and its own guests; the others go on without it.",
} as const;
