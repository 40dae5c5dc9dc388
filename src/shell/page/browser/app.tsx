// The frame: who is logged in, which screen, the state of the cluster above each of them.
import { useEffect, useRef, useState } from "preact/hooks";
import type { Overview } from "../../answers/ring.ts";
import type { Session } from "../../answers/session.ts";
import { failureText } from "./api.ts";
import { isSilent, staleMs, type View } from "./live.ts";
import { Login } from "./login.tsx";
import { Busy, Name, Notice, State } from "./parts.tsx";
import type { Parts, ScreenProps, Themes } from "./props.ts";
import { duration, timeText } from "./shown.ts";
import { useStore } from "./store.ts";
import { verdictOf } from "./verdict.ts";
import { title, words } from "./words.ts";
import { TaskPanel } from "./task-panel.tsx";
import { AlertsScreen } from "./screens/alerts.tsx";
import { ConfigurationScreen } from "./screens/configuration.tsx";
import { EmergencyScreen } from "./screens/emergency.tsx";
import { FilesScreen } from "./screens/files.tsx";
import { LogScreen } from "./screens/log.tsx";
import { FirstScreen } from "./screens/first.tsx";
import { JoiningScreen } from "./screens/joining.tsx";
import { ArbiterScreen } from "./screens/arbiter/arbiter.tsx";
import { RemoveScreen } from "./screens/remove/remove.tsx";
import { OverviewScreen } from "./screens/overview.tsx";
import { LinksScreen } from "./screens/links.tsx";
import { NodesScreen } from "./screens/node-details.tsx";

const screens = {
  first: FirstScreen,
  overview: OverviewScreen,
  nodes: NodesScreen,
  links: LinksScreen,
  joining: JoiningScreen,
  remove: RemoveScreen,
  arbiter: ArbiterScreen,
  log: LogScreen,
  alerts: AlertsScreen,
  configuration: ConfigurationScreen,
  files: FilesScreen,
  emergency: EmergencyScreen,
} as const;

type Shown = keyof typeof screens;

/** In the order of the menu; a standalone node has to become something first. */
function screensOf({ quorum }: Overview): readonly Shown[] {
  if (quorum.mode === "standalone") return ["first"];
  const isTroubled = !quorum.quorate || quorum.override !== "";
  const changes = ["joining", "remove", "arbiter"] as const;
  const all = [
    ...(["overview", "nodes", "links", ...changes] as const),
    ...(["log", "alerts", "configuration", "files"] as const),
  ];
  return isTroubled ? [...all, "emergency"] : all;
}

export function App({ parts }: { readonly parts: Parts }) {
  const state = useStore(parts.sessions.state);
  if (state.kind === "asking") return <Busy />;
  if (state.kind === "here") return <Frame parts={parts} session={state.session} />;
  const { isEnded, farewell, failure } = state;
  return <Login {...{ sessions: parts.sessions, isEnded, farewell, failure }} />;
}

function Frame({ parts, session }: { readonly parts: Parts; readonly session: Session }) {
  const view = useStore(parts.live.view);
  const hash = useStore(parts.hash);
  useEffect(() => {
    // Once it is seen, main.tsx starts it.
    if (!document.hidden) parts.live.start();
    return () => {
      parts.live.end();
      parts.follow.close();
    };
  }, [parts.live, parts.follow]);
  const { overview } = view;
  const offered = overview === undefined ? [] : screensOf(overview);
  // What stands behind the screen's name is the screen's.
  const [wanted] = hash.replace(/^#\//, "").split("/");
  const screen = offered.find((each) => each === wanted) ?? offered[0] ?? "overview";
  const silence = useSilence(parts, view);
  useEffect(() => {
    const name = overview?.cluster.name || session.node;
    document.title =
      overview === undefined ? title : `${silence || verdictOf(overview).word} · ${name}`;
  }, [overview, session.node, silence]);
  return (
    <>
      <a class="skip" href="#main" onClick={skipToMain}>
        {words.skip}
      </a>
      <Header {...{ parts, session, view, silence }} />
      {offered.length > 1 && <Menu screens={offered} current={screen} />}
      <main id="main" tabIndex={-1}>
        <Age parts={parts} view={view} />
        <TaskPanel parts={parts} />
        {overview === undefined ? (
          view.failure === undefined && <Busy />
        ) : (
          <div class={silence === "" ? "" : "stale"}>
            <ScreenOf {...{ parts, session, overview, screen }} />
          </div>
        )}
      </main>
    </>
  );
}

/** What stands in place of the verdict while the node is silent; "": it is not. Drawn anew only as that changes. */
function useSilence({ clock }: Parts, view: View): string {
  const { failure } = view;
  const word = failure === undefined || failure.status === 0 ? words.noAnswer : words.notRead;
  const look = (): string => (isSilent(view, clock.value) ? word : "");
  const [, draw] = useState(look);
  useEffect(() => {
    draw(look());
    return clock.subscribe(() => draw(look()));
  }, [clock, view]);
  return look();
}

/** The address is the screen's: it must not change. */
function skipToMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")?.focus();
}

function ScreenOf({ screen, ...props }: ScreenProps & { readonly screen: Shown }) {
  const Drawn = screens[screen];
  return <Drawn {...props} />;
}

function Header(props: {
  readonly parts: Parts;
  readonly session: Session;
  readonly view: View;
  readonly silence: string;
}) {
  const { parts, session, view, silence } = props;
  const { overview } = view;
  const verdict = overview && verdictOf(overview);
  return (
    <header>
      <p class="brand">
        <Name of={overview?.cluster.name || session.node} />
        {overview !== undefined && overview.cluster.name !== "" && (
          <span class="soft">
            {" "}
            {words.node} <Name of={session.node} />
          </span>
        )}
      </p>
      {verdict !== undefined && (
        <p role="status">
          {silence === "" ? (
            <>
              <State mood={verdict.mood}>{verdict.word}</State>{" "}
              <span class="soft" title={view.isLive ? words.liveHint : words.notLiveHint}>
                {view.isLive ? words.live : words.notLive}
              </span>
            </>
          ) : (
            <>
              <State mood="warn">{silence}</State>{" "}
              <span class="soft">{words.lastRead(timeText(view.readAt, parts.clock.value))}</span>
            </>
          )}
        </p>
      )}
      <ThemeChoice themes={parts.themes} />
      <p>
        <span class="soft">
          <Name of={session.user} />
        </span>{" "}
        <button type="button" onClick={() => void parts.sessions.logOut()}>
          {words.logOut}
        </button>
      </p>
    </header>
  );
}

function ThemeChoice({ themes }: { readonly themes: Themes }) {
  const theme = useStore(themes.theme);
  const all = ["auto", "light", "dark"] as const;
  return (
    <label class="soft">
      {words.theme}{" "}
      <select
        value={theme}
        onChange={({ currentTarget }) =>
          themes.choose(all.find((each) => each === currentTarget.value) ?? "auto")
        }
      >
        {all.map((each) => (
          <option key={each} value={each}>
            {words.themes[each]}
          </option>
        ))}
      </select>
    </label>
  );
}

function Menu(props: { readonly screens: readonly Shown[]; readonly current: Shown }) {
  const current = useRef<HTMLAnchorElement>(null);
  // On a narrow screen the menu is one line, which may have been scrolled.
  useEffect(() => {
    current.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [props.current]);
  return (
    <nav aria-label={words.menu}>
      <ul>
        {props.screens.map((screen) => (
          <li key={screen}>
            <a
              href={`#/${screen}`}
              ref={screen === props.current ? current : null}
              aria-current={screen === props.current ? "page" : undefined}
            >
              {words.screens[screen]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

/** What is shown is old, or could not be read at all. */
function Age({ parts, view }: { readonly parts: Parts; readonly view: View }) {
  const now = useStore(parts.clock);
  const { overview, readAt, failure } = view;
  if (overview !== undefined && now - readAt < staleMs) return null;
  if (overview === undefined && failure === undefined) return null;
  const reason =
    failure === undefined ? "" : failure.status === 403 ? words.noRight : failureText(failure);
  const age = overview === undefined ? "" : words.stale(duration(now - readAt));
  return (
    <Notice mood="warn" isAlert>
      {[age, reason].filter((each) => each !== "").join(". ")}
    </Notice>
  );
}
