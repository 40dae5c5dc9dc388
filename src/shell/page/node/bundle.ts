// The page's own files out of their source, by the bundler of the runtime: one script, one style sheet and the document that names them by what is in
// them. The builder puts the result into the executable in place of `embedded.ts`; a node that runs from source makes it at the first request.
import { join } from "node:path";
import { title } from "../browser/words.ts";

/** By path below /. */
export type PageTexts = Readonly<Record<string, string>>;

const iconPath = "/page/icon.svg";
/** Three votes. */
const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="3" fill="#0b57b0"/><g fill="#fff"><rect x="2" y="6" width="3" height="7" rx="1"/><rect x="6.5" y="3" width="3" height="10" rx="1"/><rect x="11" y="6" width="3" height="7" rx="1"/></g></svg>
`;

const browser = join(import.meta.dir, "../browser");

/** Throws an Error with the bundler's words. The same source gives the same bytes. */
export async function bundlePage(): Promise<PageTexts> {
  const result = await Bun.build({
    entrypoints: [join(browser, "main.tsx"), join(browser, "style.css")],
    target: "browser",
    format: "esm",
    minify: true,
    naming: { entry: "[name].[hash].[ext]" },
    define: { "process.env.NODE_ENV": '"production"' },
    throw: false,
  });
  if (!result.success) {
    throw new Error(`the page: ${result.logs.map(({ message }) => message).join("\n")}`);
  }
  const texts: Record<string, string> = {};
  for (const output of result.outputs) {
    texts[`/page/${output.path.replace(/^.*\//, "")}`] = await output.text();
  }
  const [script = "", style = ""] = [".js", ".css"].map(
    (ending) => Object.keys(texts).find((name) => name.endsWith(ending)) ?? "",
  );
  return { "/": documentText(script, style), ...texts, [iconPath]: icon };
}

function documentText(script: string, style: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title}</title>
<link rel="stylesheet" href="${style}">
<link rel="icon" href="${iconPath}" type="image/svg+xml">
<script type="module" src="${script}"></script>
</head>
<body>
<noscript>This page needs JavaScript. Without it: quorate status, on a node.</noscript>
</body>
</html>
`;
}
