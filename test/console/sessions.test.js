// Sessions: they end with the token, and every replica knows them.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { assertNoFaults, launch, open, signIn } from "./browser.js";
import { eventually, start, temporaryFolder } from "./gateway.js";
import { postgres, programs } from "./postgres.js";

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser?.close());

/** Writes the tokens of operators into a file. */
async function secretOf(t) {
  const file = join(await temporaryFolder(t), "tokens.json");
  const write = (token) => writeFile(file, JSON.stringify({ tokens: { ana: token } }));
  return { write, settings: { GATEWAY_ADMIN_SECRET_ID: `file:${file}`, GATEWAY_SECRET_TTL: "1s", GATEWAY_SECRET_GRACE: "0s", GATEWAY_DEMO: "false" } };
}

test("a session ends with its token", async (t) => {
  const secret = await secretOf(t);
  await secret.write("first-token");
  const gateway = await start(t, secret.settings);
  const { context, page, faults } = await open(browser, gateway.origin);
  t.after(() => context.close());
  await signIn(page, "first-token");
  await page.getByText("Signed in as ana").waitFor();
  await secret.write("second-token");
  await page.getByLabel("Admin token").waitFor(); // the page is live, so that it notices by itself
  await page.getByLabel("Admin token").fill("first-token");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This token is not valid.").waitFor();
  faults.splice(0); // the browser writes a refused form on the console
  await signIn(page, "second-token");
  assertNoFaults(faults, page.url());
});

test("wrong tokens are limited", async (t) => {
  const gateway = await start(t, { GATEWAY_DEMO: "false" });
  const { context, page } = await open(browser, gateway.origin);
  t.after(() => context.close());
  await page.goto("sign-in");
  for (let i = 0; i < 11; i++) {
    await page.getByLabel("Admin token").fill("wrong");
    await page.getByRole("button", { name: "Sign in" }).click();
  }
  await page.getByText("Too many wrong tokens from this address").waitFor();
});

/** Distributes connections over addresses in turns, and closes each after its first response. */
async function roundRobin(t, origins) {
  let next = 0;
  const server = createServer((from) => {
    const to = connect(new URL(origins[next++ % origins.length]).port, "127.0.0.1");
    from.on("error", () => to.destroy()).pipe(to);
    to.on("error", () => from.destroy()).pipe(from);
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  return { origin: `http://127.0.0.1:${server.address().port}`, connections: () => next };
}

test("signed in on one replica is signed in on all", { skip: !programs && "PostgreSQL is not installed" }, async (t) => {
  const database = await postgres(t);
  const secret = await secretOf(t);
  await secret.write("first-token");
  const settings = { ...secret.settings, GATEWAY_DB_SECRET_ID: `file:${database}` };
  const replicas = [];
  for (let i = 0; i < 3; i++) replicas.push(await start(t, settings));
  const balancer = await roundRobin(t, replicas.map((r) => r.origin));
  const { context, page, faults } = await open(browser, balancer.origin);
  t.after(() => context.close());
  await signIn(page, "first-token");
  for (const { origin } of replicas) {
    // The same browser, and the cookie that it has for the common address (ports do not matter to cookies).
    await page.goto(`${origin}/console/audit`);
    await page.getByRole("heading", { name: "Audit" }).waitFor();
    await page.getByRole("main").getByText("POST /console/sign-in").first().waitFor();
  }
  faults.splice(0); // the replicas are other origins than the balancer
  for (let i = 0; i < 6; i++) {
    await page.goto(`${balancer.origin}/console/audit`);
    await page.getByRole("heading", { name: "Audit" }).waitFor();
  }
  assertNoFaults(faults, page.url());

  await secret.write("second-token");
  for (const { origin } of replicas) {
    await eventually(`${origin} refuses the session`, async () => {
      await page.goto(`${origin}/console/audit`);
      return page.getByLabel("Admin token").isVisible();
    });
  }
});
