// Everything between a fresh clone and something that runs: system packages, npm packages, both builds, Electron.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** A build folder that was asked for, or one that is kept outside the checkout, or cargo's own. */
export function targetDirectory() {
  if (process.env.CARGO_TARGET_DIR) return process.env.CARGO_TARGET_DIR;
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'zego-express', 'target');
  return existsSync(cache) ? cache : join(root, 'target');
}

/** Runs a command in the project and ends this process with its code when it fails. What it prints goes to stderr. */
export function must(command, ...args) {
  const env = { ...process.env, CARGO_TARGET_DIR: targetDirectory() };
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`failed: ${command} ${args.join(' ')}${error ? ` (${error.message})` : ''}`);
  process.exit(status || 1);
}

/** System packages and npm packages; `--tests` for those that only tests need. */
export function prepareTools(...options) {
  must(process.execPath, 'scripts/system-packages.mjs', ...options);
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) must(npm, 'ci', '--no-audit', '--no-fund');
}

/** The JS face, the native part, and the sample app's way to both. */
export function build() {
  must(npm, 'run', '--silent', 'build');
  linkDemo();
}

/** What `npm install` in the sample app's folder would do: the package under its name. */
function linkDemo() {
  const modules = join(root, 'electron-demo', 'node_modules');
  const link = join(modules, 'zego-express-engine-electron');
  mkdirSync(modules, { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })) rmSync(link, { recursive: true });
  symlinkSync(root, link, 'junction');
}
