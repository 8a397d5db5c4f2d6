const zone = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

// localTimes puts the time in the viewer's zone before each UTC time below root,
// unless the zone is UTC.
export function localTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) continue;
    const utc = document.createElement("span");
    utc.className = "utc";
    utc.textContent = " (" + element.textContent + ")";
    element.replaceChildren(zone.format(at), utc);
    element.dataset.local = "";
  }
}
