// A person at the page, played in a real browser at three real nodes: from empty machines to a cluster, a change of the configuration, a link that is cut, a
// node that is lost and removed, an arbiter that comes, helps and goes, and the way out without quorum. Ends with "N passed, N failed". `--screens DIR` keeps a picture of each screen.
import type { Browser } from "playwright-core";
import { reasonOf } from "../../src/result.ts";
import { pending, ready, until } from "../interop/wait.ts";
import type { LoneNode } from "../node/lone-node.ts";
import { strangersNames } from "../double/overviews.ts";
import { fits, openBrowser, openPage, type Watched } from "./browser.ts";
import { browseFiles, changeConfiguration } from "./files.ts";
import { addressOf, LabVoteServer, nodeWords, password, patientMs, threeNodes } from "./place.ts";
import { cutOff, enterSite, machines } from "./site.ts";
import { check, done, go, inspect, logIn, phone, shows, tally, wide } from "./play.ts";
import {
  harm,
  makeStrangersUser,
  renameAll,
  strangersPassword,
  strangersUser,
} from "./strangers.ts";
import { removeArbiter, removeNode, setUpArbiter } from "./wizards.ts";

async function beginCluster(browser: Browser, node: LoneNode): Promise<Watched> {
  const watched = await openPage(browser, addressOf(node), wide);
  const { page } = watched;
  await page.getByRole("button", { name: "Log in" }).waitFor();
  await inspect(watched, "login");
  await page.getByLabel("Password").fill("wrong");
  await page.keyboard.press("Enter");
  await shows(page, /^That is not right/);
  await logIn(watched);
  await shows(page, "pve1: what shall it be?");
  const buttons = await page.getByRole("main").getByRole("button").allTextContents();
  check("an empty node offers two things", buttons.length === 2, buttons.join());
  await inspect(watched, "first");
  await page.getByRole("button", { name: "Create a cluster" }).click();
  await page.getByLabel("Name of the cluster").fill("prod");
  await page.getByLabel("Address of this node, link 0").fill(node.address);
  await page.getByRole("button", { name: "Check" }).click();
  await shows(page, "What will be done");
  await inspect(watched, "create");
  await page.getByRole("button", { name: "Create prod" }).click();
  await shows(page, "Quorate: 1 of 1 vote, 1 needed. No further node may fail.");
  await done(page);
  return watched;
}

/** A token for the next machine, made and copied at the page. */
async function newToken(watched: Watched): Promise<string> {
  const { page } = watched;
  await go(page, "Join information");
  await page.getByRole("button", { name: "New token" }).click();
  const field = page.getByRole("textbox", { name: "Join token" });
  await field.waitFor();
  await page.getByRole("button", { name: "Copy" }).first().click();
  await shows(page, "Copied");
  const copied = (await page.evaluate("navigator.clipboard.readText()")) as string;
  check("what is copied is what is shown", copied === (await field.textContent()));
  return copied;
}

async function joinBy(
  browser: Browser,
  node: LoneNode,
  how: { readonly pasted: string; readonly isToken: boolean },
): Promise<void> {
  const watched = await openPage(browser, addressOf(node), wide);
  const { page } = watched;
  await logIn(watched);
  await page.getByRole("button", { name: "Join a cluster" }).click();
  await page.getByLabel("Join token, or join information").fill("quoratejoin1.damaged");
  await shows(page, /the token is cut, its end is missing/);
  await page.getByLabel("Join token, or join information").fill(how.pasted);
  await shows(page, "Members to ask");
  await page.getByText("Addresses of this node").click();
  await page.getByLabel("Address of this node, link 0").fill(node.address);
  if (how.isToken) await page.getByRole("button", { name: "Check again" }).click();
  else {
    const field = page.getByLabel("Password of root@pam on that member");
    await field.fill("wrong");
    await page.getByRole("button", { name: "Check", exact: true }).click();
    await shows(page, "One thing stands against it");
    await inspect(watched, "join-refused");
    await field.fill(password);
    await page.getByRole("button", { name: "Check again" }).click();
  }
  await shows(page, "Nothing stands against it");
  await shows(page, "Packets of full size pass");
  if (how.isToken) await inspect(watched, "join");
  await page.getByRole("button", { name: "Join prod" }).click();
  await node.statusWhen(
    ({ mode, quorum, cluster }) => mode === "cluster" && cluster.name === "prod" && quorum.quorate,
    `${node.name} is a member`,
  );
  check(`${node.name} has joined by the page`, true);
  await shows(page, /^This node is joining prod, or has joined it/);
  await watched.close();
}

async function informationOf(watched: Watched): Promise<string> {
  const { page } = watched;
  await go(page, "Join information");
  const field = page.getByRole("textbox", { name: "Join information" });
  await field.waitFor();
  return (await field.textContent()) ?? "";
}

async function lookAround(watched: Watched): Promise<void> {
  const { page } = watched;
  await go(page, "Overview");
  await shows(page, "Quorate: 3 of 3 votes, 2 needed. One more node may fail.");
  await shows(page, "Nodes: 3 of 3 online");
  // The last step of a join gives the node its vote for good.
  await page.getByText(/^the expected votes are raised/).waitFor({ state: "hidden" });
  await page.locator("figure.chart").nth(2).waitFor();
  check("votes, members and changes of the tree are drawn", true);
  await inspect(watched, "overview-one-link");
  await go(page, "Nodes");
  await page
    .getByText(/^for \d+ \w+, since /)
    .nth(2)
    .waitFor();
  check("every node tells of itself", true);
  await inspect(watched, "nodes");
  await go(page, "Links");
  // Of the others too, who are asked for theirs.
  await page.locator(".matrix .link").nth(5).waitFor();
  check("every node tells of its links", true);
  await page.getByRole("button", { name: /^Over time ?: pve2 to pve3$/ }).click();
  await page.getByRole("heading", { name: "Over time: pve2 → pve3" }).waitFor();
  await page.locator("figure.chart").nth(1).waitFor();
  await page.locator("figure.chart summary").first().click();
  await page.locator("table.points tbody tr").first().waitFor();
  check("another node's links are drawn, and a table on request", true);
  await page.getByLabel("Moment of: Latency").focus();
  await page.keyboard.press("ArrowLeft");
  await page.locator(".moment").waitFor();
  check("a moment is read by the keyboard", true);
  await inspect(watched, "links-one");
  await go(page, "Join information");
  await inspect(watched, "join-information");
  await go(page, "Log and tasks");
  await shows(page, /clustercreate/);
  await inspect(watched, "log");
}

/** A webhook that nobody answers is set, tested, and taken away. */
async function setUpAlerts(watched: Watched): Promise<void> {
  const { page } = watched;
  await go(page, "Alerts");
  await page.getByLabel("webhook", { exact: true }).fill("http://127.0.0.1:9/");
  await page.getByRole("button", { name: "Save webhook", exact: true }).click();
  await shows(page, "http://127.0.0.1:9/");
  await page.getByRole("button", { name: "Send a test" }).click();
  await shows(page, /nothing listens at that address and port/);
  await inspect(watched, "alerts");
  await page.getByRole("button", { name: "Take away webhook", exact: true }).click();
  await shows(page, /^Nobody is told/);
}

/** Votes for good, and back; each planned before it is done. */
async function changeVotes(watched: Watched, node: LoneNode): Promise<void> {
  const { page } = watched;
  for (const [votes, sum, needed] of [
    ["2", 4, 3],
    ["1", 3, 2],
  ] as const) {
    await go(page, "Nodes");
    await page.getByRole("button", { name: "Change votes of pve3" }).click();
    await page.getByLabel("Votes", { exact: true }).fill(votes);
    await page.getByRole("button", { name: "Check" }).click();
    await shows(page, `Quorum stays: the nodes have ${sum} votes then, and ${needed} are needed.`);
    if (votes === "2") await inspect(watched, "votes");
    await page.getByRole("button", { name: "Change it" }).click();
    await node.statusWhen(({ quorum }) => quorum.totalVotes === sum, `${sum} votes`);
    await shows(page, /^✓\s*done$/);
    await page.getByRole("button", { name: "Close" }).click();
  }
  check("votes are changed, and changed back", true);
  const typed = await node.run("votes", "pve3", "1");
  check("the command line sees the same", typed.out.includes("It is so already."), typed.error);
}

/** A second link at the page, then another address on it, which the first carries the ring meanwhile for. */
async function changeLinks(
  watched: Watched,
  nodes: readonly [LoneNode, LoneNode, LoneNode],
): Promise<void> {
  const { page } = watched;
  const [first] = nodes;
  const places = machines();
  const { spare } = places[2];
  await go(page, "Links");
  await page.getByRole("button", { name: "Add a link" }).click();
  for (const [at, node] of nodes.entries()) {
    await page.getByLabel(`Address of ${node.name}`).fill(places[at]?.second ?? "");
  }
  await page.getByRole("button", { name: "Check" }).click();
  await shows(page, /^add link 1 to all nodes/);
  await inspect(watched, "link-add");
  await page.getByRole("button", { name: "Change it" }).click();
  await shows(page, /^✓\s*done$/);
  await page.getByRole("button", { name: "Close" }).click();
  await page.locator(".matrix .link").nth(11).waitFor();
  await page.locator("figure.chart .legend").nth(1).waitFor();
  check("the second link is in the matrix, and a line of each chart", true);
  await page.getByRole("button", { name: "Hour" }).click();
  await page.locator("figure.chart").nth(1).waitFor();
  await inspect(watched, "links");
  await go(page, "Nodes");
  await page.getByRole("button", { name: "Change addresses of pve3" }).click();
  await page.getByLabel("Address on link 1").fill(spare);
  await page.getByRole("button", { name: "Check" }).click();
  await shows(page, /^Quorum stays: pve3 stays in the ring all the time/);
  await inspect(watched, "addresses");
  await page.getByRole("button", { name: "Change it" }).click();
  await shows(page, /^✓\s*done$/);
  await page.getByRole("button", { name: "Close" }).click();
  await page.getByText(spare).first().waitFor();
  check(
    "the new address is in corosync.conf",
    new TextDecoder()
      .decode(await first.client.read("corosync.conf"))
      .includes(`ring1_addr: ${spare}`),
  );
}

/** The ring goes on over the first link, and the page says which is down; then it is whole again. */
async function cutLink(watched: Watched): Promise<void> {
  const { page } = watched;
  const [first, second] = machines();
  await go(page, "Overview");
  await cutOff(second, [first.second]);
  await shows(page, /^link 1 to pve2 \(node 2\) at .* is down/);
  await shows(page, "Quorate: 3 of 3 votes, 2 needed. One more node may fail.");
  await go(page, "Links");
  const down = page.locator(".matrix .state.bad");
  await until(
    async () => ((await down.count()) === 2 ? ready(true) : pending(`${await down.count()}`)),
    patientMs,
    "both ends say that their link is down",
  );
  await inspect(watched, "link-down");
  await cutOff(second, []);
  await go(page, "Overview");
  await shows(page, "4 links, all connected");
  check("the link is up again", true);
  await inspect(watched, "overview");
}

/** Who has such a name, and what has such names, is shown as text, and fits: on every screen, to root too, who is shown more. */
async function meetStrangers(browser: Browser, node: LoneNode): Promise<void> {
  await makeStrangersUser(node);
  const stranger = await openPage(browser, addressOf(node), phone);
  const { page } = stranger;
  await page.getByLabel("User").fill(strangersUser);
  await page.getByLabel("Password").fill(strangersPassword);
  await page.keyboard.press("Enter");
  await page.getByText(strangersUser).waitFor();
  await lookEverywhere(stranger, strangersNames.slice(0, 1));
  await stranger.close();
  const root = await openPage(browser, addressOf(node), phone);
  await logIn(root);
  await lookEverywhere(root, strangersNames);
  await root.close();
}

async function lookEverywhere(watched: Watched, names: readonly string[]): Promise<void> {
  const { page, faults } = watched;
  const screens = page.getByRole("navigation", { name: "Screens" }).getByRole("link");
  for (const name of names) {
    await renameAll(page, name);
    await page.reload();
    await screens.first().waitFor();
    for (const screen of await screens.allInnerTexts()) {
      await go(page, screen.trim());
      if (["Overview", "Nodes", "Links"].includes(screen.trim())) {
        await page.locator("bdi").nth(5).waitFor();
      }
      const harms = await harm(page);
      const said = JSON.stringify(name).slice(0, 40);
      check(`${screen} with ${said}: text alone`, harms.length === 0, harms.join());
      check(`${screen} with ${said}: it fits`, await fits(page));
    }
  }
  await renameAll(page, "");
  check("strangers: no error, no request to elsewhere", faults.length === 0, faults.join("\n"));
}

async function loseNode(watched: Watched, third: LoneNode): Promise<void> {
  const { page } = watched;
  await go(page, "Overview");
  third.signal("SIGKILL");
  await shows(page, "Quorate: 2 of 3 votes, 2 needed. No further node may fail.");
  await shows(page, /^pve3 is not in the cluster/);
  await inspect(watched, "node-lost");
}

/** With the arbiter one half goes on; without it and the other node nobody does, until it comes back. */
async function leanOnArbiter(
  watched: Watched,
  second: LoneNode,
  server: LabVoteServer,
): Promise<void> {
  const { page } = watched;
  await go(page, "Overview");
  second.signal("SIGKILL");
  await shows(page, "Quorate: 2 of 3 votes, 2 needed. No further node may fail.");
  await server.stop();
  await shows(page, /^Not quorate: 1 of 3 votes, 2 needed\./);
  await page.getByRole("link", { name: "Go to Emergency" }).click();
  await shows(page, /its vote would be enough/);
  await shows(page, /its vote is expected all the same/);
  await page.getByRole("button", { name: "Show what it would do" }).click();
  await shows(page, /`corosync-quorumtool -v 2` on this node/);
  const sentence = page.getByLabel("Type this sentence");
  check("an override that would not help cannot be made", (await sentence.count()) === 0);
  await server.start();
  await shows(page, /^Quorate: 2 of 3 votes, 2 needed\./);
  await second.ended();
  second.start(nodeWords(second));
  await go(page, "Overview");
  await shows(page, "Quorate: 3 of 3 votes, 2 needed. One more node may fail.");
}

async function workEmergency(watched: Watched, second: LoneNode): Promise<void> {
  const { page } = watched;
  await go(page, "Overview");
  second.signal("SIGKILL");
  await shows(page, /^Not quorate: 1 of 2 votes, 2 needed\./);
  await page.getByRole("link", { name: "Go to Emergency" }).click();
  await shows(page, "4. Override the votes");
  await page.getByRole("button", { name: "Show what it would do" }).click();
  await page.getByLabel("Type this sentence").fill("the other nodes are on");
  const override = page.getByRole("button", { name: "Override the votes" });
  check("another sentence does not do", (await override.getAttribute("aria-disabled")) === "true");
  await page.getByLabel("Type this sentence").fill("the other nodes are off");
  await inspect(watched, "emergency");
  await override.click();
  await shows(page, /^Quorate: 1 of 1 vote, 1 needed\./);
  await shows(page, /^the expected votes are overridden/);
  await shows(page, "How it ends");
}

/** The node whose page it is dies, and comes back as it was before the override. */
async function fallSilent({ page, faults }: Watched, node: LoneNode): Promise<void> {
  node.signal("SIGKILL");
  await page.getByRole("status").getByText("No answer").waitFor();
  const title = await page.title();
  const dimmed = await page.locator("main .stale").count();
  check("its tab and its screen say that it is silent", title === "No answer · prod", title);
  check("what it told before is dimmed", dimmed === 1);
  await node.ended();
  node.start(nodeWords(node));
  await page.getByRole("status").getByText("Not quorate").waitFor();
  check("it is bright again", (await page.locator("main .stale").count()) === 0);
  check("a dead node is no error of its page", faults.length === 0, faults.join("\n"));
}

async function leave(watched: Watched): Promise<void> {
  const { page } = watched;
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  await page.reload();
  await page.getByRole("button", { name: "Log in" }).waitFor();
  check("who has logged out is nobody after a reload", true);
}

async function main(): Promise<void> {
  const nodes = await threeNodes();
  const server = new LabVoteServer();
  const browser = await openBrowser();
  const [first, second, third] = nodes;
  try {
    const watched = await beginCluster(browser, first);
    await untilAuthority(first);
    await joinBy(browser, second, { pasted: await newToken(watched), isToken: true });
    await joinBy(browser, third, { pasted: await informationOf(watched), isToken: false });
    await lookAround(watched);
    await setUpAlerts(watched);
    await changeVotes(watched, first);
    await changeLinks(watched, nodes);
    await cutLink(watched);
    await changeConfiguration(watched, first);
    await browseFiles(watched, first);
    await meetStrangers(browser, first);
    await loseNode(watched, third);
    await removeNode(watched, first, third);
    await setUpArbiter(watched, server, second);
    await leanOnArbiter(watched, second, server);
    await removeArbiter(watched, first);
    await workEmergency(watched, second);
    await fallSilent(watched, first);
    await leave(watched);
    await watched.close();
  } catch (error) {
    check("the story", false, reasonOf(error));
    for (const node of nodes)
      process.stdout.write(`--- ${node.name}\n${node.log().split("\n").slice(-15).join("\n")}\n`);
  } finally {
    await browser.close();
    await server.close();
    for (const node of nodes) await node.close();
  }
}

/** Tokens name it. */
async function untilAuthority(node: LoneNode): Promise<void> {
  await until(
    async () => {
      const status = await node.client.status().catch(() => undefined);
      return status?.tree.writable === true ? ready(true) : pending("not yet writable");
    },
    patientMs,
    "the new cluster's tree",
  );
}

await enterSite();
await main();
process.stdout.write(`${tally.passed} passed, ${tally.failed} failed\n`);
process.exitCode = tally.failed === 0 ? 0 : 1;
