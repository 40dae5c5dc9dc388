// Why something could not be planned, or begun: read aloud at once.
import { type Answer, failureText } from "../api.ts";
import { Notice } from "../parts.tsx";

export function Refusals({ of }: { readonly of: readonly (Answer<unknown> | undefined)[] }) {
  return (
    <>
      {of.map(
        (each, at) =>
          each?.ok === false && (
            <Notice key={at} mood="bad" isAlert>
              {failureText(each)}
            </Notice>
          ),
      )}
    </>
  );
}
