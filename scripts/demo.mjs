// npm run demo [-- --check]: sets everything up and opens the sample app; with --check it runs a call by itself, on a
// screen of its own if there is none, with fake devices, and prints one line of JSON.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { electronPath } from './electron.mjs';
import { build, prepareTools, root } from './prepare.mjs';

const check = process.argv.includes('--check');
prepareTools();
build();
const electron = electronPath();

const work = mkdtempSync(join(tmpdir(), 'zego-demo-'));
const fakes = { ZEGO_FAKE_CAMERA: 'pattern', ZEGO_FAKE_MICROPHONE: 'tone', ZEGO_FAKE_SPEAKER: 'null' };
const env = { ...process.env, ...(check ? { ...fakes, DEMO_CHECK_FOLDER: work } : {}) };
delete env.ELECTRON_RUN_AS_NODE;
// Chromium's own sandbox does not work for root and in most containers.
const sandbox = process.platform === 'linux' && process.getuid() === 0 ? ['--no-sandbox'] : [];
const command = [electron, ...sandbox, join(root, 'electron-demo'), ...(check ? ['--check'] : [])];
const { status } = spawnSync(process.execPath, [join(root, 'scripts', 'with-display.mjs'), ...command], { env, stdio: 'inherit' });
rmSync(work, { recursive: true, force: true });
process.exitCode = status ?? 1;
