// A browser for the tests, and a page that notes what must not happen on it.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The rules of WCAG 2.2, levels A and AA, by axe's tags. */
const wcag = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** Starts Chromium: the program that CHROMIUM names, else chromium. */
export function launch() {
  const program = execFileSync("sh", ["-c", "command -v \"$0\"", process.env.CHROMIUM || "chromium"], { encoding: "utf8" }).trim();
  return chromium.launch({ executablePath: program });
}

/**
 * Opens a page in a context of its own that notes requests to other origins than the
 * gateway's, errors on the console and violations of the content security policy.
 * @param {import("playwright-core").Browser} browser
 * @param {string} origin of the gateway
 * @param {object} [options] of the context
 */
export async function open(browser, origin, options = {}) {
  const context = await browser.newContext({ baseURL: origin + "/console/", locale: "en-GB", timezoneId: "Asia/Tokyo", reducedMotion: "reduce", ...options });
  context.setDefaultTimeout(30_000);
  const faults = [];
  await context.exposeBinding("noteViolation", (_, text) => faults.push(`content security policy: ${text}`));
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (e) => noteViolation(`${e.violatedDirective} refuses ${e.blockedURI} on ${e.documentURI}`));
  });
  if (options.javaScriptEnabled !== false) await context.addInitScript(axeSource);
  context.on("request", (request) => {
    if (new URL(request.url()).origin !== origin) faults.push(`a request to another origin: ${request.url()}`);
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(`console: ${message.text()} (${message.location().url})`);
  });
  context.on("weberror", (error) => faults.push(`script: ${error.error()}`));
  const page = await context.newPage();
  return { context, page, faults };
}

/** Fails if the page noted something since the last call. */
export function assertNoFaults(faults, where) {
  assert.deepEqual(faults.splice(0), [], `on ${where}`);
}

/** Signs in by the form. */
export async function signIn(page, token) {
  await page.goto("./");
  await page.getByLabel("Admin token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Sign out" }).waitFor();
}

/** Opens everything that is folded, and fails if axe finds a violation of WCAG 2.2 AA. */
export async function assertAccessible(page, where) {
  const violations = await page.evaluate(async (tags) => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    const results = await axe.run({ runOnly: tags, resultTypes: ["violations"] });
    return results.violations.map((v) => `${v.id}: ${v.help}\n` + v.nodes.map((n) => `    ${n.target} ${n.html.slice(0, 300)}\n    ${n.failureSummary}`).join("\n"));
  }, wcag);
  assert.deepEqual(violations, [], `axe on ${where}:\n${violations.join("\n")}`);
}

/** Fails if the page is wider than the window, and says which elements are. */
export async function assertFits(page, where) {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    const overall = `${document.documentElement.scrollWidth} px wide, of ${width}`; // text can be wider than its element
    const elements = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1 && !e.parentElement.closest(".scroll"))
      .map((e) => `${e.outerHTML.slice(0, 120)} ends at ${Math.round(e.getBoundingClientRect().right)} of ${width}`);
    return [overall, ...elements];
  });
  assert.deepEqual(wide, [], `${where} scrolls sideways`);
}
