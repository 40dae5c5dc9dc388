// The screens as they are drawn, without a browser: what they say of a cluster, and that names of strangers are text and nothing else.
import { expect, test } from "bun:test";
import type { ComponentType } from "preact";
import { renderToString } from "preact-render-to-string";
import {
  deviceFacts,
  linkFacts,
  overviewOf,
  strangersNames,
} from "../../../../../test/double/overviews.ts";
import { type Overview, overviewAnswer } from "../../../answers/ring.ts";
import { Api } from "../api.ts";
import { App } from "../app.tsx";
import { Charts, clusterCharts, linkCharts } from "../chart/history.tsx";
import { Plan } from "../change-form.tsx";
import { Follow } from "../follow.ts";
import { Live, type View } from "../live.ts";
import type { Parts, ScreenProps } from "../props.ts";
import { Sessions } from "../session.ts";
import type { Entry } from "../timeline.ts";
import { Store } from "../store.ts";
import { LinkChanges } from "./link-changes.tsx";
import { LinksScreen, Matrix } from "./links.tsx";
import { lacksOf, NodeCard, NodesScreen } from "./node-details.tsx";
import { Name } from "../parts.tsx";
import { TaskPanel } from "../task-panel.tsx";
import { shownText } from "../shown.ts";
import { Groups } from "./configuration.tsx";
import { EmergencyScreen } from "./emergency.tsx";
import { Folder, Lines } from "./files.tsx";
import { FirstScreen } from "./first.tsx";
import { Checked, Says } from "./join.tsx";
import { Qr, TokenTable } from "./joining.tsx";
import { Timeline } from "./log.tsx";
import { words } from "../words.ts";
import { OverviewScreen } from "./overview.tsx";

function partsOf(): Parts {
  const api = new Api({
    fetch: () => Promise.reject(new Error("a test has no network")),
    onUnknown: () => undefined,
  });
  const never = () => () => undefined;
  return {
    api,
    sessions: new Sessions(api, { now: () => 0, every: never }),
    live: new Live({ api, now: () => 0, after: never, openEvents: () => ({ close: never }) }),
    follow: new Follow({ api, now: () => 0, after: never, onEnd: () => undefined }),
    clock: new Store(0),
    hash: new Store(""),
    themes: { theme: new Store("auto"), choose: () => undefined },
  };
}

const session = {
  ...{ user: "root@pam", csrfToken: "x", capabilities: {}, node: "pve1", cluster: "prod" },
};

function drawn(Screen: ComponentType<ScreenProps>, overview: ScreenProps["overview"]): string {
  return renderToString(<Screen parts={partsOf()} session={session} overview={overview} />);
}

/** What a reader sees, without tags. */
function text(html: string): string {
  return html
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}

test("the overview: the sentence, each vote by name and state, the arbiter apart", () => {
  const html = drawn(OverviewScreen, overviewOf([1, 2, 3], [3], { device: deviceFacts }));
  expect(text(html)).toContain("Quorate: 2 of 3 votes, 2 needed. No further node may fail.");
  expect(html.match(/<li class="present"/g)).toHaveLength(2);
  expect(html.match(/<li class="absent"/g)).toHaveLength(2);
  expect(html.split('<ul class="apart"')[1]).toContain("arbiter");
  expect(text(html)).toContain("Nodes: 2 of 3 online");
  expect(text(html)).toContain("✓ all that answer run it");
  expect(text(drawn(OverviewScreen, overviewOf([1, 2, 3])))).toContain("✓ all nodes run it");
  expect(text(html)).toContain("0.88 ms · 0 % lost");
});

test("a standalone node has neither votes nor nodes to show", () => {
  const { quorum, ...rest } = overviewOf([1]);
  const html = drawn(OverviewScreen, { ...rest, quorum: { ...quorum, mode: "standalone" } });
  expect(text(html)).toContain("Standalone: this node is in no cluster");
  expect(html).not.toContain("<table");
});

test("links: this node's at once, the others' once they have answered, none of who is away", () => {
  const seen = text(drawn(LinksScreen, overviewOf([1, 2, 3], [3])));
  expect(seen).toContain("Link 0 ✓ connected 0.88 ms · 0 % lost MTU 1500 up 98 s ago");
  expect(seen).toContain("pve3 not a member: it is not asked");
  const links = [linkFacts(2, 0, { connected: false, faults: ["link 0 to pve2 is down: look"] })];
  expect(text(drawn(LinksScreen, overviewOf([1, 2], [], { links })))).toContain(
    "Faults ! link 0 to pve2 is down: look",
  );
});

test("nodes: what each is, what only it can tell, and what it lacks", () => {
  const overview = overviewOf([1, 2, 3], [3]);
  const [, second, third] = overview.nodes;
  const props = { parts: partsOf(), session, overview };
  const seen = text(drawn(NodesScreen, overview));
  expect(seen).toMatch(/pve1 \( ?this node ?\) ✓ online/);
  expect(seen).toContain("Runs for 3 h, since ");
  expect(seen).toContain("pve-root-ca.pem ✓ until 20");
  expect(seen).toContain("It lacks nothing");
  // It has not answered yet; it is not asked.
  expect(seen).toMatch(
    /pve2 ✓ online .*Reading … .*pve3 ✗ offline .*not a member: it is not asked/,
  );
  const certificates = [{ file: "nodes/pve2/pve-ssl.pem", daysLeft: -2 }];
  const data = {
    ...{ ...overview, node: "pve2", version: "1.1.0", certificates },
    ...{ warnings: ["its clock is wrong"], tree: { isWritable: false, reason: "no space" } },
  };
  const node = { ...second!, configVersion: 2, votes: 2 };
  const view = { ok: true, data } as const;
  const card = text(renderToString(<NodeCard {...props} node={node} view={view} />));
  expect(card).toContain("Votes 2 (1 now) Link 0 10.0.0.2 ✓ connected 0.88 ms · 0 % lost Link 1");
  expect(card).toContain("Version 1.1.0");
  expect(card).toContain("nodes/pve2/pve-ssl.pem ✗ expired on 20");
  expect(lacksOf({ ...props, node, view })).toEqual([
    ...[
      "It runs version 2 of corosync.conf, this node version 3",
      "Its tree cannot be changed: no space",
      "its clock is wrong",
    ],
  ]);
  expect(lacksOf({ ...props, node: third!, view: undefined })).toEqual([]);
});

test("nodes and links are changed by root alone, and only with quorum", () => {
  const cut = overviewOf([1, 2, 3], [2, 3]);
  const ann = { ...session, user: "ann@pve" };
  for (const Screen of [NodesScreen, LinkChanges]) {
    expect(drawn(Screen, overviewOf([1, 2, 3]))).toContain("<button");
    expect(drawn(Screen, cut)).not.toContain("<button");
    const hers = <Screen parts={partsOf()} session={ann} overview={overviewOf([1, 2, 3])} />;
    expect(renderToString(hers)).not.toContain("<button");
  }
  const changes = text(drawn(LinkChanges, overviewOf([1, 2, 3])));
  expect(changes).toContain("Add a link Priority of link 0 Priority of link 1 Remove link 0");
  const nodes = overviewOf([1, 2]).nodes.map((node) => ({ ...node, addresses: ["10.0.0.1"] }));
  // The last link stays.
  expect(text(drawn(LinkChanges, overviewOf([1, 2], [], { nodes })))).not.toContain("Remove");
});

/** What else shows names, once it has been read. */
function pieces(name: string): readonly string[] {
  const parts = partsOf();
  const stat = { type: "file", mode: "0640", size: 1, mtime: 1, version: 1 } as const;
  const folder = {
    ...stat,
    ...{ type: "directory" as const, path: "", generated: false },
    entries: [{ ...stat, name, target: name, generated: false }],
  };
  const shown = shownText(name);
  const tokens = [{ id: "a", createdAt: 1, expiresAt: 2, by: shown, node: shown, usedAt: 1 }];
  const entry: Entry = {
    ...{ key: "1", kind: "task" as const, at: 1, node: shown, mood: "bad" as const },
    ...{ by: shown, text: shown, upid: shown },
  };
  const information = {
    kind: "information" as const,
    ...{ cluster: shown, hosts: [shown], fingerprint: shown, links: {} },
  };
  const report = { cluster: shown, links: { 0: shown }, effect: shown, notes: [shown] };
  const conf = `totem {\n  cluster_name: ${name.replace(/\n/g, " ")}\n}\n`;
  const nowhere = () => undefined;
  return [
    renderToString(<Folder folder={folder} path="" now={0} go={nowhere} />),
    renderToString(
      <TokenTable tokens={{ ok: true, data: tokens }} now={0} revoke={async () => undefined} />,
    ),
    renderToString(<Timeline entries={[entry]} now={0} parts={parts} />),
    renderToString(<Says of={information} />),
    renderToString(<Checked report={{ ...report, before: shown, after: `${shown}x` }} />),
    renderToString(<Plan plan={{ ...plan, steps: [shown], notes: [shown], plan: shown }} />),
    renderToString(<TaskPanel parts={followingParts(shown)} />),
    renderToString(<Groups text={conf} />) + renderToString(<Name of={name} />),
    renderToString(<Lines file={{ encoding: "text", content: shown }} />) +
      renderToString(<Name of={name} />),
  ];
}

const plan = {
  ...{ isDone: false, plan: "", steps: [], notes: [] },
  changes: [{ path: "/etc/pve/corosync.conf", before: "a", after: "b" }],
};

/** With a task that says this. */
function followingParts(shown: string): Parts {
  const parts = partsOf();
  const lines = [shown, shown];
  parts.follow.task.set({
    ...{ title: shown, farewell: shown, node: shown, upid: shown, lines, end: shown, silence: "" },
    ...{ steps: [shown, "another"], seenAt: [0, 1] },
  });
  return parts;
}

/** The whole page of a user of this name, on a node of this name. */
function page(overview: Overview, screen: string, name: string): string {
  const parts = followingParts(shownText(name));
  const shown = shownText(name);
  const whose = { ...session, user: shown, node: shown, cluster: shown };
  parts.sessions.state.set({ kind: "here", session: whose });
  parts.live.view.set({ overview, readAt: 0, failure: undefined, askedFrom: 0, isLive: true });
  parts.hash.set(`#/${screen}`);
  return renderToString(<App parts={parts} />);
}

/** What other nodes say, and how it was, on the screens of nodes and links. */
function answered(overview: Overview): readonly string[] {
  const { nodes, links } = overview;
  const views = new Map(nodes.map(({ nodeid }) => [nodeid, { ok: true, data: links } as const]));
  const points = { min: [1], mean: [2], max: [3] };
  const names = ["votes", "members", "link/2/0/loss", "link/2/0/latencyUs"];
  const series = Object.fromEntries(names.map((each) => [each, points]));
  const history = { stepS: 60, fromS: 1_700_000_000, series };
  const props = { parts: partsOf(), session, overview };
  return [
    renderToString(<Matrix nodes={nodes} views={views} show={() => undefined} />),
    ...nodes.map((node) =>
      renderToString(<NodeCard {...props} node={node} view={{ ok: true, data: overview }} />),
    ),
    renderToString(
      <>
        <Charts history={history} specs={clusterCharts(history)} />
        <Charts history={history} specs={linkCharts(history, 2)} />
        <Name of={overview.cluster.name} />
      </>,
    ),
  ];
}

/** As it comes from the node. */
async function received(overview: Overview): Promise<Overview> {
  const api = new Api({
    fetch: async () => Response.json({ data: overview }),
    onUnknown: () => undefined,
  });
  const answer = await api.get(overviewAnswer, "/api/v1/overview");
  if (!answer.ok) throw new Error(answer.reason);
  return answer.data;
}

test.each(strangersNames)("a stranger's name is text on every screen: %j", async (name) => {
  const base = overviewOf([1, 2, 3], [], {
    cluster: { name, configVersion: 3, encrypted: true },
    warnings: [name],
    certificates: [{ file: name, daysLeft: 1 }],
    device: { ...deviceFacts, host: name, problem: name },
  });
  const nodes = base.nodes.map((node) => ({ ...node, name, fault: name, addresses: [name] }));
  const links = base.links.map((link) => ({ ...link, faults: [name] }));
  const overview = await received({ ...base, nodes, links });
  const known =
    /^<\/?(?:a|bdi|button|code|dd|details|div|dl|dt|figcaption|figure|form|h1|h2|h3|header|input|label|li|main|nav|ol|option|p|path|pre|section|select|span|strong|summary|svg|table|tbody|td|th|thead|time|tr|ul)[ >/]/;
  const [longestWord = ""] = (name.match(/[a-zä]+/g) ?? []).toSorted((a, b) => b.length - a.length);
  const { quorum } = overview;
  const alone = { ...overview, quorum: { ...quorum, mode: "standalone" as const } };
  const cut = { ...overview, quorum: { ...quorum, quorate: false, override: shownText(name) } };
  for (const html of [
    drawn(OverviewScreen, overview),
    drawn(LinksScreen, overview),
    drawn(FirstScreen, alone),
    drawn(EmergencyScreen, cut),
    ...["overview", "nodes", "links"].map((screen) => page(overview, screen, name)),
    ...answered(overview),
    ...pieces(name),
  ]) {
    for (const [tag] of html.matchAll(/<[^>]*>/g)) expect(tag).toMatch(known);
    for (const steering of ["\u202e", "\u2066", "\u202c", "\0", "\u001b"]) {
      expect(html).not.toContain(steering);
    }
    expect(html).not.toMatch(/<(?:script|img|b)\b/);
    // No mark is painted over other lines, and nothing in an attribute is more than text.
    expect(html).not.toMatch(/\p{M}{5}/u);
    expect(html).not.toMatch(/<[^>]* (?:on\w+|srcdoc|formaction)=/);
    // It is there all the same.
    expect(html).toContain(longestWord);
  }
});

test("a standalone node can be made a first or a further member, by root alone", () => {
  const { quorum, ...rest } = overviewOf([1]);
  const overview = { ...rest, quorum: { ...quorum, mode: "standalone" as const } };
  const html = drawn(FirstScreen, overview);
  expect(text(html)).toContain("pve1: what shall it be?");
  expect(html.match(/<button/g)).toHaveLength(2);
  const parts = partsOf();
  const ann = { ...session, user: "ann@pve" };
  const hers = renderToString(<FirstScreen parts={parts} session={ann} overview={overview} />);
  expect(hers).not.toContain("<button");
  expect(text(hers)).toContain("This is for root@pam alone.");
});

test("without quorum: who is missing, and the options in the order of safety", () => {
  const base = overviewOf([1, 2, 3], [2, 3]);
  const links = base.links.map((link) => ({
    ...link,
    changes: [{ agoMs: 300_000, isUp: false, reason: "no answer" }],
  }));
  const seen = text(drawn(EmergencyScreen, { ...base, links }));
  expect(seen.match(/\d\. [A-Z][^.:]*/g)?.map((each) => each.slice(0, 14))).toEqual([
    ...["1. Wait Effect", "2. Start the m", "3. Use the arb", "4. Override th", "5. Separate th"],
  ]);
  expect(seen).toContain("pve2 – missing for 5 min");
  expect(seen).toContain("With 1 expected vote this part becomes quorate.");
  const quorum = { ...base.quorum, totalVotes: 3, flags: ["WaitForAll"] };
  const waiting = text(drawn(EmergencyScreen, { ...base, quorum }));
  expect(waiting).toContain("4. Wait for nobody any more");
  expect(waiting).not.toContain("Override the votes");
});

test("a QR code is a picture with a name, as dark and light as its text asks", () => {
  const html = renderToString(<Qr text="quoratejoin1.abc" label="The token" />);
  expect(html).toContain('role="img" aria-label="The token"');
  expect(html.match(/M\d+ \d+h1v1h-1z/g)?.length).toBeGreaterThan(150);
});

test("without a login there is a form, and nothing of the cluster", () => {
  const parts = partsOf();
  const none = { kind: "none", isEnded: true, failure: undefined } as const;
  parts.sessions.state.set({ ...none, farewell: "" });
  const html = renderToString(<App parts={parts} />);
  expect(text(html)).toContain("The session has ended: log in again.");
  expect(html).toContain('type="password"');
  expect(html).not.toContain("<nav");
  parts.sessions.state.set({ ...none, farewell: words.loginJoining("prod") });
  const joining = text(renderToString(<App parts={parts} />));
  expect(joining).toContain("This node is joining prod, or has joined it: log in as on its other");
  expect(joining).not.toContain("The session has ended");
});

test("what is old or could not be read is said", () => {
  const parts = partsOf();
  parts.sessions.state.set({ kind: "here", session });
  const failure = { ok: false, status: 403, reason: "no", hint: "", errors: {} } as const;
  const view = { overview: undefined, readAt: 0, failure, askedFrom: 0, isLive: false };
  parts.live.view.set(view);
  expect(text(renderToString(<App parts={parts} />))).toContain(
    "You may not see this: it needs the privilege Sys.Audit on /",
  );
  parts.live.view.set({ ...view, overview: overviewOf([1, 2, 3]) });
  parts.clock.set(16_000);
  expect(text(renderToString(<App parts={parts} />))).toContain("What you see is 16 s old.");
  parts.clock.set(14_000);
  expect(text(renderToString(<App parts={parts} />))).not.toContain("old.");
});

test("a silent node: in place of the verdict there is no answer, and the screen is dimmed", () => {
  const parts = partsOf();
  parts.sessions.state.set({ kind: "here", session });
  const overview = overviewOf([1, 2, 3]);
  const view = { overview, readAt: 0, failure: undefined, askedFrom: 0, isLive: false };
  const at = (now: number, more: Partial<View>): string => {
    parts.clock.set(now);
    parts.live.view.set({ ...view, ...more });
    return renderToString(<App parts={parts} />);
  };
  const gone = { ok: false, status: 0, reason: "gone", hint: "", errors: {} } as const;
  for (const html of [at(15_000, {}), at(15_000, { failure: gone, askedFrom: Infinity })]) {
    expect(text(html)).toMatch(/! No answer last read [-\d :]+ Colours/);
    expect(html).toContain('class="stale"');
  }
  expect(text(at(15_000, { failure: { ...gone, status: 500 } }))).toContain("! Not read last");
  // One reading failed; nobody looked, and whoever looks again is answered in a moment.
  const fresh = [at(14_000, { failure: gone }), at(60_000, { askedFrom: Infinity })];
  for (const html of [...fresh, at(60_000, { askedFrom: 59_000 })]) {
    expect(text(html)).toContain("✓ Quorate every 5 s");
    expect(html).not.toContain('class="stale"');
  }
});
