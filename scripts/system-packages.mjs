// Makes sure that the system packages for building, tests and demo are there: installs them with apt as root, else
// prints the line to run.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const BUILD = ['build-essential', 'clang', 'cmake', 'libasound2-dev', 'libclang-dev', 'nasm', 'pkg-config'];
const ELECTRON = [
  'libasound2',
  'libatk-bridge2.0-0',
  'libgbm1',
  'libgtk-3-0',
  'libnss3',
  'libxss1',
  'xauth',
  'xvfb',
];

/** For the test that plays and records through a real sound server. */
const SOUND = ['libasound2-plugins', 'pulseaudio'];
/** Libraries that were renamed with the change to 64-bit time, in Debian 13 and Ubuntu 24.04. */
const RENAMED = new Set(['libasound2', 'libatk-bridge2.0-0', 'libgtk-3-0']);

/** Whether this system has the names with `t64`. */
function hasTime64Names() {
  const release = Object.fromEntries(
    readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .map((line) => line.split('=').map((part) => part.replace(/"/g, ''))),
  );
  const since = { debian: 13, ubuntu: 24.04 }[release.ID];
  return since !== undefined && Number(release.VERSION_ID) >= since;
}

function packages() {
  const suffix = hasTime64Names() ? 't64' : '';
  const names = [...BUILD, ...ELECTRON, ...SOUND].map((name) => (RENAMED.has(name) ? `${name}${suffix}` : name));
  // The fallback for Electron's binary comes by pip.
  if (spawnSync('python3', ['-m', 'pip', '--version']).status !== 0) names.push('python3-pip');
  return names;
}

function isInstalled(name) {
  const { stdout } = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status}', name], { encoding: 'utf8' });
  return stdout === 'installed';
}

function main() {
  if (process.platform !== 'linux' || spawnSync('dpkg-query', ['--version']).error) return 0;
  const missing = packages().filter((name) => !isInstalled(name));
  if (missing.length === 0) return 0;
  const install = ['install', '--yes', '--no-install-recommends', ...missing];
  if (process.getuid() !== 0) {
    console.error(`packages are missing, run: sudo apt-get ${install.join(' ')}`);
    return 1;
  }
  spawnSync('apt-get', ['update'], { stdio: 'inherit' });
  return spawnSync('apt-get', install, { stdio: 'inherit' }).status ?? 1;
}

process.exitCode = main();
