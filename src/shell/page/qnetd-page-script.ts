// What runs in the browser on the vote server's page: it is read again, and only what has changed is put in its place, so that who reads, selects or
// listens is not torn away. Without scripts the document says itself when it is to be read again.

export const refreshSeconds = 5;

/** JavaScript, as it is served. */
export const script = `"use strict";
const everyMs = ${refreshSeconds * 1000};
const footer = document.querySelector("footer");
const said = footer.textContent;
let since;

function put(read) {
  if (document.title !== read.title) document.title = read.title;
  for (const name of ["header", "main"]) {
    const shown = document.querySelector(name);
    const now = read.querySelector(name);
    if (shown && now && shown.innerHTML !== now.innerHTML) shown.replaceWith(now);
  }
}

async function again() {
  let text = said;
  try {
    const answer = await fetch("/", { cache: "no-store", signal: AbortSignal.timeout(everyMs) });
    if (!answer.ok) throw new Error(answer.statusText);
    put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    since = undefined;
  } catch {
    since ??= new Date();
    text = "This server has not answered since " + since.toLocaleTimeString() + ": what you see is of before.";
  }
  if (footer.textContent !== text) footer.textContent = text;
  setTimeout(again, everyMs);
}
setTimeout(again, everyMs);
`;
