// What the page's story is told with: checks that are counted, texts that are waited for, screens that are held against the same rules.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Page } from "playwright-core";
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
    if (values.screens !== undefined) await picture(page, `${name}-${size.width}`);
  }
  await page.setViewportSize(wide);
  check(`${name}: no error, no request to elsewhere`, faults.length === 0, faults.join("\n"));
  faults.length = 0;
}

async function picture(page: Page, name: string): Promise<void> {
  const directory = values.screens ?? "";
  mkdirSync(directory, { recursive: true });
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: join(directory, `${name}-${colorScheme}.png`), fullPage: true });
  }
  await page.emulateMedia({ colorScheme: null });
}

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
