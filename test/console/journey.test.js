// What an operator does, once with scripts and once without.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { assertNoFaults, launch, open, signIn } from "./browser.js";
import { eventually, settled, start } from "./gateway.js";

const hyperparameters = "Hyperparameters, one name=value a line"; // the label of the field

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

for (const scripts of [true, false]) {
  test(`an operator's journey ${scripts ? "with" : "without"} scripts`, async (t) => {
    const gateway = await start(t);
    await settled(gateway);
    const { context, page, faults } = await open(browser, gateway.origin, { javaScriptEnabled: scripts });
    t.after(() => context.close());
    await signIn(page, gateway.token);
    const operator = new Operator(page, scripts);

    await t.test("starts a renewal and watches it", async () => {
      await operator.startRenewal({ Reason: "new customers", Gate: "off" });
      await operator.waitForState("succeeded");
      const text = await page.getByRole("main").innerText();
      assert.match(text, /manual: new customers/);
      for (const step of ["export", "convert", "train", "register", "evaluate", "deploy", "verify"]) assert.ok(text.includes(step), `no step ${step}`);
      assertNoFaults(faults, page.url());
    });

    await t.test("has a renewal rejected by the gate", async () => {
      await operator.startRenewal({ Gate: "auc:0.9" });
      await operator.waitForState("rejected");
      assert.match(await page.locator("#state").innerText(), /gate|auc/i);
      assertNoFaults(faults, page.url());
    });

    await t.test("has a renewal fail, and resumes it with changed settings", async () => {
      await operator.startRenewal({ Algorithm: "xgboost", [hyperparameters]: "num_round=0", Gate: "off" });
      await operator.waitForState("failed");
      assert.match(await page.locator("#state .problem").innerText(), /num_round/, "the error does not name the hyperparameter");
      await operator.fill(page.locator("#resume"), { [hyperparameters]: "num_round=20" });
      await operator.confirm("Resume…", "Resume the renewal");
      await operator.waitForState("succeeded");
      const attempts = await page.locator("#attempts").innerText();
      assert.match(attempts, /train, attempt 1: failed/);
      assert.match(attempts, /train, attempt 2: succeeded/);
      assertNoFaults(faults, page.url());
    });

    await t.test("rolls back to the model before", async () => {
      await operator.goTo("Models");
      const served = page.locator("tbody tr").filter({ hasText: "served" }).filter({ hasNotText: "never served" }).first();
      const former = await served.getByRole("rowheader").innerText();
      await served.getByRole("link").click();
      await operator.confirm("Roll back to this model…", "Roll back");
      await page.getByRole("heading", { level: 1, name: former }).waitFor();
      await page.getByRole("main").getByText("serving", { exact: true }).first().waitFor();
      const { models } = await gateway.call("GET", "/admin/models");
      assert.equal(models.find((m) => m.serving).name, former);
      assertNoFaults(faults, page.url());
    });

    let prediction; // path of its page
    await t.test("tries a prediction, and what another value would change", async () => {
      await operator.goTo("Try");
      await page.getByLabel("Customer", { exact: true }).fill("10042");
      await page.getByRole("button", { name: "Predict" }).click();
      const answer = page.getByRole("region", { name: "Answer" });
      assert.match(await answer.innerText(), /Score\s+[\d.,]+/);
      assert.match(await answer.innerText(), /curl/);
      prediction = await answer.getByRole("link").first().getAttribute("href");
      await page.getByLabel("campaign", { exact: true }).fill("9");
      await page.getByRole("button", { name: "What if" }).click();
      await page.getByRole("heading", { name: "What if" }).waitFor();
      assert.match(await answer.innerText(), /changed by/);
      assert.match(await answer.innerText(), /not recorded/);
      assertNoFaults(faults, page.url());
    });

    await t.test("finds the prediction by its customer, and reports its outcome", async () => {
      const id = prediction.split("/").pop();
      await eventually("the prediction is in the ledger", async () => {
        await operator.goTo("Predictions");
        await page.getByLabel("Customer", { exact: true }).fill("10042");
        await page.getByRole("button", { name: "Find" }).click();
        return page.locator(`main a[href$="${id}"]`).isVisible();
      });
      await page.locator(`main a[href$="${id}"]`).click();
      await page.getByRole("heading", { name: "Report an outcome" }).waitFor();
      assert.match(await page.getByRole("main").innerText(), /not known/);
      await page.locator("#outcome").selectOption({ index: 1 });
      const chosen = await page.locator("#outcome option").nth(1).innerText();
      await operator.confirm("Report…", "Report it");
      await page.locator("table").getByText(chosen, { exact: true }).first().waitFor();
      assert.doesNotMatch(await page.getByRole("main").innerText(), /not known/);
      assertNoFaults(faults, page.url());
    });

    await t.test("sees all of it in the audit log", async () => {
      await operator.goTo("Audit");
      const acts = await page.getByRole("main").innerText();
      assert.match(acts, /POST \/console\/renewals/);
      for (const act of ["resume", "rollback", "outcome"]) assert.ok(acts.includes(act), `no ${act} in ${acts}`);
      assertNoFaults(faults, page.url());
    });

    await t.test("signs out", async () => {
      const cookies = await context.cookies();
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Admin token").waitFor();
      assert.equal(cookies.length, 1);
      assert.deepEqual(await context.cookies(), []);
      await page.goto("audit");
      await page.getByLabel("Admin token").waitFor();
      assertNoFaults(faults, page.url());
    });
  });
}

/** Uses the console by what is seen of it: labels, buttons, links. */
class Operator {
  constructor(page, scripts) {
    this.page = page;
    this.scripts = scripts;
  }

  goTo(name) {
    return this.page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name, exact: true }).click();
  }

  /** Fills fields by their labels, and unfolds first what is folded. */
  async fill(form, fields) {
    for (const summary of await form.locator("details:not([open]) > summary").all()) await summary.click();
    for (const [label, value] of Object.entries(fields)) await form.getByLabel(label, { exact: true }).fill(value);
  }

  /** Sends a form, and confirms it on the page that asks once more. */
  async confirm(button, once) {
    await this.page.getByRole("button", { name: button }).click();
    await this.page.getByRole("button", { name: once, exact: true }).click();
    await this.page.locator("[name=confirmed]").waitFor({ state: "detached" }); // a reload must not meet the answer on its way
  }

  /** Starts a renewal, which leads to its page. */
  async startRenewal(fields) {
    await this.goTo("Renewals");
    await this.fill(this.page.locator("#start"), fields);
    await this.confirm("Start…", "Start the renewal");
    await this.page.locator("#state").waitFor();
  }

  /** Waits for the state of the renewal that the page shows. With scripts the page changes by itself. */
  async waitForState(state) {
    const shown = this.page.locator("#state .state");
    if (this.scripts) {
      await this.page.evaluate(() => (window.notReloaded = true));
      await shown.getByText(state, { exact: true }).waitFor({ timeout: 120_000 });
      assert.ok(await this.page.evaluate(() => window.notReloaded), "the page was loaded anew");
      return;
    }
    await eventually(`the renewal is ${state}`, async () => {
      await this.page.reload();
      return (await shown.first().innerText()) === state;
    });
  }
}
