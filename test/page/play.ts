// What the page's story is told with: checks that are counted, texts that are waited for, screens that are held against the same rules.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Browser, Page } from "playwright-core";
import { accessibilityFaults, fits, type Watched } from "./browser.ts";
import { password, patientMs } from "./place.ts";

const { values } = parseArgs({ options: { screens: { type: "string" } } });
export const wide = { width: 1280, height: 900 };
export const phone = { width: 360, height: 740 };

export const tally = { passed: 0, failed: 0 };

export function check(name: string, isSo: boolean, why = ""): void {
  if (isSo) tally.passed += 1;
  else tally.failed += 1;
  process.stdout.write(
    `${isSo ? "ok   " : "FAIL "} ${name}${isSo || why === "" ? "" : `: ${why}`}\n`,
  );
}

/** The page shows this text, within the time that a busy machine takes. */
export async function shows(page: Page, text: string | RegExp): Promise<void> {
  const found = page.getByText(text).first();
  await found.waitFor({ timeout: patientMs });
  check(`it says ${String(text)}`, true);
}

/** Every screen is held against the same: nothing serious, nothing that sticks out, at both sizes. */
export async function inspect(watched: Watched, name: string): Promise<void> {
  const { page, faults } = watched;
  for (const size of [wide, phone]) {
    await page.setViewportSize(size);
    const found = await accessibilityFaults(page);
    check(
      `${name} at ${size.width}: nothing serious for axe-core`,
      found.length === 0,
      found.join("\n"),
    );
    check(`${name} at ${size.width}: it fits`, await fits(page));
  }
  if (values.screens !== undefined && pictured.has(name)) await picture(page, name, values.screens);
  await page.setViewportSize(wide);
  check(`${name}: no error, no request to elsewhere`, faults.length === 0, faults.join("\n"));
  faults.length = 0;
}

/** What docs/screens has: of each screen one, in a state that tells most. */
const pictured = new Set([
  ...["first", "create", "join", "overview", "node-lost", "nodes", "links", "remove"],
  ...["arbiter-set-up", "arbiter", "join-information", "log", "alerts", "configuration-edit"],
  ...["files", "emergency", "vote-server"],
]);
const panes = [
  { size: wide, colorScheme: "light" },
  { size: wide, colorScheme: "dark" },
  { size: phone, colorScheme: "light" },
] as const;

/** Light, dark and a phone beside each other. */
async function picture(page: Page, name: string, directory: string): Promise<void> {
  const shots: string[] = [];
  for (const { size, colorScheme } of panes) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme });
    shots.push((await page.screenshot({ fullPage: true })).toString("base64"));
  }
  await page.emulateMedia({ colorScheme: null });
  const drawing = await browserOf(page).newPage();
  const encoded = (await drawing.evaluate(`(${drawSheet})(${JSON.stringify(shots)})`)) as string;
  await drawing.close();
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, `${name}.webp`), Buffer.from(encoded, "base64"));
}

export function browserOf(page: Page): Browser {
  const browser = page.context().browser();
  if (browser === null) throw new Error("the page has no browser");
  return browser;
}

/** In the browser: pictures to one, scaled, cut at the height of the first, as WebP. */
const drawSheet = `async (shots) => {
  const scale = 0.75, gap = 16, tallest = 1500;
  const images = await Promise.all(shots.map(async (shot) => {
    const image = new Image();
    image.src = "data:image/png;base64," + shot;
    await image.decode();
    return image;
  }));
  const height = Math.min(tallest, images[0].height);
  const canvas = document.createElement("canvas");
  canvas.width = images.reduce((sum, { width }) => sum + Math.round(width * scale) + gap, gap);
  canvas.height = Math.round(height * scale) + 2 * gap;
  const pen = canvas.getContext("2d");
  pen.fillStyle = "#8a8f98";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.imageSmoothingQuality = "high";
  let left = gap;
  for (const image of images) {
    const cut = Math.min(height, image.height);
    const width = Math.round(image.width * scale);
    pen.drawImage(image, 0, 0, image.width, cut, left, gap, width, Math.round(cut * scale));
    left += width + gap;
  }
  return canvas.toDataURL("image/webp", 0.85).split(",")[1];
}`;

export async function logIn(watched: Watched): Promise<void> {
  const { page } = watched;
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Log out" }).waitFor();
}

export async function go(page: Page, screen: string): Promise<void> {
  await page
    .getByRole("navigation", { name: "Screens" })
    .getByRole("link", { name: screen })
    .click();
  await page.getByRole("heading", { level: 1, name: screen }).waitFor();
}

/** The task that was begun ends well; its panel is closed. */
export async function done(page: Page): Promise<void> {
  const end = page.getByRole("status").filter({ hasText: /^(?:✓\s*done|✗\s*failed: .*)$/ });
  await end.waitFor({ timeout: patientMs });
  const text = (await end.textContent()) ?? "";
  check("the task ends well", text.startsWith("✓"), text);
  await page.getByRole("button", { name: "Close" }).click();
}
