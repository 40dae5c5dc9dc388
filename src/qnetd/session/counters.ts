// What the vote server counts of its connections, for its status and metrics.

export interface ServerCounters {
  /** Connections that were accepted, refused by a limit, and closed to make room for others. */
  accepted: number;
  refused: number;
  evicted: number;
  /** Whole messages, undecodable ones included; and those that were answered with an error. */
  messages: number;
  faults: number;
  /** Votes in messages of any kind. */
  votes: number;
}

export function newCounters(): ServerCounters {
  return { accepted: 0, refused: 0, evicted: 0, messages: 0, faults: 0, votes: 0 };
}
