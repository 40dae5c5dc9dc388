// Names of strangers at the page of a real node: files and a user as the daemon lets them pass, and what it does not, as if another node had said it. None of
// it is more than text, sticks out, or turns what stands beside it.
import type { Page } from "playwright-core";
import type { LoneNode } from "../node/lone-node.ts";
import { linkFacts, overviewOf } from "../double/overviews.ts";

/** May stand in a user's name; no slash, no space. */
export const strangersUser = `"'><img>$(id)@pve`;
export const strangersPassword = "a stranger's secret";

export const strangersFiles = [
  '<img src=x onerror="alert(1)">',
  "\u202egnp.exe",
  "\u05e9\u05dc\u05d5\u05dd.txt",
  `quote'"\`$(id)`,
  "w".repeat(255),
] as const;

/** One answer by the local socket, as root. Throws what was refused. */
async function asRoot(node: LoneNode, method: string, path: string, words: object): Promise<void> {
  const response = await fetch(`http://node/api2/json${path}`, {
    ...{ method, unix: node.paths.socket },
    headers: { "content-type": "application/json" },
    body: JSON.stringify(words),
  });
  if (!response.ok)
    throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
}

/** One that may look, and nothing else. */
export async function makeStrangersUser(node: LoneNode): Promise<void> {
  await asRoot(node, "POST", "/access/users", {
    ...{ userid: strangersUser, password: strangersPassword },
  });
  await asRoot(node, "PUT", "/access/acl", {
    ...{ path: "/", roles: "PVEAuditor", users: strangersUser },
  });
}

/** Until it is called again with "": what the node says of itself and of the others has this name everywhere. */
export async function renameAll(page: Page, name: string): Promise<void> {
  await page.unroute("**/api/v1/**");
  if (name === "") return;
  const base = overviewOf([1, 2, 3], [3], {
    cluster: { name, configVersion: 3, encrypted: true },
    ...{ warnings: [name], certificates: [{ file: name, daysLeft: 1 }], version: name },
  });
  const nodes = base.nodes.map((node) => ({
    ...{ ...node, name, fault: name },
    addresses: [name, name],
  }));
  const links = base.links.map((link) => ({ ...link, faults: [name] }));
  const overview = { ...base, nodes, links };
  const own = [linkFacts(1, 0, { faults: [name] }), linkFacts(3, 0)];
  await page.route("**/api/v1/**", (route) => {
    const { pathname } = new URL(route.request().url());
    if (pathname.endsWith("/overview")) return route.fulfill({ json: { data: overview } });
    if (pathname.endsWith("/links")) return route.fulfill({ json: { data: own } });
    return route.continue();
  });
}

/** What a name has made of the page that it may not, sentences. */
export async function harm(page: Page): Promise<readonly string[]> {
  return (await page.evaluate(`(() => {
    const found = [];
    const foreign = document.querySelectorAll("img, b, i, iframe, object, embed, base, main script, main style, main link");
    for (const each of foreign) found.push("an element of a name: " + each.outerHTML.slice(0, 80));
    for (const each of document.querySelectorAll("*")) {
      for (const { name } of each.attributes) if (/^on/.test(name)) found.push("an attribute: " + name);
    }
    for (const each of document.querySelectorAll("bdi")) {
      if (!getComputedStyle(each).unicodeBidi.startsWith("isolate")) found.push("a name that is not isolated");
    }
    if (/[\\u202a-\\u202e\\u2066\\u2067]/.test(document.body.innerText)) found.push("a mark that turns text");
    return found;
  })()`)) as readonly string[];
}
