// Makes sure that the system packages for building, tests and demo are there: installs them with apt as root, else
// prints the line to run.
import { spawnSync } from 'node:child_process';

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

const packages = [...BUILD, ...ELECTRON];

function isInstalled(name) {
  const { stdout } = spawnSync('dpkg-query', ['--show', '--showformat=${db:Status-Status}', name], { encoding: 'utf8' });
  return stdout === 'installed';
}

function main() {
  if (process.platform !== 'linux' || spawnSync('dpkg-query', ['--version']).error) return 0;
  const missing = packages.filter((name) => !isInstalled(name));
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
