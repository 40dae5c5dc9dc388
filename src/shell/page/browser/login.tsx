// Logging in, in one or two steps.
import { useEffect, useRef, useState } from "preact/hooks";
import type { LoginChallenge } from "../../answers/session.ts";
import { type Failure, failureText } from "./api.ts";
import { Field, Notice } from "./parts.tsx";
import type { Sessions } from "./session.ts";
import { title, words } from "./words.ts";

export interface LoginProps {
  readonly sessions: Sessions;
  readonly isEnded: boolean;
  /** Why it ended, a sentence; "": nobody knows. */
  readonly farewell: string;
  /** Why it is not even known whether somebody is logged in. */
  readonly failure: Failure | undefined;
}

export function Login({ sessions, isEnded, farewell, failure }: LoginProps) {
  const [user, setUser] = useState("root@pam");
  const [challenge, setChallenge] = useState<LoginChallenge>();
  const [refusal, setRefusal] = useState<Failure | undefined>(failure);
  const [isBusy, setBusy] = useState(false);
  const attempt = async (answer: Promise<LoginChallenge | Failure | undefined>): Promise<void> => {
    setBusy(true);
    setRefusal(undefined);
    const outcome = await answer;
    setBusy(false);
    if (outcome === undefined) return;
    if ("challenge" in outcome) setChallenge(outcome);
    else {
      setChallenge(undefined);
      setRefusal(outcome);
    }
  };
  return (
    <main class="login">
      <h1>{title}</h1>
      {farewell !== "" && <Notice mood="calm">{farewell}</Notice>}
      {isEnded && farewell === "" && refusal === undefined && (
        <Notice mood="calm">{words.loginEnded}</Notice>
      )}
      {refusal !== undefined && (
        <Notice mood="bad" isAlert>
          {refusal.status === 401 ? words.loginFailed : failureText(refusal)}
        </Notice>
      )}
      {challenge === undefined ? (
        <PasswordForm
          {...{ user, setUser, isBusy }}
          onGiven={(password) => void attempt(sessions.logIn(user, password))}
        />
      ) : (
        <CodeForm
          kinds={challenge.kinds}
          isBusy={isBusy}
          onGiven={(code) => void attempt(sessions.giveCode(user, challenge, code))}
          onBack={() => setChallenge(undefined)}
        />
      )}
    </main>
  );
}

interface PasswordFormProps {
  readonly user: string;
  readonly setUser: (user: string) => void;
  readonly isBusy: boolean;
  readonly onGiven: (password: string) => void;
}

function PasswordForm({ user, setUser, isBusy, onGiven }: PasswordFormProps) {
  const [password, setPassword] = useState("");
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  return (
    <form
      class="card"
      onSubmit={(event) => {
        event.preventDefault();
        if (!isBusy && password !== "") onGiven(password);
      }}
    >
      <Field label={words.user} hint={words.userHint}>
        {({ id, describedBy }) => (
          <input
            {...{ id, "aria-describedby": describedBy, value: user, name: "username" }}
            autocomplete="username"
            autocapitalize="none"
            spellcheck={false}
            maxLength={64}
            required
            onInput={({ currentTarget }) => setUser(currentTarget.value)}
          />
        )}
      </Field>
      <Field label={words.password}>
        {({ id, describedBy }) => (
          <input
            {...{ id, "aria-describedby": describedBy, value: password, name: "password" }}
            type="password"
            ref={first}
            autocomplete="current-password"
            maxLength={1024}
            required
            onInput={({ currentTarget }) => setPassword(currentTarget.value)}
          />
        )}
      </Field>
      <button class="main" type="submit" aria-disabled={isBusy}>
        {isBusy ? words.busy : words.logIn}
      </button>
    </form>
  );
}

interface CodeFormProps {
  readonly kinds: readonly string[];
  readonly isBusy: boolean;
  /** "totp:123456" */
  readonly onGiven: (code: string) => void;
  readonly onBack: () => void;
}

const codeKinds = ["totp", "recovery", "yubico"] as const;

function CodeForm({ kinds, isBusy, onGiven, onBack }: CodeFormProps) {
  const offered = codeKinds.filter((each) => kinds.length === 0 || kinds.includes(each));
  const [kind, setKind] = useState<(typeof codeKinds)[number]>(offered[0] ?? "totp");
  const [code, setCode] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), [kind]);
  return (
    <form
      class="card"
      onSubmit={(event) => {
        event.preventDefault();
        const typed = code.replace(/\s+/g, "");
        if (!isBusy && typed !== "") onGiven(`${kind}:${typed}`);
      }}
    >
      <p>{words.codeNeeded}</p>
      {offered.length > 1 && (
        <fieldset class="choice">
          <legend>{words.code}</legend>
          {offered.map((each) => (
            <label key={each}>
              <input
                type="radio"
                name="kind"
                checked={each === kind}
                onChange={() => setKind(each)}
              />
              {words.codeKinds[each]}
            </label>
          ))}
        </fieldset>
      )}
      <Field label={words.codeKinds[kind]}>
        {({ id, describedBy }) => (
          <input
            {...{ id, "aria-describedby": describedBy, value: code }}
            ref={field}
            autocomplete="one-time-code"
            inputMode={kind === "totp" ? "numeric" : "text"}
            spellcheck={false}
            maxLength={120}
            required
            onInput={({ currentTarget }) => setCode(currentTarget.value)}
          />
        )}
      </Field>
      <div class="buttons">
        <button class="main" type="submit" aria-disabled={isBusy}>
          {isBusy ? words.busy : words.logIn}
        </button>
        <button type="button" onClick={onBack}>
          {words.back}
        </button>
      </div>
    </form>
  );
}
