import { localTimes } from "./times.js";

const maxRows = 500; // of the table; and of those that wait while it is not to change
const handTime = 3_000; // milliseconds for which a mouse that has moved over the table is in use
const announceEvery = 10_000; // milliseconds between two announcements to screen readers

// tail puts predictions into the table as the server sends them. They wait while the table is
// paused or in use: a row must not move away under a mouse or a reader.
export function tail(page) {
  const bar = page.querySelector("[data-tail]");
  if (!bar) return;
  const tail = new Tail(page, bar);
  const events = new EventSource(bar.dataset.tail);
  let begun = false;
  events.addEventListener("open", () => {
    tail.connection = begun ? "again" : "";
    begun = true;
    tail.show();
  });
  events.addEventListener("predictions", (event) => tail.take(JSON.parse(event.data)));
  events.addEventListener("signed-out", () => {
    events.close();
    location.reload();
  });
  events.addEventListener("error", () => {
    tail.connection = events.readyState === EventSource.CLOSED ? "closed" : "lost";
    tail.show();
  });
}

const connections = {
  "": "",
  again: " The connection was lost for a time: what came then may be missing.",
  lost: " The connection is lost; connecting again.",
  closed: " The connection was refused: reload the page to try again.",
};

class Tail {
  constructor(page, bar) {
    this.page = page;
    this.paused = "paused" in bar.dataset;
    this.waiting = []; // rows, the newest first
    this.shown = this.lost = this.announced = 0; // numbers of rows
    this.moved = 0; // when the mouse was moved last
    this.gap = this.failing = false;
    this.connection = "";
    this.button = page.createElement("button");
    this.button.type = "button";
    this.button.addEventListener("click", () => this.pause(!this.paused));
    this.state = page.createElement("p");
    this.said = page.createElement("p"); // what a screen reader says
    this.said.className = "unseen";
    this.said.setAttribute("role", "status");
    bar.append(this.button, this.state, this.said);
    page.addEventListener("pointermove", () => (this.moved = Date.now()));
    setInterval(() => this.release(), 500);
    setInterval(() => this.announce(), announceEvery);
    this.show();
  }

  take(batch) {
    this.failing = batch.failing;
    this.lost += batch.lost;
    this.gap ||= batch.gap;
    const holder = this.page.createElement("template");
    holder.innerHTML = `<table><tbody>${batch.rows}</tbody></table>`;
    this.waiting.unshift(...holder.content.querySelectorAll("tr"));
    this.lost += this.waiting.splice(maxRows).length;
    this.release();
    this.show();
  }

  pause(paused) {
    this.paused = paused;
    const url = new URL(location);
    if (paused) url.searchParams.set("live", "off");
    else url.searchParams.delete("live");
    history.replaceState(null, "", url);
    this.release();
    this.show();
    this.announce();
  }

  // release shows the rows that wait, unless they are to wait.
  release() {
    if (this.waiting.length === 0 || this.paused || this.inUse()) return;
    const rows = this.table();
    for (const row of this.waiting.splice(0)) {
      const next = [...rows.children].find((other) => other.dataset.id <= row.dataset.id);
      if (next?.dataset.id === row.dataset.id) continue; // sent again after a lost connection
      localTimes(row);
      row.classList.add("fresh");
      rows.insertBefore(row, next ?? null);
      this.shown++;
    }
    this.trim(rows);
    this.show();
  }

  // table returns the body of the table, which a page without predictions does not have yet.
  table() {
    const none = this.page.getElementById("none");
    none?.replaceWith(this.page.getElementById("first").content.cloneNode(true));
    return this.page.getElementById("rows");
  }

  // trim removes the oldest rows. The link to older predictions then begins at the last row.
  trim(rows) {
    if (rows.children.length <= maxRows) return;
    while (rows.children.length > maxRows) rows.lastElementChild.remove();
    const older = this.page.getElementById("older");
    if (!older) return;
    const url = new URL(older.href);
    url.searchParams.set("before", rows.lastElementChild.dataset.place);
    older.href = url;
  }

  inUse() {
    const table = this.page.getElementById("rows");
    if (!table) return false;
    const selection = this.page.getSelection();
    return (Date.now() - this.moved < handTime && table.matches(":hover")) || table.contains(this.page.activeElement) || (!selection.isCollapsed && selection.containsNode(table, true));
  }

  show() {
    this.button.textContent = this.paused ? "Resume" : "Pause";
    this.state.textContent = this.text();
  }

  text() {
    let text = this.failing ? "The ledger does not answer; trying again." : this.paused ? "Paused." : "Live.";
    text += ` ${this.shown} new`;
    if (this.waiting.length > 0) text += `, ${this.waiting.length} waiting${this.paused ? "" : " while the table is in use"}`;
    if (this.lost > 0 || this.gap) text += `, ${this.gap ? "more than " : ""}${this.lost} not shown: they came faster than a page shows them`;
    return text + "." + connections[this.connection];
  }

  // announce tells screen readers how many predictions came, if any did.
  announce() {
    const news = this.shown - this.announced;
    this.announced = this.shown;
    if (this.paused) this.said.textContent = "Paused.";
    else if (news > 0) this.said.textContent = `${news} new predictions.`;
  }
}
