// Every page of the console in every look.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertFits, assertNoFaults, launch, open, signIn } from "./browser.js";
import { startWithHistory } from "./gateway.js";
import { findPages } from "./walk.js";

let browser, gateway;
const cleanUps = [];
before(async () => {
  gateway = await startWithHistory({ after: (cleanUp) => cleanUps.unshift(cleanUp) });
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const cleanUp of cleanUps) await cleanUp();
});

for (const colorScheme of ["light", "dark"]) {
  for (const width of [1280, 360]) {
    test(`pages are accessible, quiet and fit, ${colorScheme}, ${width} px`, async () => {
      const { context, page, faults } = await open(browser, gateway.origin, { colorScheme, viewport: { width, height: 800 } });
      await page.goto("sign-in");
      await assertAccessible(page, "sign-in");
      await assertFits(page, "sign-in");
      await signIn(page, gateway.token);
      const pages = await findPages(page, async (path) => {
        await assertFits(page, path);
        await assertAccessible(page, path);
        await assertFits(page, `${path} with everything unfolded`);
        assert.equal(await page.locator("h1").count(), 1, `headings of the first level on ${path}`);
        assertNoFaults(faults, path);
      });
      assert.ok(pages.length >= 12, `only these pages were found: ${pages}`);
      await context.close();
    });
  }
}

test("pages of errors are accessible", async () => {
  const { context, page } = await open(browser, gateway.origin, { viewport: { width: 360, height: 800 } });
  await signIn(page, gateway.token);
  for (const path of ["renewals/none", "models/none", "predictions/none"]) {
    const answer = await page.goto(path);
    assert.equal(answer.status(), 404, path);
    await assertAccessible(page, path);
    await assertFits(page, path);
  }
  await context.close();
});

test("the console works without scripts", async () => {
  const { context, page, faults } = await open(browser, gateway.origin, { javaScriptEnabled: false });
  await signIn(page, gateway.token);
  const links = await page.getByRole("navigation", { name: "Pages" }).getByRole("link").allTextContents();
  for (const name of links) {
    await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
    await page.getByRole("heading", { level: 1 }).waitFor();
    assert.equal(await page.locator("nav [aria-current=page]").textContent(), name);
  }
  await findPages(page, async (path) => {
    const text = await page.getByRole("main").innerText();
    assert.ok(text.length > 60, `${path} shows only: ${text}`);
    assert.equal(await page.locator("main button[type=button]").count(), 0, `a button on ${path} that only a script can serve`);
  });
  assertNoFaults(faults, "pages without scripts");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Admin token").waitFor();
  await context.close();
});

test("times are in the viewer's zone, with UTC beside", async () => {
  const { context, page } = await open(browser, gateway.origin, { timezoneId: "Asia/Tokyo" });
  await signIn(page, gateway.token);
  const time = page.locator("main time[datetime]").first();
  const at = new Date(await time.getAttribute("datetime"));
  const inTokyo = new Date(at.getTime() + 9 * 3600_000).toISOString().slice(11, 19);
  const text = await time.innerText();
  assert.ok(text.includes(inTokyo), `${text} has not the time in Tokyo, ${inTokyo}`);
  assert.ok(text.includes(at.toISOString().slice(11, 19)) && text.includes("UTC"), `${text} has not the UTC time`);
  await context.close();
});

/** Numbers the elements that a mouse can use, in the order of the page, and describes them. */
function numberControls(page) {
  return page.evaluate(() => {
    const usable = "a[href], area[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0'], [contenteditable]";
    return [...document.querySelectorAll(usable)]
      .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && !(e.type === "radio" && !e.checked))
      .map((e, i) => {
        e.dataset.control = i;
        return e.outerHTML.slice(0, 150);
      });
  });
}

/** Describes the element that has the focus. */
function focused(page) {
  return page.evaluate(() => {
    const e = document.activeElement;
    if (!e || e === document.body) return null;
    const box = e.getBoundingClientRect();
    const style = getComputedStyle(e);
    const inWindow = box.bottom > 0 && box.right > 0 && box.top < innerHeight && box.left < innerWidth;
    return { control: e.dataset.control, html: e.outerHTML.slice(0, 150), seen: inWindow && style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2 };
  });
}

test("the keyboard reaches everything, in order, and shows where it is", async () => {
  const { context, page } = await open(browser, gateway.origin);
  await context.route(/\/console\/(events|tail)\b/, (route) => route.fulfill({ status: 204 })); // a live part that changes would lose its numbers
  await signIn(page, gateway.token);
  await findPages(page, async (path) => {
    const controls = await numberControls(page);
    const reached = [];
    await page.evaluate(() => document.activeElement.blur());
    for (;;) {
      await page.keyboard.press("Tab");
      const at = await focused(page);
      if (at === null || (at.control === "0" && reached.length > 1)) break; // past the end
      assert.ok(at.seen, `the focus is not seen on ${path}: ${at.html}`);
      if (at.control !== reached.at(-1)) reached.push(at.control); // a date has several stops
    }
    const missed = controls.filter((_, i) => !reached.includes(String(i)));
    assert.deepEqual(missed, [], `not reached on ${path}`);
    assert.deepEqual(reached.map(Number), controls.map((_, i) => i), `order on ${path}`);
  });
  await context.close();
});

test("the skip link leads past the navigation", async () => {
  const { context, page } = await open(browser, gateway.origin);
  await signIn(page, gateway.token);
  await page.goto("audit");
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  assert.ok((await skip.boundingBox()).x >= 0, "the skip link is not seen while it has the focus");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "main");
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement.closest("main") !== null), "the next stop is not in the content");
  await context.close();
});

test("the keyboard alone signs in and out", async () => {
  const { context, page } = await open(browser, gateway.origin);
  await page.goto("./");
  assert.equal(await page.evaluate(() => document.activeElement.id), "token", "the field has the focus");
  await page.keyboard.type(gateway.token);
  await page.keyboard.press("Enter");
  const signOut = page.getByRole("button", { name: "Sign out" });
  await signOut.waitFor();
  while (!(await signOut.evaluate((e) => e === document.activeElement))) {
    await page.keyboard.press("Tab");
    assert.notEqual(await page.evaluate(() => document.activeElement.closest("main")?.id), "main", "signing out comes after the content");
  }
  await page.keyboard.press("Enter");
  await page.getByLabel("Admin token").waitFor();
  await context.close();
});
