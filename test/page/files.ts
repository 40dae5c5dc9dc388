// What a person reads and edits at the page: corosync.conf with an error and then well, files of the tree, secrets, names of strangers.
import type { LoneNode } from "../node/lone-node.ts";
import type { Watched } from "./browser.ts";
import { check, go, inspect, shows } from "./play.ts";
import { harm, strangersFiles } from "./strangers.ts";

export async function changeConfiguration(watched: Watched, node: LoneNode): Promise<void> {
  const { page } = watched;
  await go(page, "Configuration");
  await shows(page, "The name of the cluster; part of its certificates");
  await inspect(watched, "configuration");
  await page.getByRole("button", { name: "Edit" }).click();
  const field = page.getByLabel("/etc/pve/corosync.conf");
  const before = await field.inputValue();
  await field.fill(before.replace(/^totem \{\n/m, "totem {\n  transport: pigeon\n"));
  await page.locator("form .fault").waitFor();
  const write = page.getByRole("button", { name: "Write it" });
  check("an error cannot be written", (await write.getAttribute("aria-disabled")) === "true");
  await field.fill(before.replace(/^totem \{\n/m, "totem {\n  token: 5000\n"));
  await shows(page, "All nodes could use it");
  await shows(page, /^in force at once: token timeout/);
  await inspect(watched, "configuration-edit");
  const { cluster } = await node.client.status();
  await write.click();
  await node.statusWhen(
    (status) => status.cluster.configVersion === cluster.configVersion + 1,
    "the change is in force",
  );
  check("the change is in force, with the next version", true);
  await shows(page, "It is written: the cluster has it.");
}

/** One that is open; not over what somebody else writes meanwhile. */
async function editFile({ page }: Watched, node: LoneNode, name: string): Promise<void> {
  const stored = async () => new TextDecoder().decode(await node.client.read(name));
  const field = page.getByLabel(`/etc/pve/${name}`);
  const write = page.getByRole("button", { name: "Write it" });
  await page.getByRole("button", { name: "Edit" }).click();
  await field.fill("first\n");
  await shows(page, "The node would take it");
  await node.client.put(name, new TextEncoder().encode("another's\n"));
  await write.click();
  await shows(page, /somebody has changed it since/);
  check("what another wrote is kept", (await stored()) === "another's\n");
  await go(page, "Overview");
  await go(page, "Files");
  await page.getByRole("button", { name }).click();
  check("a text that was begun is there again", (await field.inputValue()) === "first\n");
  await page.getByRole("button", { name: "Cancel" }).click();
  await shows(page, "another's");
  await page.getByRole("button", { name: "Edit" }).click();
  await field.fill("mine\n");
  await shows(page, "The node would take it");
  await write.click();
  await page.locator("ol.lines").getByText("mine").waitFor();
  check("a file is edited", (await stored()) === "mine\n");
}

export async function browseFiles(watched: Watched, node: LoneNode): Promise<void> {
  const { page } = watched;
  await go(page, "Files");
  await page.getByRole("button", { name: "authkey.pub" }).waitFor();
  await inspect(watched, "files");
  await go(page, "Overview");
  const name = '<img src=x onerror="alert(1)">';
  await node.client.put(name, new TextEncoder().encode("<script>alert(2)</script>\n"));
  const others = strangersFiles.filter((each) => each !== name);
  for (const each of others) await node.client.put(each, new Uint8Array(1));
  await go(page, "Files");
  await page.getByRole("button", { name: "w".repeat(255) }).waitFor();
  check("strange files do no harm", (await harm(page)).length === 0, (await harm(page)).join());
  await inspect(watched, "files-of-strangers");
  for (const each of others) await node.client.remove(each);
  await page.getByRole("button", { name }).click();
  await shows(page, "<script>alert(2)</script>");
  check("a file's name is no markup", (await page.locator("main img, main script").count()) === 0);
  await inspect(watched, "file");
  await editFile(watched, node, name);
  await page.getByRole("button", { name: "/etc/pve" }).click();
  await page.getByRole("button", { name: "priv/", exact: false }).first().click();
  await page.getByRole("button", { name: "authkey.key" }).click();
  await shows(page, "This is secret: a key, or for root alone.");
  check("a secret is not fetched unasked", !(await page.content()).includes("PRIVATE KEY"));
  await inspect(watched, "secret");
}
