// What people who look cost (issue 13): the token's p99 and the processor time of the node that serves, while nobody looks and with 20 pages open in a real
// browser, every screen that reads by itself among them. By hand: `bun test/bench/open-pages.ts [--seconds N]`; fails when the p99 is more than
// twice that of idle, a token is lost, or the pages take 5 % of a processor of the node or more.
import { setTimeout as wait } from "node:timers/promises";
import type { Browser } from "playwright-core";
import { openBrowser, openPage, type Watched } from "../page/browser.ts";
import type { DemoNode } from "../demo/cluster.ts";
import { phase, withCluster } from "./phases.ts";

const pagesCount = 20;
const costMaxPercent = 5;
const screens = ["Overview", "Nodes", "Links", "Log and tasks", "Overview"] as const;
const size = { width: 1280, height: 900 };

/** The pages stay open until the end; what they complained of. */
async function lookOn(browser: Browser, node: DemoNode): Promise<() => Promise<string[]>> {
  const address = `https://${node.address}:8006`;
  const pages: Watched[] = [];
  for (let index = 0; index < pagesCount; index += 1) {
    const watched = await openPage(browser, address, size);
    const { page } = watched;
    await page.getByLabel("Password").fill("secret");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Log out" }).waitFor();
    const name = screens[index % screens.length] ?? "Overview";
    await page.getByRole("navigation", { name: "Screens" }).getByRole("link", { name }).click();
    pages.push(watched);
  }
  return async () => {
    for (const { page } of pages) await page.getByRole("button", { name: "Log out" }).waitFor();
    for (const page of pages) await page.close();
    return pages.flatMap(({ faults }) => faults);
  };
}

let isGood = false;
await withCluster(async (nodes) => {
  const untilEnd = async (endAt: number) => wait(Math.max(0, endAt - performance.now()));
  const idle = await phase(nodes, "nobody looks", async (_, endAt) => {
    await untilEnd(endAt);
    return "";
  });
  const browser = await openBrowser();
  try {
    let close: (() => Promise<string[]>) | undefined;
    const open = await phase(
      nodes,
      `${pagesCount} open pages`,
      async (_, endAt) => {
        await untilEnd(endAt);
        return "";
      },
      async (node) => void (close = await lookOn(browser, node)),
    );
    const faults = (await close?.()) ?? ["no page was opened"];
    const cost = open.cpuPercent - idle.cpuPercent;
    console.log(
      `token p99 ${(open.p99 / idle.p99).toFixed(2)} × that of idle; the pages cost ${cost.toFixed(1)} % of a processor; faults: ${faults.join("; ") || "none"}`,
    );
    isGood =
      open.p99 <= 2 * idle.p99 && open.lost === 0 && cost < costMaxPercent && faults.length === 0;
  } finally {
    await browser.close();
  }
});
process.exit(isGood ? 0 : 1);
