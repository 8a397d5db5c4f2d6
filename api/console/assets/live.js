import { localTimes } from "./times.js";

// live reads the page again when the server says so, and replaces the elements with the
// attribute data-live whose content has changed. An element in use is left alone: one with
// the focus, or with selected text.
export function live(page) {
  const main = page.querySelector("main[data-events]");
  if (!main) return;
  const known = new Map(parts(page).map((part) => [part.id, part.outerHTML]));
  let reading = false;
  const events = new EventSource(main.dataset.events);
  events.addEventListener("tick", async () => {
    if (reading || page.hidden) return;
    reading = true;
    try {
      await replace(page, known);
    } finally {
      reading = false;
    }
  });
  events.addEventListener("signed-out", () => {
    events.close();
    location.reload();
  });
}

function parts(page) {
  return [...page.querySelectorAll("[data-live][id]")];
}

async function replace(page, known) {
  let answer;
  try {
    answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  } catch {
    return; // the next tick tries again
  }
  if (!answer.ok || answer.redirected) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of parts(fresh)) {
    const now = page.getElementById(part.id);
    const html = part.outerHTML;
    if (!now || known.get(part.id) === html || inUse(page, now)) continue;
    known.set(part.id, html);
    const copy = page.importNode(part, true);
    for (const opened of now.querySelectorAll("details[open][id]")) {
      copy.querySelector("#" + CSS.escape(opened.id))?.setAttribute("open", "");
    }
    localTimes(copy);
    now.replaceWith(copy);
  }
}

function inUse(page, element) {
  const selection = page.getSelection();
  return element.contains(page.activeElement) || (!selection.isCollapsed && selection.containsNode(element, true));
}
