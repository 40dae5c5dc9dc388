// One node as votequorum knows it, for whoever looks at votes.

export interface VoterView {
  readonly nodeid: number;
  readonly votes: number;
  readonly expectedVotes: number;
  readonly state: "member" | "dead" | "leaving";
  /** votequorum's flag bits as last received (services.md §1.6). */
  readonly flags: number;
}
