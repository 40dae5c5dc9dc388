// Small pieces that every screen is made of. States have a word and a mark beside their colour.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Action, Mood } from "./verdict.ts";
import { shownName } from "./shown.ts";
import { words } from "./words.ts";

/** A name of somebody else, in its own direction. */
export function Name({ of }: { readonly of: string }) {
  return <bdi class="name">{shownName(of)}</bdi>;
}

const marks: Readonly<Record<Mood, string>> = { good: "✓", warn: "!", bad: "✗", calm: "–" };

export function State({
  mood,
  children,
}: {
  readonly mood: Mood;
  readonly children: ComponentChildren;
}) {
  return (
    <span class={`state ${mood}`}>
      <span class="mark" aria-hidden="true">
        {marks[mood]}
      </span>
      {children}
    </span>
  );
}

export function Card(props: {
  readonly title: ComponentChildren;
  readonly isWide?: boolean;
  readonly children: ComponentChildren;
}) {
  const id = useId();
  return (
    <section class={props.isWide === true ? "card wide" : "card"} aria-labelledby={id}>
      <h2 id={id}>{props.title}</h2>
      {props.children}
    </section>
  );
}

/** Something went wrong, or is good to know. `alert`: it is read aloud at once. */
export function Notice(props: {
  readonly mood: Mood;
  readonly isAlert?: boolean;
  readonly children: ComponentChildren;
}) {
  return (
    <div class={`notice ${props.mood}`} role={props.isAlert === true ? "alert" : undefined}>
      <span class="mark" aria-hidden="true">
        {marks[props.mood]}
      </span>
      <div>{props.children}</div>
    </div>
  );
}

const copiedMs = 3000;

/** Text that is to be taken elsewhere, with a button that says what became of it. */
export function CopyText({ text, label }: { readonly text: string; readonly label: string }) {
  const [outcome, setOutcome] = useState("");
  useEffect(() => {
    if (outcome === "") return undefined;
    const timer = setTimeout(() => setOutcome(""), copiedMs);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = (): void => {
    navigator.clipboard.writeText(text).then(
      () => setOutcome(words.copied),
      // A browser that does not let pages do this.
      () => setOutcome(words.notCopied),
    );
  };
  return (
    <div class="copy">
      <code tabIndex={0} role="textbox" aria-readonly="true" aria-label={label}>
        {text}
      </code>
      <button type="button" onClick={copy}>
        {words.copy}
      </button>
      <span role="status">{outcome}</span>
    </div>
  );
}

/** What to do, in one step. */
export function Do({ action }: { readonly action: Action }) {
  switch (action.kind) {
    case "go":
      return <a href={`#/${action.screen}`}>{words.do.go(words.screens[action.screen])}</a>;
    case "type":
      return (
        <>
          <span class="soft">{words.do.type}</span>
          <CopyText text={action.command} label={words.do.type} />
        </>
      );
    case "none":
      return null;
  }
  return action satisfies never;
}

export function Field(props: {
  readonly label: string;
  /** A name of somebody else, behind the label. */
  readonly of?: string;
  readonly hint?: string;
  readonly fault?: string;
  readonly children: (ids: {
    readonly id: string;
    readonly describedBy: string;
  }) => ComponentChildren;
}) {
  const id = useId();
  const describedBy = `${id}-about`;
  const { label, hint = "", fault = "" } = props;
  return (
    <div class="field">
      <label for={id}>
        {label} {props.of !== undefined && <Name of={props.of} />}
      </label>
      {props.children({ id, describedBy })}
      <p id={describedBy} class={fault === "" ? "soft" : "fault"}>
        {fault === "" ? hint : `✗ ${fault}`}
      </p>
    </div>
  );
}

/** A choice that is on or off. */
export function Check(props: {
  readonly isOn: boolean;
  readonly label: string;
  readonly hint: string;
  readonly onChange: (isOn: boolean) => void;
}) {
  const { isOn, label, hint, onChange } = props;
  return (
    <p>
      <label class="check">
        <input
          type="checkbox"
          checked={isOn}
          onChange={({ currentTarget }) => onChange(currentTarget.checked)}
        />{" "}
        {label}
      </label>
      {hint !== "" && <span class="soft"> {hint}</span>}
    </p>
  );
}

/** The screen's heading; it has the focus when the screen was chosen, so that keyboards and readers begin there. */
export function Heading({ text }: { readonly text: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus({ preventScroll: true }), [text]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {text}
    </h1>
  );
}

/** A table may be wider than the screen. */
export function TableFrame(props: {
  readonly label: string;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="frame" role="region" aria-label={props.label} tabIndex={0}>
      {props.children}
    </div>
  );
}

export function Busy() {
  return (
    <p class="soft" role="status">
      {words.loading}
    </p>
  );
}
