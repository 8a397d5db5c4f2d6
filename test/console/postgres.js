// A temporary PostgreSQL from installed programs.
import { execFileSync, spawn } from "node:child_process";
import { chownSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually, freePort, temporaryFolder } from "./gateway.js";

const installed = "/usr/lib/postgresql";

/** The folder of the programs of the newest installed PostgreSQL; undefined: there is none. */
export const programs = existsSync(installed)
  ? readdirSync(installed).sort((a, b) => b - a).map((version) => join(installed, version, "bin")).find((bin) => existsSync(join(bin, "postgres")))
  : undefined;

/** Starts a server that is stopped after the test, and returns the path of the secret of its database. */
export async function postgres(t) {
  const folder = await temporaryFolder(t);
  const options = { cwd: folder, stdio: "ignore" };
  const password = join(folder, "password");
  writeFileSync(password, "secret");
  if (process.getuid() === 0) { // PostgreSQL does not run as root
    const idOf = (flag) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
    [options.uid, options.gid] = [idOf("-u"), idOf("-g")];
    for (const path of [folder, password]) chownSync(path, options.uid, options.gid);
  }
  const data = join(folder, "data");
  execFileSync(join(programs, "initdb"), ["-D", data, "-U", "owner", "--pwfile", password, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"], options);
  const port = await freePort();
  const server = spawn(join(programs, "postgres"), ["-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"], options);
  const ended = new Promise((resolve) => server.once("exit", resolve));
  t.after(async () => {
    server.kill("SIGINT"); // ends the sessions of clients, too
    await ended;
  });
  await eventually("PostgreSQL is ready", () => {
    if (server.exitCode !== null) throw new Error("PostgreSQL has ended");
    const file = join(data, "postmaster.pid");
    return existsSync(file) && readFileSync(file, "utf8").split("\n")[7]?.trim() === "ready";
  });
  const secret = join(folder, "database.json");
  writeFileSync(secret, JSON.stringify({ engine: "postgres", host: "127.0.0.1", port, username: "owner", password: "secret", dbname: "postgres", sslmode: "disable" }));
  return secret;
}
