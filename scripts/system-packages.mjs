// Makes sure that the system packages for building and demo, with --tests also those for the tests, are there: installs
// them with apt as root, else prints the line to run.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const BUILD = ['build-essential', 'clang', 'cmake', 'libasound2-dev', 'libclang-dev', 'libvpx-dev', 'nasm', 'pkg-config'];
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

/** For the test that plays and records through a real audio server. */
const SOUND = ['libasound2-plugins', 'pulseaudio', 'pulseaudio-utils'];
/** For the tests with a wrong clock, and with files of real tools. */
const TOOLS = ['faketime', 'ffmpeg'];
/** For the tests against a cluster of LiveKit servers. */
const CLUSTER = ['redis-server'];
/** For the tests with firewalls, a third-party TURN server and company certificates. */
const NETWORK = ['coturn', 'iproute2', 'iptables', 'libnss3-tools', 'openssl'];
/** For the tests with browsers. Only Debian has them under these names. */
const BROWSER = ['chromium', 'firefox-esr'];
/** Libraries that were renamed for 64-bit time, in Debian 13 and Ubuntu 24.04. */
const RENAMED = new Set(['libasound2', 'libatk-bridge2.0-0', 'libgtk-3-0']);

const release = () =>
  Object.fromEntries(
    readFileSync('/etc/os-release', 'utf8')
      .split('\n')
      .map((line) => line.split('=').map((part) => part.replace(/"/g, ''))),
  );

/** Whether this system has the names with `t64`. */
function hasTime64Names({ ID, VERSION_ID }) {
  const since = { debian: 13, ubuntu: 24.04 }[ID];
  return since !== undefined && Number(VERSION_ID) >= since;
}

function packages() {
  const system = release();
  const suffix = hasTime64Names(system) ? 't64' : '';
  const browser = system.ID === 'debian' ? BROWSER : [];
  const forTests = process.argv.includes('--tests') ? [...SOUND, ...TOOLS, ...CLUSTER, ...NETWORK, ...browser] : [];
  const names = [...BUILD, ...ELECTRON, ...forTests].map((name) => (RENAMED.has(name) ? `${name}${suffix}` : name));
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
