// Predictions are shown as they come.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertAccessible, assertFits, assertNoFaults, launch, open, signIn } from "./browser.js";
import { settled, start } from "./gateway.js";

let browser, gateway;
const cleanUps = [];
before(async () => {
  gateway = await start({ after: (cleanUp) => cleanUps.unshift(cleanUp) });
  await settled(gateway);
  browser = await launch();
});
after(async () => {
  await browser?.close();
  for (const cleanUp of cleanUps) await cleanUp();
});

/** Asks for a prediction of a demo customer, and returns its id. */
async function ask(customer) {
  const answer = await gateway.call("POST", "/predict", { customer_id: customer });
  return answer.prediction_id;
}

/** Opens the page of predictions, and waits until it is live. */
async function openLive(t, path, options = {}) {
  const { context, page, faults } = await open(browser, gateway.origin, options);
  t.after(() => context.close());
  await signIn(page, gateway.token);
  const live = page.waitForResponse((answer) => new URL(answer.url()).pathname.endsWith("/console/tail"));
  await page.goto(path);
  await live;
  return { page, faults };
}

const rowOf = (page, id) => page.locator(`tr[data-id="${id}"]`);
const tail = (page) => page.locator("#tail");

test("predictions appear as they come, wait while paused, and the pause is in the URL", async (t) => {
  const { page, faults } = await openLive(t, "predictions?customer=nobody");
  await page.getByText("There are none.").waitFor();
  await page.goto("predictions");
  await page.evaluate(() => (window.notReloaded = true));
  const first = await ask("10042");
  await rowOf(page, first).waitFor();
  assert.match(await rowOf(page, first).locator("time").innerText(), /UTC/);
  assert.match(await rowOf(page, first).locator("time").innerText(), /\(.*UTC\)/, "the time is not in the viewer's zone");

  const pause = page.getByRole("button", { name: "Pause" });
  await pause.focus();
  await page.keyboard.press("Space");
  await page.getByRole("button", { name: "Resume" }).waitFor();
  const [second, third] = [await ask("10042"), await ask("10043")];
  await tail(page).getByText("2 waiting", { exact: false }).waitFor();
  assert.equal(await rowOf(page, second).count(), 0, "a row came while the page was paused");
  assert.equal(new URL(page.url()).searchParams.get("live"), "off");
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Resume", "the button has lost the focus");

  await page.keyboard.press("Enter");
  await rowOf(page, third).waitFor();
  const ids = await page.locator("tr[data-id]").evaluateAll((rows) => rows.map((row) => row.dataset.id));
  assert.deepEqual(ids.slice(0, 3), [third, second, first], "the order is not the newest first");
  assert.equal(new Set(ids).size, ids.length, "a row is there twice");
  assert.equal(new URL(page.url()).searchParams.get("live"), null);
  assert.ok(await page.evaluate(() => window.notReloaded), "the page was loaded anew");

  await page.getByRole("button", { name: "Pause" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  assertNoFaults(faults, page.url());
});

test("the search holds for what comes", async (t) => {
  const { page, faults } = await openLive(t, "predictions?customer=10099");
  const [other, own] = [await ask("10050"), await ask("10099")];
  await rowOf(page, own).waitFor();
  assert.equal(await rowOf(page, other).count(), 0, "the page of one customer shows another");
  await page.goto("predictions?to=2026-01-01");
  assert.equal(await tail(page).count(), 0, "a page of the past is live");
  assertNoFaults(faults, page.url());
});

test("a row in use does not move", async (t) => {
  await ask("10042");
  const { page, faults } = await openLive(t, "predictions");
  const link = page.locator("#rows a").first();
  await link.waitFor();
  await link.focus();
  const id = await ask("10044");
  await tail(page).getByText("while the table is in use", { exact: false }).waitFor();
  assert.equal(await rowOf(page, id).count(), 0);
  await page.getByRole("button", { name: "Pause" }).focus();
  await rowOf(page, id).waitFor();
  assertNoFaults(faults, page.url());
});

for (const [colorScheme, width] of [["light", 360], ["dark", 1280]]) {
  test(`the live page is accessible and fits, ${colorScheme}, ${width} px`, async (t) => {
    const { page, faults } = await openLive(t, "predictions", { colorScheme, viewport: { width, height: 800 } });
    await rowOf(page, await ask("10042")).waitFor();
    assert.equal(await tail(page).getByRole("status").count(), 1, "screen readers are told nothing");
    await assertAccessible(page, "the live page");
    await assertFits(page, "the live page");
    assertNoFaults(faults, page.url());
  });
}

test("screen readers are told how many came, and not of each", async (t) => {
  const { context, page } = await open(browser, gateway.origin);
  t.after(() => context.close());
  await page.clock.install(); // the page's timers
  await signIn(page, gateway.token);
  await page.goto("predictions");
  await page.getByRole("button", { name: "Pause" }).waitFor();
  const ids = [await ask("10042"), await ask("10043"), await ask("10044")];
  for (const id of ids) await rowOf(page, id).waitFor();
  const said = tail(page).getByRole("status");
  await page.clock.runFor(10_000);
  assert.match(await said.innerText(), /^\d+ new predictions\.$/);
  const before = await said.innerText();
  await page.clock.runFor(60_000);
  assert.equal(await said.innerText(), before, "something is said although nothing came");
});
