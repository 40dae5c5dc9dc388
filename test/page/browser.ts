// Debian's chromium, driven: pages that are watched for errors, for requests to elsewhere, for what axe-core calls serious, and for what does not fit.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { type Browser, chromium, type Page } from "playwright-core";

const program = "/usr/bin/chromium";
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What a browser says by itself of an answer that the page deals with: a refusal, a node that restarts. */
const expectedLines = /^Failed to load resource: /;

export interface Watched {
  readonly page: Page;
  /** What must not be, sentences. */
  readonly faults: string[];
  close(): Promise<void>;
}

export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: program,
    args: ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
  });
}

export async function openPage(
  browser: Browser,
  address: string,
  size: { readonly width: number; readonly height: number },
): Promise<Watched> {
  const context = await browser.newContext({
    ignoreHTTPSErrors: true,
    viewport: size,
    permissions: ["clipboard-read", "clipboard-write"],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const faults: string[] = [];
  page.on("pageerror", (error) => faults.push(`an error of the page: ${error.message}`));
  page.on("console", (line) => {
    const text = line.text();
    if (line.type() === "error" && !expectedLines.test(text)) faults.push(`console: ${text}`);
  });
  context.on("request", (request) => {
    if (!request.url().startsWith(`${address}/`) && !request.url().startsWith("blob:"))
      faults.push(`a request to elsewhere: ${request.url()}`);
  });
  await page.goto(`${address}/`);
  return { page, faults, close: () => context.close() };
}

interface AxeResult {
  readonly id: string;
  readonly impact: string;
  readonly help: string;
  readonly nodes: readonly { readonly html: string }[];
}

/** What axe-core calls serious or worse, a line each. */
export async function accessibilityFaults(page: Page): Promise<readonly string[]> {
  // By the browser's tools, which its policy for scripts does not concern.
  await page.evaluate(axe);
  const found = (await page.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
      violations.map(({ id, impact, help, nodes }) =>
        ({ id, impact, help, nodes: nodes.map(({ html }) => ({ html })) })))`,
  )) as readonly AxeResult[];
  return found
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(
      ({ id, help, nodes }) =>
        `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 200)).join(" | ")}`,
    );
}

/** True when nothing sticks out to the right. */
export async function fits(page: Page): Promise<boolean> {
  return (await page.evaluate(
    "document.documentElement.scrollWidth <= document.documentElement.clientWidth",
  )) as boolean;
}
