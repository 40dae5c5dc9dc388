// Texts that somebody has begun to change, so that another screen, or the end of a session, takes none of them. In memory alone, of one user: whoever logs in
// as another one finds nothing.
import type { treeFile } from "../../answers/tree.ts";
import type * as v from "valibot";

export interface Draft {
  /** As the file was when it was opened. */
  readonly read: v.InferOutput<typeof treeFile>;
  readonly text: string;
}

const draftsMax = 8;

export class Drafts {
  #user = "";
  readonly #drafts = new Map<string, Draft>();

  of(user: string, file: string): Draft | undefined {
    return user === this.#user ? this.#drafts.get(file) : undefined;
  }

  /** The oldest goes where there are too many. */
  keep(user: string, file: string, draft: Draft): void {
    if (user !== this.#user) this.#drafts.clear();
    this.#user = user;
    this.#drafts.delete(file);
    this.#drafts.set(file, draft);
    const [oldest] = this.#drafts.keys();
    if (this.#drafts.size > draftsMax && oldest !== undefined) this.#drafts.delete(oldest);
  }

  drop(file: string): void {
    this.#drafts.delete(file);
  }
}

/** Of this page. */
export const drafts = new Drafts();
