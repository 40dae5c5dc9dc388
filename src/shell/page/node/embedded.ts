// The page's files as this program has them. In an executable the builder has put their texts here, in place of this file (build/compile.ts).
import { bundlePage, type PageTexts } from "./bundle.ts";

/** Rejects only from source, when that cannot be bundled. */
export function embeddedPage(): Promise<PageTexts> {
  return bundlePage();
}
