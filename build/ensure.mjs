#!/usr/bin/env node
// The first step of every npm script: installs the packages of the lock file when they are missing or of another
// version, makes the pinned Bun executable without install scripts, then runs it: `node build/ensure.mjs ARGS…`
// is `bun ARGS…` with exactly the Bun of package.json. Plain JavaScript without packages; runs under Node or Bun.
// It must never install anything that the lock file does not name.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const modules = path.join(root, "node_modules");
const bunFile = path.join(modules, "bun", "bin", "bun.exe");
// What the package carries in place of the executable is a text of some hundred bytes.
const executableBytesMin = 1_000_000;

/** Packages of the lock file that this machine needs and does not have in exactly that version. */
function stalePackages(lock) {
  const stale = [];
  for (const [place, entry] of Object.entries(lock.packages)) {
    if (place === "" || entry.link) continue;
    const installed = installedVersion(path.join(root, place, "package.json"));
    if (installed === entry.version) continue;
    if (installed === undefined && isForAnotherMachine(entry)) continue;
    stale.push(`${place.replace("node_modules/", "")}@${entry.version}`);
  }
  return stale;
}

function installedVersion(file) {
  try {
    return JSON.parse(fs.readFileSync(file, "utf8")).version;
  } catch {
    return undefined; // Not there, or half written by an interrupted installation: both mean "install".
  }
}

function isForAnotherMachine(entry) {
  if (!entry.optional) return false;
  // Which libc this machine has is the package manager's to find out; wireBun() sees whether it found the right one.
  if (entry.libc !== undefined) return true;
  const allows = (list, value) => list === undefined || list.includes(value);
  return !allows(entry.os, process.platform) || !allows(entry.cpu, process.arch);
}

/** Installs by npm if there is one, else by the Bun that runs us; neither writes a lock file. */
function install(reason) {
  const attempts = [
    { program: "npm", args: ["ci", "--ignore-scripts", "--no-audit", "--no-fund"] },
    {
      program: process.versions.bun === undefined ? "bun" : process.execPath,
      args: ["install", "--frozen-lockfile", "--ignore-scripts"],
    },
  ];
  process.stderr.write(`Installing packages (${reason}) …\n`);
  for (const { program, args } of attempts) {
    const result = spawnSync(program, args, { cwd: root, stdio: ["ignore", 2, 2] });
    if (result.error?.code === "ENOENT") continue;
    if (result.status === 0) return;
    fail(
      `${program} ${args.join(" ")} ended with ${result.status ?? result.signal}; see its words above.`,
    );
  }
  fail(
    "neither npm nor bun is on this machine: install Node.js 20 or later (it brings npm), or Bun.",
  );
}

/**
 * Puts the platform package's executable where `node_modules/.bin/bun` points. Bun's own postinstall script would do
 * this, but install scripts are often switched off, and it may download from a place that nobody chose.
 */
function wireBun() {
  if (fileBytes(bunFile) >= executableBytesMin) return true;
  const vendor = path.join(modules, "@oven");
  if (!fs.existsSync(vendor)) return false;
  for (const name of fs.readdirSync(vendor)) {
    const source = ["bun", "bun.exe"]
      .map((file) => path.join(vendor, name, "bin", file))
      .find((file) => fileBytes(file) >= executableBytesMin);
    if (source === undefined) continue;
    // A package for another libc or processor does not start here; only the machine can tell.
    if (spawnSync(source, ["--version"], { stdio: "ignore" }).status !== 0) continue;
    for (const target of [bunFile, path.join(path.dirname(bunFile), "bunx.exe")])
      putBeside(source, target);
    return true;
  }
  return false;
}

function fileBytes(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function putBeside(source, target) {
  const beside = `${target}.${process.pid}`;
  try {
    fs.linkSync(source, beside);
  } catch {
    fs.copyFileSync(source, beside); // Another file system, or one without hard links.
  }
  fs.chmodSync(beside, 0o755);
  fs.renameSync(beside, target);
}

function fail(sentence) {
  process.stderr.write(`quorate: ${sentence}\n`);
  process.exit(1);
}

function ensure() {
  const lock = JSON.parse(fs.readFileSync(path.join(root, "package-lock.json"), "utf8"));
  const stale = stalePackages(lock);
  if (stale.length > 0) {
    install(stale.length > 3 ? `${stale.length} missing or stale` : stale.join(", "));
    const still = stalePackages(lock);
    if (still.length > 0) fail(`the installation left out ${still.join(", ")}.`);
  }
  if (!wireBun())
    fail(
      "no Bun executable for this machine came with the packages; remove node_modules and try again.",
    );
}

function run(args) {
  const bin = path.join(modules, ".bin");
  const env = { ...process.env, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ""}` };
  const child = spawn(bunFile, args, { stdio: "inherit", env });
  // A Ctrl-C reaches the child from the terminal itself; we only stay until it has stopped cleanly.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`cannot start ${bunFile}: ${error.message}`));
  child.on("exit", (code, signal) => {
    process.exit(code ?? 128 + (signal === "SIGINT" ? 2 : signal === "SIGKILL" ? 9 : 15));
  });
}

ensure();
if (process.argv.length > 2) run(process.argv.slice(2));
