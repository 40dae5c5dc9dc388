// What the wizards say before anything is done: a node's removal, the arbiter, the checks of a join; and that names of strangers are text in them.
import { expect, test } from "bun:test";
import type { ComponentType } from "preact";
import { renderToString } from "preact-render-to-string";
import { deviceFacts, overviewOf, strangersNames } from "../../../../../test/double/overviews.ts";
import type { DeviceChecks } from "../../../answers/device.ts";
import type { RemovalReport } from "../../../answers/removal.ts";
import { Api } from "../api.ts";
import { Follow } from "../follow.ts";
import { Live } from "../live.ts";
import type { Parts, ScreenProps } from "../props.ts";
import { Sessions } from "../session.ts";
import { shownText } from "../shown.ts";
import { Store } from "../store.ts";
import { Steps } from "../task-panel.tsx";
import { ArbiterScreen } from "./arbiter/arbiter.tsx";
import { VoteRows } from "./arbiter/nodes.tsx";
import { Outcome } from "./arbiter/test.tsx";
import { arbiterEffect, startEffect } from "./emergency.tsx";
import { ChecksMade } from "./join.tsx";
import { LeftBehind, Meaning, Runs } from "./remove/meaning.tsx";
import { RemoveScreen } from "./remove/remove.tsx";

function partsOf(hash = ""): Parts {
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
    hash: new Store(hash),
    themes: { theme: new Store("auto"), choose: () => undefined },
  };
}

const session = {
  ...{ user: "root@pam", csrfToken: "x", capabilities: {}, node: "pve1", cluster: "prod" },
};

function drawn(
  Screen: ComponentType<ScreenProps>,
  overview: ScreenProps["overview"],
  { user = "root@pam", hash = "" } = {},
): string {
  const props = { parts: partsOf(hash), session: { ...session, user }, overview };
  return renderToString(<Screen {...props} />);
}

/** What a reader sees, without tags. */
function text(html: string): string {
  return html
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ")
    .trim();
}

const report: RemovalReport = {
  ...{ name: "pve3", nodeid: 3, isMember: true, isEnded: true, refusal: "" },
  before: { all: 3, needed: 2, present: 3 },
  after: { all: 2, needed: 2, present: 2 },
  notes: ["the arbiter's votes follow"],
  guests: ["nodes/pve3/lxc/101.conf"],
  files: ["nodes/pve3/pve-ssl.pem"],
  lines: ["priv/known_hosts"],
  naming: ["ha/groups.cfg"],
};
const nowhere = () => undefined;

test("a removal: who can be chosen, by root alone, and who is named in the address", () => {
  const overview = overviewOf([1, 2, 3], [3]);
  const html = drawn(RemoveScreen, overview);
  expect(html.match(/<option/g)).toHaveLength(3);
  expect(text(html)).toContain("pve2 (runs)");
  expect(text(html)).toContain("pve3 (is off or away)");
  expect(html).not.toContain('value="pve1"');
  expect(drawn(RemoveScreen, overview, { hash: "#/remove/pve3" })).toMatch(
    /<option[^>]* value="pve3"[^>]*selected|<option selected value="pve3"/,
  );
  expect(drawn(RemoveScreen, overview, { hash: "#/remove/%E0%A4%A" })).toContain("<select");
  const hers = drawn(RemoveScreen, overview, { user: "ann@pve" });
  expect(hers).not.toContain("<select");
  expect(text(hers)).toContain("This is for root@pam alone.");
});

test("a removal: votes before and after, what is left, whether it runs", () => {
  const means = text(renderToString(<Meaning report={report} />));
  expect(means).toContain("Now 3 of 3 votes, 2 needed. 1 more may be lost.");
  expect(means).toContain("Then 2 of 2 votes, 2 needed. No vote more may be lost.");
  expect(means).toContain("An even number");
  expect(means).not.toContain("would not be enough");
  const short = { ...report, after: { all: 2, needed: 2, present: 1 } };
  expect(text(renderToString(<Meaning report={short} />))).toContain("would not be enough");
  const left = text(renderToString(<LeftBehind report={report}>x</LeftBehind>));
  for (const part of ["One guest has", "lxc/101.conf", "1 file", "known_hosts", "groups.cfg names"])
    expect(left).toContain(part);
  const runs = (more: Partial<RemovalReport>) =>
    text(
      renderToString(
        <Runs {...{ report: { ...report, ...more }, asItRuns: false }} onChange={nowhere} />,
      ),
    );
  expect(runs({})).toContain("Its daemon is ended at once");
  expect(runs({ isEnded: false })).toContain("it runs on alone, without quorum");
  expect(runs({ isMember: false })).toContain("Never start it again with its old configuration.");
});

test("the arbiter: one command there and its token here, where there is none", () => {
  const html = drawn(ArbiterScreen, overviewOf([1, 2]));
  expect(text(html)).toContain("quorate qnetd invite prod");
  expect(text(html)).toContain("With 2 voting nodes an arbiter lets one more fail");
  expect(html).not.toContain('type="checkbox"');
  // One word of a shell, whatever the cluster is called.
  const cluster = { name: "`id`", configVersion: 3, encrypted: true };
  const strange = text(drawn(ArbiterScreen, overviewOf([1, 2], [], { cluster })));
  expect(strange).toContain("quorate qnetd invite '`id`'");
  // With an odd number of nodes somebody has to mean it.
  const odd = drawn(ArbiterScreen, overviewOf([1, 2, 3]));
  expect(odd).toContain('type="checkbox"');
  expect(text(odd)).toContain("3 voting nodes decide by themselves.");
  const hers = drawn(ArbiterScreen, overviewOf([1, 2]), { user: "ann@pve" });
  expect(hers).not.toContain("<form");
});

test("the arbiter: how it is, tested and removed where there is one", () => {
  const base = overviewOf([1, 2]);
  const quorum = { ...base.quorum, deviceVotes: 1 };
  const seen = text(drawn(ArbiterScreen, { ...base, quorum, device: deviceFacts }));
  for (const part of [
    ...["10.0.0.9 port 5403", "✓ Connected for 100 s, heard 2 s ago", "✓ has its vote here"],
    ...["ffsplit: of two halves one gets the vote", "on (required)", "Test now"],
    ...["Show what it would do", "the one with the lowest node id"],
  ])
    expect(seen).toContain(part);
  expect(seen).not.toContain("quorate qnetd invite");
  // One that cannot be used is there all the same.
  const broken = text(drawn(ArbiterScreen, { ...base, fault: "its certificate is damaged" }));
  expect(broken).toContain("its certificate is damaged");
  expect(broken).toContain("Take it away");
  expect(broken).not.toContain("Set the arbiter up");
});

test("the arbiter on each node: votes, does not run it, cannot say, is away", () => {
  const { nodes } = overviewOf([1, 2, 3, 4], [4]);
  const told = (node: (typeof nodes)[number]) =>
    node.nodeid === 1
      ? ({ ok: true, data: { device: deviceFacts, fault: "" } } as const)
      : node.nodeid === 2
        ? ({ ok: true, data: { device: null, fault: "" } } as const)
        : ({ ok: false, status: 501, reason: "no", hint: "", errors: {} } as const);
  const seen = text(renderToString(<VoteRows nodes={nodes} told={told} />));
  expect(seen).toContain("pve1 (this node) ✓ Connected ✓ votes 2 s ago on (required)");
  expect(seen).toContain("pve2 ✗ runs none");
  expect(seen).toContain("pve3 – does not say");
  expect(seen).toContain("pve4 ✗ not in the cluster");
  const away: typeof deviceFacts = {
    ...deviceFacts,
    ...{ state: "Connect failed", vote: null, lastEchoAgoMs: null },
  };
  const { tls } = deviceFacts;
  const rows = (device: Partial<typeof away>): string => {
    const answer = { ok: true, data: { device: { ...away, ...device }, fault: "" } } as const;
    return text(renderToString(<VoteRows nodes={nodes.slice(0, 1)} told={() => answer} />));
  };
  expect(rows({ tls: { ...tls, active: false } })).toEndWith(
    "✗ Connect failed ! awaited not connected required, not connected",
  );
  expect(rows({ state: "Connected", tls: { ...tls, mode: "on", active: false } })).toEndWith(
    "not yet on, but this connection has none",
  );
  expect(rows({ tls: { ...tls, mode: "off", active: false } })).toEndWith("not connected off");
});

const checks = [
  { name: "reach" as const, state: "good" as const, text: "pve1 answers", remedy: "" },
  { name: "guests" as const, state: "bad" as const, text: "guests", remedy: "move them" },
  { name: "link" as const, state: "skipped" as const, text: "", remedy: "" },
];

test("the checks of a join, each with its remedy", () => {
  const seen = text(renderToString(<ChecksMade found={{ checks }} />));
  expect(seen).toContain("✗ One thing stands against it");
  expect(seen).toContain("✓ good A member answers pve1 answers");
  expect(seen).toContain("No guests are here guests To do: move them");
  expect(seen).toContain("not yet looked at Packets of full size pass");
});

test("steps of a task are a list with states in words", () => {
  const steps = [
    { text: "one", state: "done", ms: 3000 },
    { text: "two", state: "failed", ms: undefined },
  ] as const;
  expect(text(renderToString(<Steps steps={steps} />))).toBe("✓ done one 3 s ✗ failed two");
});

test("without quorum: how many of the missing nodes are enough, and whether the arbiter is", () => {
  expect(startEffect(overviewOf([1, 2, 3], [2, 3]))).toContain(
    "1 more is needed; any one of them is enough.",
  );
  expect(startEffect(overviewOf([1, 2, 3, 4, 5], [2, 3, 4, 5]))).toContain("any 2 of them are");
  const { nodes, quorum } = overviewOf([1, 2, 3], [2]);
  expect(startEffect({ nodes, quorum: { ...quorum, totalVotes: 1, quorum: 4 } })).toContain(
    "would not be enough",
  );
  const two = overviewOf([1, 2], [2], { device: deviceFacts });
  expect(arbiterEffect(two)).toContain("its vote would be enough");
  const five = overviewOf([1, 2, 3, 4, 5], [2, 3, 4, 5], { device: deviceFacts });
  expect(arbiterEffect(five)).toContain("would not be enough");
  expect(arbiterEffect(overviewOf([1, 2], [2]))).toBe("");
});

test.each(strangersNames)("a stranger's name is text in every wizard: %j", (name) => {
  const shown = shownText(name);
  const base = overviewOf([1, 2, 3], [], {
    cluster: { name: shown, configVersion: 3, encrypted: true },
    device: { ...deviceFacts, host: shown, problem: shown, algorithm: shown },
  });
  const nodes = base.nodes.map((node) => ({ ...node, name: shown }));
  const overview = { ...base, nodes };
  const its = {
    ...report,
    ...{ name: shown, notes: [shown], guests: [shown], lines: [shown], naming: [shown] },
  };
  const known =
    /^<\/?(?:a|bdi|button|code|dd|details|div|dl|dt|form|h1|h2|h3|h4|input|label|li|ol|option|p|pre|section|select|span|strong|summary|table|tbody|td|textarea|th|thead|tr|ul)[ >/]/;
  const found: DeviceChecks = {
    where: shown,
    checks: [{ name: "tls", state: "bad", text: shown }],
  };
  const answer = { ok: true as const, data: found };
  for (const html of [
    drawn(RemoveScreen, overview),
    drawn(ArbiterScreen, overview),
    drawn(ArbiterScreen, { ...overview, device: null, fault: shown }),
    renderToString(<Meaning report={its} />) +
      renderToString(<LeftBehind report={its}>x</LeftBehind>),
    renderToString(<Runs report={its} asItRuns={false} onChange={nowhere} />),
    renderToString(<Outcome node={shown} answer={answer} />),
    renderToString(
      <ChecksMade found={{ checks: [{ ...checks[1]!, text: shown, remedy: shown }] }} />,
    ),
    renderToString(<Steps steps={[{ text: shown, state: "runs", ms: undefined }]} />),
  ]) {
    for (const [tag] of html.matchAll(/<[^>]*>/g)) expect(tag).toMatch(known);
    for (const steering of ["\u202e", "\u2066", "\u202c", "\0", "\u001b"])
      expect(html).not.toContain(steering);
    expect(html).not.toMatch(/<(?:script|img|b)\b/);
  }
});
