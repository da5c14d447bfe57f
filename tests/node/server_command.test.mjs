// `npx zego-room-server` as an operator runs it.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endAll, eventually, startServer } from './harness.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

after(endAll);

/** Runs a command in its own mount namespace, with an empty file mounted over the library. */
const without = (library, ...command) =>
  spawnSync('unshare', ['--mount', 'sh', '-c', 'mount --bind /dev/null "$0" && exec "$@"', library, ...command], { encoding: 'utf8' });

/** Path of the audio library, or `skip` when there is none or no namespace can be created. */
function audioLibrary() {
  const { stdout } = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' });
  const file = /libasound\.so\.2 .*=> (\S+)/.exec(stdout ?? '')?.[1];
  if (!file) return { skip: 'no libasound here to take away' };
  if (without(file, 'true').status !== 0) return { skip: 'no mount namespaces here (they need root)' };
  return { file, skip: false };
}

const library = audioLibrary();

test('the server starts on a machine without an audio library', { skip: library.skip }, () => {
  const addon = without(library.file, process.execPath, '-e', 'require(process.argv[1]).loadNative()', path('../../dist/load_native.js'));
  assert.match(addon.stderr, /libasound/, 'the library is still there');
  const server = without(library.file, process.execPath, path('../../bin/zego-room-server.js'), '--version');
  assert.deepEqual([server.status, server.stderr], [0, '']);
});

test('the server exits with its parent process, even a killed one', async () => {
  const command = await startServer();
  command.kill('SIGKILL');
  const isThere = () => fetch(`http://127.0.0.1:${command.port}/`).then(() => true, () => false);
  await eventually(isThere, (there) => !there, 5000);
});

test('an invalid option has its own exit code', () => {
  const { status, stderr } = spawnSync(process.execPath, [path('../../bin/zego-room-server.js'), '--nonsense'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /--nonsense/);
});
