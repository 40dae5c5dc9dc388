// The script of the vote server's page on a document of paper: the smallest thing that differs is changed, and silence is said where it is seen.
import { expect, test } from "bun:test";
import { refreshSeconds, script } from "../../src/shell/page/qnetd-page-script.ts";

class PaperText {
  readonly nodeType = 3;
  readonly nodeName = "#text";
  /** "from, count, text" of each change. */
  readonly changes: string[] = [];
  parent: PaperElement | undefined;
  data: string;
  constructor(data: string) {
    this.data = data;
  }
  replaceData(from: number, count: number, text: string): void {
    this.changes.push(`${from}, ${count}, ${text}`);
    this.data = this.data.slice(0, from) + text + this.data.slice(from + count);
  }
  get textContent(): string {
    return this.data;
  }
  replaceWith(other: PaperNode): void {
    this.parent?.put(this, other);
  }
  remove(): void {
    this.parent?.put(this);
  }
}

type PaperNode = PaperElement | PaperText;

class PaperElement {
  readonly nodeType = 1;
  parent: PaperElement | undefined;
  childNodes: PaperNode[] = [];
  readonly nodeName: string;
  readonly attributes: Record<string, string>;
  constructor(
    nodeName: string,
    attributes: Record<string, string>,
    ...children: readonly (PaperNode | string)[]
  ) {
    this.nodeName = nodeName;
    this.attributes = attributes;
    for (const child of children) {
      this.append(typeof child === "string" ? new PaperText(child) : child);
    }
  }
  append(child: PaperNode): void {
    child.remove();
    child.parent = this;
    this.childNodes.push(child);
  }
  put(child: PaperNode, ...others: readonly PaperNode[]): void {
    for (const other of others) other.remove();
    this.childNodes.splice(this.childNodes.indexOf(child), 1, ...others);
    for (const other of others) other.parent = this;
    child.parent = undefined;
  }
  replaceWith(other: PaperNode): void {
    this.parent?.put(this, other);
  }
  remove(): void {
    this.parent?.put(this);
  }
  readonly getAttributeNames = (): string[] => Object.keys(this.attributes);
  readonly hasAttribute = (name: string): boolean => name in this.attributes;
  readonly getAttribute = (name: string): string | null => this.attributes[name] ?? null;
  readonly setAttribute = (name: string, value: string): void => {
    this.attributes[name] = value;
  };
  readonly removeAttribute = (name: string): void => {
    delete this.attributes[name];
  };
  set className(value: string) {
    this.attributes["class"] = value;
  }
  readonly classList = {
    toggle: (name: string, isOn: boolean): void => {
      this.className = isOn ? name : "";
    },
  };
  get textContent(): string {
    return this.childNodes.map((child) => child.textContent).join("");
  }
  set textContent(text: string) {
    for (const child of this.childNodes) child.parent = undefined;
    this.childNodes = [];
    this.append(new PaperText(text));
  }
  /** By tag, class, or "main > .head". */
  querySelector(selector: string): PaperElement | null {
    const wanted = selector.replace("main > ", "");
    for (const child of this.childNodes) {
      if (child instanceof PaperText) continue;
      const { nodeName, attributes } = child;
      const words = (attributes["class"] ?? "").split(" ").map((each) => `.${each}`);
      if ([nodeName, ...words].includes(wanted)) return child;
      const within = child.querySelector(wanted);
      if (within !== null) return within;
    }
    return null;
  }
}

const element = (
  name: string,
  attributes: Record<string, string>,
  ...children: readonly (PaperNode | string)[]
) => new PaperElement(name, attributes, ...children);

function body(heard: string, ...more: readonly PaperNode[]): PaperElement {
  const mark = element("span", { "aria-hidden": "true" }, "✓");
  const head = element("section", { class: "notice good head" }, mark);
  head.append(element("p", {}, "Good: all is well"));
  const line = element("li", { class: "node" }, `node 1, heard ${heard} s ago, TLS`);
  const card = element("section", { class: "card" }, element("ul", {}, line), ...more);
  const footer = element("footer", {}, "Read again every 5 seconds.");
  return element("body", {}, element("header", {}, "h"), element("main", {}, head, card), footer);
}

/** The script in a browser of paper; `next` runs its timer. */
function opened(shown: PaperElement) {
  const world = {
    asked: 0,
    isHidden: false,
    served: undefined as PaperElement | undefined,
    timers: [] as (() => void)[],
    seen: (): void => undefined,
  };
  const paper = {
    ...{ title: "Good – vote server", body: shown },
    querySelector: (selector: string) => shown.querySelector(selector),
    addEventListener: (_: string, listener: () => void) => (world.seen = listener),
    get hidden() {
      return world.isHidden;
    },
  };
  const fetchPaper = async () => {
    world.asked += 1;
    if (world.served === undefined) throw new TypeError("Failed to fetch");
    return { ok: true, text: async () => "" };
  };
  class Parser {
    readonly parseFromString = () => ({
      title: "Good – vote server",
      querySelector: (selector: string) => world.served?.querySelector(selector) ?? null,
    });
  }
  const names = ["document", "fetch", "DOMParser", "setTimeout"];
  const later = (run: () => void, ms: number): void => {
    expect(ms).toBe(refreshSeconds * 1000);
    world.timers.push(run);
  };
  // oxlint-disable-next-line no-implied-eval, typescript/no-implied-eval -- it is ours, and served as text
  new Function(...names, script)(paper, fetchPaper, Parser, later);
  const next = async (): Promise<void> => {
    world.timers.shift()?.();
    for (let count = 0; count < 20; count += 1) await Promise.resolve();
  };
  return { world, paper, next };
}

test("of an age that differs its digits alone are changed; elements stay, come and go", async () => {
  const shown = body("2.4", element("p", {}, "old"));
  const { world, next } = opened(shown);
  const line = shown.querySelector(".node");
  const words = line?.childNodes[0] as PaperText;
  world.served = body("12.6", element("p", { class: "soft" }, "old"), element("b", {}, "new"));
  await next();
  expect(shown.querySelector(".node")).toBe(line);
  expect(line?.childNodes[0]).toBe(words);
  expect(words.data).toBe("node 1, heard 12.6 s ago, TLS");
  expect(words.changes).toEqual(["14, 3, 12.6"]);
  expect(shown.querySelector("b")?.textContent).toBe("new");
  expect(shown.querySelector(".soft")?.textContent).toBe("old");
  world.served = body("12.6", element("i", {}, "another"));
  await next();
  expect(words.changes).toHaveLength(1);
  expect(shown.querySelector("b")).toBeNull();
  expect(shown.querySelector(".soft")).toBeNull();
  expect(shown.querySelector("i")?.textContent).toBe("another");
});

test("without an answer the title, the headline and the dimmed rest say so, until it answers again", async () => {
  const shown = body("2.4");
  const { world, paper, next } = opened(shown);
  const head = shown.querySelector(".head");
  await next();
  expect(paper.title).toBe("No answer – vote server");
  expect(head?.attributes["class"]).toBe("notice head warn");
  expect(head?.textContent).toMatch(
    /^!No answer since \d\d:\d\d:\d\d: what you see is of before\.$/,
  );
  expect(shown.attributes["class"]).toBe("stale");
  const first = head?.textContent;
  await next();
  expect(head?.textContent).toBe(first ?? "");
  world.served = body("0.1");
  await next();
  expect(paper.title).toBe("Good – vote server");
  expect(head?.attributes["class"]).toBe("notice good head");
  expect(head?.textContent).toBe("✓Good: all is well");
  expect(shown.attributes["class"]).toBe("");
  expect(shown.querySelector("footer")?.textContent).toBe("Read again every 5 seconds.");
});

test("a page that nobody sees asks nothing, and asks at once when it is seen again", async () => {
  const { world, next } = opened(body("2.4"));
  world.served = body("3.0");
  world.isHidden = true;
  await next();
  world.seen();
  expect([world.asked, world.timers.length]).toEqual([0, 0]);
  world.isHidden = false;
  world.seen();
  world.seen();
  await next();
  expect([world.asked, world.timers.length]).toEqual([1, 1]);
});
