// The page's wizards as a person works them: a node out of the cluster, an arbiter set up, tried and taken away.
import type { LoneNode } from "../node/lone-node.ts";
import { openPage, type Watched } from "./browser.ts";
import type { LabVoteServer } from "./place.ts";
import { browserOf, check, done, go, inspect, phone, shows, wide } from "./play.ts";

const disabled = async (button: { getAttribute(name: string): Promise<string | null> }) =>
  (await button.getAttribute("aria-disabled")) === "true";

/** One that is off, with a complete clean-up, on a phone; then another key for the others. */
export async function removeNode(watched: Watched, first: LoneNode, gone: LoneNode): Promise<void> {
  const { page } = watched;
  const { name } = gone;
  await page.setViewportSize(phone);
  await first.client.mkdir(`nodes/${name}/qemu-server`).catch(() => undefined);
  await first.client.put(
    `nodes/${name}/qemu-server/100.conf`,
    new TextEncoder().encode("memory: 512\n"),
  );
  await go(page, "Remove a node");
  await page.getByLabel("Which node").selectOption(name);
  await shows(page, "2 of 3 votes, 2 needed. No vote more may be lost.");
  await shows(page, "2 of 2 votes, 2 needed. No vote more may be lost.");
  await shows(page, `nodes/${name}/qemu-server/100.conf`);
  await page.getByLabel("Clean up completely").check();
  await shows(page, /give --with-guests/);
  await page.getByLabel("The configuration of its guests, too").check();
  await shows(page, "What will be done");
  const button = page.getByRole("button", { name: `Remove ${name}` });
  check("a node is not removed unnamed", await disabled(button));
  await page.getByLabel("Type the node's name").fill("pve1");
  check("nor by another name", await disabled(button));
  await page.getByLabel("Type the node's name").fill(name);
  await inspect(watched, "remove");
  await page.setViewportSize(phone);
  await button.click();
  await shows(page, `${name} is removed.`);
  await done(page);
  const nodes = await first.client.list("nodes");
  check("what it had in the tree is gone", !nodes.some((each) => each.name === name));
  await page.getByRole("button", { name: "Show what it would do" }).click();
  await shows(page, "make a new key");
  await page.getByRole("button", { name: "Change the key on all nodes" }).click();
  await shows(page, /^All nodes use the new key/);
  await done(page);
  await inspect(watched, "removed");
  await page.setViewportSize(wide);
}

export async function setUpArbiter(
  watched: Watched,
  server: LabVoteServer,
  second: LoneNode,
): Promise<void> {
  const { page } = watched;
  await server.start();
  await go(page, "Overview");
  await page.getByRole("link", { name: "Go to Arbiter" }).click();
  await shows(page, "There is no arbiter.");
  await shows(page, "quorate qnetd invite prod");
  const token = page.getByLabel("Token of the invitation");
  await token.fill(await server.invite("other"));
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await shows(page, /the invitation is for the cluster "other"/);
  await token.fill(await server.invite("prod"));
  await page.getByRole("button", { name: "Check", exact: true }).click();
  await shows(page, /^Then the cluster has 3 votes/);
  await shows(page, /^The vote server of the invitation answers at/);
  await inspect(watched, "arbiter-set-up");
  await page.getByRole("button", { name: "Set the arbiter up" }).click();
  await done(page);
  await shows(page, "ffsplit: of two halves one gets the vote");
  await second.statusWhen(({ quorum }) => quorum.deviceVotes === 1, "the other node has the vote");
  await page.getByRole("row", { name: /^pve2 .*\bvotes\b/ }).waitFor();
  await page.getByRole("button", { name: "Test now" }).click();
  await shows(page, /^From pve1 to /);
  await shows(page, /^From pve2 to /);
  const bad = page.locator(".checks .state:not(.good)");
  check("every check of every node is good", (await bad.count()) === 0);
  await inspect(watched, "arbiter");
  await lookAtServer(watched, server);
}

/** The vote server's own page, in which nothing runs. */
async function lookAtServer({ page: inCluster }: Watched, server: LabVoteServer): Promise<void> {
  const watched = await openPage(browserOf(inCluster), server.page, wide);
  const { page } = watched;
  await shows(page, "prod");
  await inspect(watched, "vote-server");
  await page.evaluate("document.querySelector('main').replaceChildren()");
  await shows(page, "prod");
  check("it is read again by itself", true);
  await watched.close();
}

/** On a phone. */
export async function removeArbiter(watched: Watched, first: LoneNode): Promise<void> {
  const { page } = watched;
  await page.setViewportSize(phone);
  await go(page, "Arbiter");
  await page.getByRole("button", { name: "Show what it would do" }).click();
  await shows(page, /^Then the nodes have 2 votes, 2 of them needed/);
  await inspect(watched, "arbiter-remove");
  await page.setViewportSize(phone);
  await page.getByRole("button", { name: "Remove the arbiter" }).click();
  await done(page);
  await shows(page, "There is no arbiter.");
  await first.statusWhen(
    ({ quorum, device }) => device === undefined && quorum.expectedVotes === 2,
    "the arbiter's votes are gone",
  );
  check("the arbiter is gone", true);
  await page.setViewportSize(wide);
}
