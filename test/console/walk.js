// Finds the pages of the console by its links.

/** The shape of a page's path and the names of its query: pages of one shape are alike. */
function shapeOf(url) {
  const [first, ...rest] = url.pathname.replace(/^.*\/console\//, "").split("/");
  return [first, ...rest.map(() => "*")].join("/") + "?" + [...url.searchParams.keys()].sort().join("&");
}

/**
 * Follows links from the overview, and returns one page of each shape, in the order in which
 * they were found. It calls see on each, and fails at the end with all errors of see and with
 * the links that lead to an error.
 * @param page that is signed in and shows a page of the first folder
 * @param {(path: string) => Promise<void>} [see]
 */
export async function findPages(page, see = async () => {}) {
  const base = new URL("./", page.url()).href;
  const errors = [];
  const found = new Map([[shapeOf(new URL(base)), base]]);
  for (const url of found.values()) {
    const path = url.slice(base.length) || "./";
    const answer = await page.goto(url);
    if (!answer.ok()) errors.push(new Error(`${path} is linked, and answers ${answer.status()}`));
    else await see(path).catch((error) => errors.push(error));
    for (const link of await page.$$eval("a[href]", (links) => links.map((a) => a.href.replace(/#.*/, "")))) {
      const linked = new URL(link);
      if (link.startsWith(base) && !found.has(shapeOf(linked))) found.set(shapeOf(linked), link);
    }
  }
  if (errors.length > 0) throw new Error(errors.map((error) => error.message).join("\n"));
  return [...found.values()].map((url) => url.slice(base.length) || "./");
}
