// Where the page begins in the browser: its parts with the browser's clock, network and storage.
import { render } from "preact";
import { Api } from "./api.ts";
import { App } from "./app.tsx";
import { Follow } from "./follow.ts";
import { type EventSourceLike, Live, type LiveOptions } from "./live.ts";
import type { Parts, Theme } from "./props.ts";
import { Sessions } from "./session.ts";
import { Store } from "./store.ts";
import { eventKinds } from "../../monitor/event-kinds.ts";

const api = new Api({
  fetch: (url, init) => fetch(url, init),
  onUnknown: () => sessions.ended(follow.farewell),
});
const sessions = new Sessions(api, {
  now: () => Date.now(),
  every: (ms, run) => {
    const timer = setInterval(run, ms);
    return () => clearInterval(timer);
  },
});
const after = (ms: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, ms);
  return () => clearTimeout(timer);
};
const live = new Live({ api, now: () => Date.now(), after, openEvents });
const follow = new Follow({ api, now: () => Date.now(), after, onEnd: () => live.refresh() });

/** Changes of the tree are many, and no screen needs each of them. */
const kinds = eventKinds.filter((kind) => kind !== "tree");

function openEvents({
  lastId,
  onReady,
  onEvent,
  onGone,
}: Parameters<LiveOptions["openEvents"]>[0]): EventSourceLike {
  const query = new URLSearchParams({ kinds: kinds.join(",") });
  if (lastId !== undefined) query.set("last-event-id", lastId);
  const source = new EventSource(`/api/v1/events?${query.toString()}`);
  source.addEventListener("ready", onReady);
  for (const kind of kinds) {
    source.addEventListener(kind, ({ data }: MessageEvent<unknown>) => {
      if (typeof data === "string") onEvent(data);
    });
  }
  // It would come back by itself after a lost connection, but not after a refusal: so always by us.
  source.addEventListener("error", onGone);
  return source;
}

const themeKey = "theme";

function storedTheme(): Theme {
  try {
    const stored = localStorage.getItem(themeKey);
    return stored === "light" || stored === "dark" ? stored : "auto";
  } catch {
    return "auto"; // A browser that keeps nothing for pages.
  }
}

const theme = new Store<Theme>(storedTheme());

function chooseTheme(chosen: Theme): void {
  try {
    localStorage.setItem(themeKey, chosen);
  } catch {
    // As above: it holds until the page is loaded anew.
  }
  theme.set(chosen);
  applyTheme();
}

function applyTheme(): void {
  document.documentElement.dataset["theme"] = theme.value;
}

const clock = new Store(Date.now());
const hash = new Store(location.hash);
const parts: Parts = {
  ...{ api, sessions, live, follow, clock, hash },
  themes: { theme, choose: chooseTheme },
};

applyTheme();
setInterval(() => clock.set(Date.now()), 1000);
addEventListener("hashchange", () => hash.set(location.hash));
for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, () => sessions.used());
// A page that nobody sees asks for nothing, and holds no stream.
document.addEventListener("visibilitychange", () => {
  follow.seen(!document.hidden);
  if (document.hidden) live.stop();
  else if (sessions.state.value.kind === "here") live.start();
});
void sessions.find();
render(<App parts={parts} />, document.body);
