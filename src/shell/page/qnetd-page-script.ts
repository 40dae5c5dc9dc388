// What runs in the browser on the vote server's page: it is read again, and only what has changed is put in its place, so that who reads, selects or
// listens is not torn away. Without scripts the document says itself when it is to be read again.

export const refreshSeconds = 5;

/** JavaScript, as it is served. It asks nothing while nobody sees the page; without an answer the headline and the title say so, and the rest is dimmed. */
export const script = `"use strict";
const everyMs = ${refreshSeconds * 1000};
const footer = document.querySelector("footer");
const said = footer.textContent;
let since;
let isDue = false;

// Of a text only the part that differs: a selection that ends in it stays where it is.
function putText(shown, text) {
  const old = shown.data;
  const shorter = Math.min(old.length, text.length);
  let from = 0;
  while (from < shorter && old[from] === text[from]) from += 1;
  let same = 0;
  while (same < shorter - from && old.at(-1 - same) === text.at(-1 - same)) same += 1;
  if (old !== text) shown.replaceData(from, old.length - from - same, text.slice(from, text.length - same));
}

function putAttributes(shown, now) {
  for (const name of shown.getAttributeNames()) if (!now.hasAttribute(name)) shown.removeAttribute(name);
  for (const name of now.getAttributeNames()) {
    const value = now.getAttribute(name);
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
}

// Children are compared by their position; only one of another kind is replaced as a whole.
function put(shown, now) {
  if (shown.nodeName !== now.nodeName) return shown.replaceWith(now);
  if (shown.nodeType !== 1) return putText(shown, now.data);
  putAttributes(shown, now);
  const old = [...shown.childNodes];
  const wanted = [...now.childNodes];
  for (const [at, child] of wanted.entries()) {
    if (at < old.length) put(old[at], child);
    else shown.append(child);
  }
  for (const child of old.slice(wanted.length)) child.remove();
}

function putAll(read) {
  if (document.title !== read.title) document.title = read.title;
  for (const name of ["header", "main"]) put(document.querySelector(name), read.querySelector(name));
}

// The next answer puts all of this back.
function putSilence(text) {
  document.title = "No answer – vote server";
  const head = document.querySelector("main > .head");
  head.className = "notice head warn";
  head.querySelector("span").textContent = "!";
  head.querySelector("p").textContent = text;
}

async function again() {
  isDue = document.hidden;
  if (isDue) return;
  let text = said;
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(everyMs) });
    const read = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (!answer.ok || read.querySelector("main > .head") === null) throw new Error("no page");
    putAll(read);
    since = undefined;
  } catch {
    since ??= new Date();
    text = "No answer since " + since.toTimeString().slice(0, 8) + ": what you see is of before.";
    putSilence(text);
  }
  document.body.classList.toggle("stale", since !== undefined);
  if (footer.textContent !== text) footer.textContent = text;
  setTimeout(again, everyMs);
}
document.addEventListener("visibilitychange", () => {
  if (isDue && !document.hidden) again();
});
setTimeout(again, everyMs);
`;
