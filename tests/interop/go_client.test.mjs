// LiveKit's Go SDK, which sends no signalling pings and answers only those of the WebSocket.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join as joinPath } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { dispose } from '@livekit/rtc-node';

import { join, publishAudio, publishVideo, startServer, token } from './harness.mjs';

const skip = spawnSync('go', ['version']).error ? 'there is no Go to build a Go client with' : false;
const source = fileURLToPath(new URL('./go_client', import.meta.url));
const folder = mkdtempSync(joinPath(tmpdir(), 'go-client-'));
const client = joinPath(folder, 'client');
let server;

before(async () => {
  if (skip) return;
  const { status } = spawnSync('go', ['build', '-o', client, '.'], { cwd: source, env: { ...process.env, GOFLAGS: '' }, stdio: ['ignore', 2, 2] });
  assert.equal(status, 0, 'the Go client could not be built, see above');
  server = await startServer();
});
after(async () => {
  rmSync(folder, { recursive: true });
  await server?.stop();
  await dispose();
});

/** The output of a Go client that stays for the given time. */
async function stay(identity, time, ...more) {
  const { stdout } = await promisify(execFile)(client, [server.url, await token(identity), time, ...more]);
  return stdout.trim().split('\n');
}

test('Go clients stay connected and receive media on one peer connection', { skip }, async (t) => {
  const publisher = await join(server, 'publisher');
  t.after(() => publisher.leave());
  await publishAudio(publisher);
  await publishVideo(publisher);
  // Longer than the server's inactivity timeout of 20 s.
  const [two, one] = await Promise.all([stay('two', '24s'), stay('one', '24s', 'single')]);
  for (const words of [two, one]) assert.deepEqual(words.sort(), ['audio/opus', 'connected', 'left', 'video/VP8']);
});
