// `npx zego-room-server` on the machines of those who run servers.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { endAll, eventually, startServer } from './harness.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));

after(endAll);

/** Runs a command with an empty file in the place of the library, in a mount namespace of its own. */
const without = (library, ...command) =>
  spawnSync('unshare', ['--mount', 'sh', '-c', 'mount --bind /dev/null "$0" && exec "$@"', library, ...command], { encoding: 'utf8' });

/** Where the library for sound is; `skip` where there is none, or no namespace can be made. */
function soundLibrary() {
  const { stdout } = spawnSync('ldconfig', ['-p'], { encoding: 'utf8' });
  const file = /libasound\.so\.2 .*=> (\S+)/.exec(stdout ?? '')?.[1];
  if (!file) return { skip: 'no libasound here to take away' };
  if (without(file, 'true').status !== 0) return { skip: 'no mount namespaces here (they need root)' };
  return { file, skip: false };
}

const sound = soundLibrary();

test('it starts where no library for sound is installed', { skip: sound.skip }, () => {
  const addon = without(sound.file, process.execPath, '-e', 'require(process.argv[1]).loadNative()', path('../../dist/native.js'));
  assert.match(addon.stderr, /libasound/, 'the library is still there');
  const server = without(sound.file, process.execPath, path('../../bin/zego-room-server.js'), '--version');
  assert.deepEqual([server.status, server.stderr], [0, '']);
});

test('it ends with the process that started it, also when that is killed', async () => {
  const command = await startServer();
  command.kill('SIGKILL');
  const isThere = () => fetch(`http://127.0.0.1:${command.port}/`).then(() => true, () => false);
  await eventually(isThere, (there) => !there, 5000);
});

test('a wrong option is its own exit code', () => {
  const { status, stderr } = spawnSync(process.execPath, [path('../../bin/zego-room-server.js'), '--nonsense'], { encoding: 'utf8' });
  assert.equal(status, 2);
  assert.match(stderr, /--nonsense/);
});
