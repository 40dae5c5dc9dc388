// How far a node is that changes from standalone to member, or back.

export type ChangeoverState =
  | { readonly kind: "none" }
  /** Becomes a member at the next start. */
  | { readonly kind: "ordered" }
  /** Is a member, not yet for good. */
  | { readonly kind: "onTrial" }
  /** Is standalone again, or will be after the next start (`isDone` false). */
  | { readonly kind: "back"; readonly reason: string; readonly isDone: boolean };
