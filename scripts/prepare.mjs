// Set-up of a fresh clone: system packages, npm packages, both builds, Electron.
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';

/** The requested build folder, or one outside the checkout, or cargo's default. */
export function targetDirectory() {
  if (process.env.CARGO_TARGET_DIR) return process.env.CARGO_TARGET_DIR;
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'zego-express', 'target');
  return existsSync(cache) ? cache : join(root, 'target');
}

/** Runs a command in the project, its output to stderr. Exits with its code if it fails. */
export function must(command, ...args) {
  const env = { ...process.env, CARGO_TARGET_DIR: targetDirectory() };
  const { status, error } = spawnSync(command, args, { cwd: root, env, stdio: ['ignore', 2, 2] });
  if (status === 0) return;
  console.error(`failed: ${command} ${args.join(' ')}${error ? ` (${error.message})` : ''}`);
  process.exit(status || 1);
}

/** Installs system and npm packages; `--tests` adds those that only tests need. */
export function prepareTools(...options) {
  must(process.execPath, 'scripts/system-packages.mjs', ...options);
  if (!existsSync(join(root, 'node_modules', '.package-lock.json'))) must(npm, 'ci', '--no-audit', '--no-fund');
}

/** Builds the JS face and the native part, and links the package into the sample app. */
export function build() {
  must(npm, 'run', '--silent', 'build');
  linkDemo();
}

/** Links the package under its name, as `npm install` in the sample app's folder would. */
function linkDemo() {
  const modules = join(root, 'electron-demo', 'node_modules');
  const link = join(modules, 'zego-express-engine-electron');
  mkdirSync(modules, { recursive: true });
  if (lstatSync(link, { throwIfNoEntry: false })) rmSync(link, { recursive: true });
  symlinkSync(root, link, 'junction');
}
