// npm test: all checks, the fastest first. Ends with one line of counts.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { electronPath } from './electron.mjs';
import { OLDER_VERSION, livekitServer } from './livekit-server.mjs';
import { build, must, prepareTools, root, targetDirectory } from './prepare.mjs';

const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
const total = { passed: 0, failed: 0, skipped: 0 };
const failures = [];
const times = [];

/** Sums up the result lines of cargo's and node's test runners. */
function count(line) {
  const cargo = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line);
  if (cargo) {
    total.passed += Number(cargo[1]);
    total.failed += Number(cargo[2]);
    total.skipped += Number(cargo[3]);
  }
  const node = /^(?:#|ℹ) (pass|fail|skipped) (\d+)/.exec(line);
  if (node) total[{ pass: 'passed', fail: 'failed', skipped: 'skipped' }[node[1]]] += Number(node[2]);
}

/** Runs one step; a failure is recorded and the next steps run all the same. */
async function step(name, command, ...args) {
  console.log(`\n=== ${name}: ${command} ${args.join(' ')}`);
  const started = Date.now();
  const env = { ...process.env, CARGO_TARGET_DIR: targetDirectory() };
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let rest = '';
  child.stdout.on('data', (data) => {
    process.stdout.write(data);
    const lines = (rest + data).split('\n');
    rest = lines.pop();
    lines.forEach(count);
  });
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('close', resolve);
  });
  count(rest);
  times.push(`${name} ${Math.round((Date.now() - started) / 1000)} s`);
  if (code !== 0) failures.push(name);
}

const testFiles = (folder) =>
  readdirSync(join(root, folder))
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => join(folder, name));

prepareTools('--tests');
await step('rust format', 'cargo', 'fmt', '--all', '--check');
await step('typescript lint', npm, 'run', '--silent', 'lint');
/** With the class that only the bench and tests have. */
const workspace = ['--release', '--workspace', '--features', 'zego-express-engine-electron/bench'];
await step('rust lint', 'cargo', 'clippy', ...workspace, '--all-targets', '--', '-D', 'warnings');
await step('circles between files', npm, 'run', '--silent', 'cycles');
await step('rust tests', 'cargo', 'test', ...workspace, '--no-fail-fast');
build();
must(npm, 'run', '--silent', 'build:bench');
// Downloaded now, so that no test has to wait for it.
electronPath();
for (const version of [undefined, OLDER_VERSION]) {
  const { path, reason } = livekitServer(version);
  console.log(`LiveKit server: ${path ?? `none, its tests are skipped: ${reason}`}`);
}
// Real LiveKit clients and their server SDK against the room server.
must(npm, 'ci', '--no-audit', '--no-fund', '--prefix', 'tests/interop');
process.env.ROOM_SERVER_BIN = join(targetDirectory(), 'release', 'room-server');
const one = ['--test', '--test-concurrency=1'];
// Electron is one of the clients and needs a display.
const display = ['scripts/with-display.mjs', process.execPath, ...one];
await step('interop tests', process.execPath, ...display, ...testFiles('tests/interop'));
const older = ['livekit_server', 'livekit_rooms', 'two_nodes'].map((name) => join('tests/interop', `${name}.test.mjs`));
process.env.LIVEKIT_SERVER_VERSION = OLDER_VERSION;
await step(`interop tests, LiveKit server ${OLDER_VERSION}`, process.execPath, ...display, ...older);
delete process.env.LIVEKIT_SERVER_VERSION;
await step('js tests', process.execPath, '--test', ...testFiles('tests/js'));
await step('node tests', process.execPath, ...one, ...testFiles('tests/node'));
await step('network tests', process.execPath, ...one, ...testFiles('tests/network'));
// One file after another: their Electrons share the CPU and a room server's port.
await step('electron tests', process.execPath, ...display, ...testFiles('tests/electron'));
await step('package test', process.execPath, ...display, ...testFiles('tests/package'));

console.log(`\n${times.join(', ')}`);
if (failures.length > 0) console.log(`failed: ${failures.join(', ')}`);
// A step without tests, such as a lint or a build, may fail too.
const failed = Math.max(total.failed, failures.length);
console.log(`${total.passed} passed, ${failed} failed, ${total.skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
