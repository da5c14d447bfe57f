// A call without pages: engines in plain Node processes, the room server as its own command.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { endAll, eventually, runServer, startCall, startServer } from './harness.mjs';

/** A process with nothing left to do exits within this time. */
const END_MS = 10_000;

after(endAll);

const inTime = (ended, what) =>
  Promise.race([
    ended,
    new Promise((_, reject) => setTimeout(() => reject(new Error(`${what} does not end`)), END_MS).unref()),
  ]);

test('one Node process publishes, another plays, and both exit', async () => {
  const server = await startServer();
  const { publisher, player } = await startCall(server);
  const [{ players }, { publishers }] = await eventually(
    async () => [await player.stats(), await publisher.stats()],
    ([{ players }]) => players[0].framesDecoded > 30 && players[0].audioPacketsReceived > 50,
  );
  assert.equal(players[0].streamID, 'stream');
  assert.ok(publishers[0].framesSent >= players[0].framesDecoded - 5);
  assert.deepEqual(player.states('onRoomStateUpdate'), [1, 2]);
  assert.deepEqual(player.events.filter(({ param }) => param.errorCode), []);
  await Promise.all([player.call('finish'), publisher.call('finish')]);
  assert.deepEqual(await inTime(player.ended, 'the player'), { code: 0, signal: null });
  assert.deepEqual(await inTime(publisher.ended, 'the publisher'), { code: 0, signal: null });
  server.kill('SIGTERM');
  assert.deepEqual(await inTime(server.ended, 'the server'), { code: 0, signal: null });
});

test('a server stopped during a call shuts down and clients reconnect', async () => {
  const server = await startServer();
  const { publisher, player } = await startCall(server);
  server.kill('SIGTERM');
  assert.deepEqual(await inTime(server.ended, 'the server'), { code: 0, signal: null });
  for (const client of [publisher, player]) {
    const states = await eventually(
      () => client.events.filter(({ event }) => event === 'onRoomStateChanged').map(({ param }) => [param.reason, param.errorCode]),
      (list) => list.length >= 3,
    );
    assert.deepEqual(states.slice(0, 3), [[0, 0], [1, 0], [3, 1002051]]);
    assert.equal(client.states('onRoomStateUpdate').at(-1), 1);
    await client.call('finish');
    assert.deepEqual(await inTime(client.ended, 'a client without a server'), { code: 0, signal: null });
  }
});

test('a server without a key stays on loopback and says why', async () => {
  for (const args of [['--bind', '0.0.0.0'], ['--bind', '0.0.0.0', '--dev']]) {
    const server = runServer('--port', '0', ...args);
    const { code } = await inTime(server.ended, 'the refused server');
    assert.ok(code > 0, `exit code ${code}`);
    assert.match(server.err, /no key is configured|may only listen on loopback/);
    assert.equal(server.out, '');
  }
});

test('Ctrl+C stops a server in a terminal', async () => {
  const server = await startServer();
  server.kill('SIGINT');
  assert.deepEqual(await inTime(server.ended, 'the server'), { code: 0, signal: null });
});
