// Starts gateways in temporary folders.
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const binary = process.env.GATEWAY_BINARY || fileURLToPath(new URL("../../bin/gateway", import.meta.url));

/** Waits until ask returns something true, and returns it. It fails after two minutes. */
export async function eventually(what, ask) {
  const end = Date.now() + 120_000;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not after two minutes: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Makes a temporary folder, and removes it after the test. */
export async function temporaryFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), "console-test-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Returns the environment of a gateway: settings of the caller's own are left out. */
function environment(settings) {
  const inherited = Object.entries(process.env).filter(([name]) => !/^(GATEWAY|AWS|OTEL)_/.test(name));
  return { ...Object.fromEntries(inherited), ...settings };
}

/** Runs a command of the gateway to its end. */
export async function command(args, settings) {
  const { stdout } = await promisify(execFile)(binary, args, { env: environment(settings), maxBuffer: 64 << 20 });
  return stdout;
}

/**
 * Starts a gateway that is stopped after the test, and waits until it answers.
 * @param {object} settings its environment, without its address
 * @returns its origin, and call, which asks its API with the operator's token
 */
export async function start(t, settings = {}) {
  const folder = settings.GATEWAY_DATA_DIR || (await temporaryFolder(t));
  const address = `127.0.0.1:${await freePort()}`;
  const origin = `http://${address}`;
  const child = spawn(binary, ["serve"], {
    env: environment({ GATEWAY_DATA_DIR: folder, ...settings, GATEWAY_ADDR: address }),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let log = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (text) => (log += text));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  t.after(async () => {
    child.kill();
    await ended;
  });
  await eventually(`the gateway answers:\n${log}`, async () => {
    if (child.exitCode !== null) throw new Error(`the gateway has ended:\n${log}`);
    return fetch(`${origin}/livez`).then((answer) => answer.ok, () => false);
  });
  const token = settings.GATEWAY_ADMIN_SECRET_ID ? "" : (await readFile(join(folder, "admin-token"), "utf8")).trim();
  return { origin, token, call: (method, path, body) => call(origin, token, method, path, body) };
}

async function call(origin, token, method, path, body) {
  const answer = await fetch(origin + path, {
    method,
    headers: { Authorization: `Bearer ${token}`, ...(body && { "Content-Type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
}

/** Waits until a model serves and no renewal runs. */
export function settled(gateway) {
  return eventually("a model serves and no renewal runs", async () => {
    const { renewals } = await gateway.call("GET", "/admin/renewals");
    return renewals.length > 0 && renewals.every((r) => r.finished_at);
  });
}

/** Starts a gateway with the data of a simulated month. */
export async function startWithHistory(t) {
  const folder = await temporaryFolder(t);
  await command(["demo", "--days", "30", "--seed", "1"], { GATEWAY_DATA_DIR: folder });
  return start(t, { GATEWAY_DATA_DIR: folder, GATEWAY_DEMO: "false" });
}
