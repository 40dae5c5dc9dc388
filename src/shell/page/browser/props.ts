// What the page's parts are given: who calls the node, who is logged in, what is known of the cluster.
import type { Overview } from "../../answers/ring.ts";
import type { Session } from "../../answers/session.ts";
import type { Api } from "./api.ts";
import type { Follow } from "./follow.ts";
import type { Live } from "./live.ts";
import type { Sessions } from "./session.ts";
import type { Store } from "./store.ts";

export interface Parts {
  readonly api: Api;
  readonly sessions: Sessions;
  readonly live: Live;
  /** The task that was begun here. */
  readonly follow: Follow;
  /** Milliseconds, once a second. */
  readonly clock: Store<number>;
  /** Of the address: "#/links". */
  readonly hash: Store<string>;
  readonly themes: Themes;
}

export type Theme = "auto" | "light" | "dark";

export interface Themes {
  readonly theme: Store<Theme>;
  readonly choose: (theme: Theme) => void;
}

/** What a screen is drawn from. */
export interface ScreenProps {
  readonly parts: Parts;
  readonly session: Session;
  readonly overview: Overview;
}
