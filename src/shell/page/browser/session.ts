// Who is logged in. The ticket is in a cookie that this script cannot read; the token for changes is kept in memory alone. A session that nobody uses is
// not renewed, and ends.
import type { Api, Answer, Failure } from "./api.ts";
import {
  halfAnswer,
  type LoginChallenge,
  type Session,
  sessionAnswer,
} from "../../answers/session.ts";
import { Store } from "./store.ts";
import * as v from "valibot";

export type SessionState =
  | { readonly kind: "asking" }
  /** `isEnded`: there was one; `farewell`: why it ended, as far as that is known here. */
  | {
      readonly kind: "none";
      readonly isEnded: boolean;
      readonly farewell: string;
      readonly failure: Failure | undefined;
    }
  | { readonly kind: "here"; readonly session: Session };

const path = "/api/v1/session";
/** Tickets are good for two hours. */
const renewMs = 15 * 60_000;
/** Whoever has touched nothing for so long is not there. */
const idleMsMax = 45 * 60_000;

export interface SessionClock {
  readonly now: () => number;
  readonly every: (ms: number, run: () => void) => () => void;
}

export class Sessions {
  readonly state = new Store<SessionState>({ kind: "asking" });
  readonly #api: Api;
  readonly #clock: SessionClock;
  #usedAt: number;
  #cancelRenewal: () => void = () => undefined;

  constructor(api: Api, clock: SessionClock) {
    this.#api = api;
    this.#clock = clock;
    this.#usedAt = clock.now();
  }

  /** Is there one, from before this page was loaded? */
  async find(): Promise<void> {
    const answer = await this.#api.get(v.nullable(sessionAnswer), path);
    if (!answer.ok) this.#none(false, answer);
    else if (answer.data === null) this.#none(false);
    else this.#begin(answer.data);
  }

  /** Undefined: a session is there now. */
  async logIn(username: string, password: string): Promise<LoginChallenge | Failure | undefined> {
    return this.#loggedIn(
      await this.#api.post(v.union([sessionAnswer, halfAnswer]), path, { username, password }),
    );
  }

  /** The second step. */
  async giveCode(
    username: string,
    { challenge }: LoginChallenge,
    code: string,
  ): Promise<LoginChallenge | Failure | undefined> {
    const given = { username, challenge, code };
    return this.#loggedIn(await this.#api.post(v.union([sessionAnswer, halfAnswer]), path, given));
  }

  async logOut(): Promise<void> {
    await this.#api.call("DELETE", { schema: v.null(), path });
    this.#none(false);
  }

  /** The node does not know us any more. `farewell`: why, a sentence, or "". */
  ended(farewell = ""): void {
    if (this.state.value.kind === "here") this.#none(true, undefined, farewell);
  }

  /** Somebody moves or types. */
  used(): void {
    this.#usedAt = this.#clock.now();
  }

  #loggedIn(answer: Answer<Session | LoginChallenge>): LoginChallenge | Failure | undefined {
    if (!answer.ok) return answer;
    if ("challenge" in answer.data) return answer.data;
    this.#begin(answer.data);
    return undefined;
  }

  #begin(session: Session): void {
    this.#cancelRenewal();
    this.used();
    this.#api.csrfToken = session.csrfToken;
    this.#cancelRenewal = this.#clock.every(renewMs, () => void this.#renew());
    this.state.set({ kind: "here", session });
  }

  #none(isEnded: boolean, failure?: Failure, farewell = ""): void {
    this.#cancelRenewal();
    this.#api.csrfToken = "";
    this.state.set({ kind: "none", isEnded, farewell, failure });
  }

  async #renew(): Promise<void> {
    if (this.#clock.now() - this.#usedAt > idleMsMax) return;
    const answer = await this.#api.call("PUT", { schema: sessionAnswer, path });
    // What fails now is tried again; a 401 has ended it already.
    if (answer.ok && this.state.value.kind === "here") {
      this.#api.csrfToken = answer.data.csrfToken;
      this.state.set({ kind: "here", session: answer.data });
    }
  }
}
