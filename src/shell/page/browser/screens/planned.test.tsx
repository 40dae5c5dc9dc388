// A change of votes on the page: what was shown is what is sent, an old plan is dropped, and nothing but quorum is shown as done well.
import { expect, test } from "bun:test";
import { renderToString } from "preact-render-to-string";
import { deviceFacts, overviewOf } from "../../../../../test/double/overviews.ts";
import { Api } from "../api.ts";
import { Outcome, overrideEffect } from "./emergency.tsx";
import { basisOf, PlannedChange } from "./planned.ts";

/** A node that answers as wanted; `sent`: bodies in order. */
function node(isQuorate: (body: Readonly<Record<string, unknown>>) => boolean = () => true) {
  const sent: Readonly<Record<string, unknown>>[] = [];
  let answers = 0;
  const api = new Api({
    fetch: async (_, { body }) => {
      const given = JSON.parse(String(body)) as Readonly<Record<string, unknown>>;
      sent.push(given);
      const isChanged = given["dry-run"] !== true;
      const data = { isChanged, notes: [`note ${sent.length}`], isQuorate: isQuorate(given) };
      return Response.json({ data });
    },
    onUnknown: () => undefined,
  });
  const plan = new PlannedChange({
    ...{ api, method: "PUT", path: "/api/v1/expected" },
    onAnswer: () => void (answers += 1),
  });
  const drawn = () => renderToString(<Outcome state={plan.state.value} />);
  return { plan, sent, drawn, answers: () => answers };
}

const one = overviewOf([1, 2, 3, 4, 5], [2, 3, 4, 5]);
const two = overviewOf([1, 2, 3, 4, 5], [3, 4, 5]);

test("what was shown is sent, once", async () => {
  const { plan, sent, drawn, answers } = node();
  await plan.send();
  expect(sent).toEqual([]);
  await plan.ask({ votes: 1 }, basisOf(one));
  plan.see(basisOf(one));
  expect(drawn()).toContain("notice warn");
  await Promise.all([plan.send(), plan.send()]);
  await plan.send();
  expect(sent).toEqual([{ votes: 1, "dry-run": true }, { votes: 1 }]);
  expect(drawn()).toContain("notice good");
  expect(drawn()).toContain("note 2");
  expect(answers()).toBe(2);
  // The override itself changes the votes: that is no reason to say anything.
  plan.see(basisOf(two));
  expect(drawn()).toContain("note 2");
});

test("a plan for other votes or nodes is dropped, says so, and is not carried out", async () => {
  const { plan, sent, drawn } = node();
  await plan.ask({ votes: 1 }, basisOf(one));
  plan.see(basisOf(two));
  expect(plan.state.value).toMatchObject({ shown: undefined, isOutdated: true });
  expect(drawn()).toContain("The cluster has changed since that was shown");
  await plan.send();
  // It does not come back with the state that it was made for.
  plan.see(basisOf(one));
  expect(plan.state.value.shown).toBeUndefined();
  expect(sent).toHaveLength(1);
  await plan.ask({ votes: 2 }, basisOf(two));
  expect(drawn()).toContain("note 2");
  await plan.send();
  expect(sent.at(-1)).toEqual({ votes: 2 });
});

test("a plan is not dropped while it is carried out", async () => {
  const { plan, drawn } = node();
  await plan.ask({ votes: 1 }, basisOf(one));
  const sending = plan.send();
  plan.see(basisOf(two));
  await sending;
  expect(drawn()).toContain("notice good");
});

test("what is not quorate is never shown as done well", async () => {
  const { plan, drawn } = node(({ "dry-run": isDry }) => isDry === true);
  await plan.ask({ votes: 1 }, basisOf(one));
  await plan.send();
  expect(drawn()).toContain("notice bad");
  expect(drawn()).not.toContain("✓");
  await plan.ask({ votes: 1 }, basisOf(one));
  expect(drawn()).toContain("note 3");
  const never = node(() => false);
  await never.plan.ask({ votes: 1 }, basisOf(one));
  expect(never.drawn()).toContain("notice bad");
});

test("what else changes in the cluster leaves a plan alone", () => {
  expect(basisOf({ ...one, at: one.at + 5000, links: [] } as typeof one)).toBe(basisOf(one));
  const { quorum } = one;
  expect(basisOf({ ...one, quorum: { ...quorum, deviceVotes: 1 } })).not.toBe(basisOf(one));
  expect(basisOf({ ...one, quorum: { ...quorum, members: [1, 2] } })).not.toBe(basisOf(one));
});

test("the override is promised only where it brings quorum", () => {
  const base = overviewOf([1, 2, 3], [2, 3]);
  expect(overrideEffect(base)).toContain("may change things at once");
  const away = (deviceVotes: number, flags: string[] = []) => ({
    ...base,
    device: deviceFacts,
    quorum: {
      ...base.quorum,
      ...{
        deviceVotes,
        flags,
        voters: base.quorum.voters.map((voter) => ({ ...voter, flags: 16 })),
      },
    },
  });
  expect(overrideEffect(away(2))).toContain("its 2 votes are expected all the same");
  expect(overrideEffect(away(1))).toContain("its vote is expected all the same");
  expect(overrideEffect(away(0, ["WaitForAll"]))).toContain("may change things at once");
});
