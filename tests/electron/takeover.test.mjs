// The room server is killed during a call: the call recovers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DELETE, Member, freePort, listens, startServer } from './call_members.mjs';
import { eventually } from './harness.mjs';

/** Port at which engines without a configured server look for one or start it. */
const EMBEDDED_PORT = 7880;
const PORT_FREE_MS = 60000;
/** From the death of the server until both see each other again. */
const RECOVERY_MS = 10000;
const INTERRUPTED = { room: '1:1002051', publisher: '1:1003020', player: '1:1004020' };
const GOES_ON = '2:0';

/** Lets two users enter, one after the other, and play each other. */
async function call(a, b, server) {
  await a.enter(server);
  await b.enter(server);
  await a.call('startPlayingStream', b.userID);
  await b.call('startPlayingStream', a.userID);
  await Promise.all([a.watches(b.userID), b.watches(a.userID)]);
}

/** By the time `end` the user had one interruption reported and sees the other user again. */
async function recovers(member, other, end) {
  const left = () => Math.max(0, end - Date.now());
  const untilStates = (name, expected) =>
    eventually(() => member.states(name).slice(2), (states) => states.join() === expected.join(), left());
  await untilStates('onRoomStateUpdate', [INTERRUPTED.room, GOES_ON]);
  await untilStates('onPublisherStateUpdate', [INTERRUPTED.publisher, GOES_ON]);
  await untilStates('onPlayerStateUpdate', [INTERRUPTED.player, GOES_ON]);
  await member.watches(other.userID, left());
}

test('users reconnect when the process with the embedded server is killed', async () => {
  await eventually(() => listens(EMBEDDED_PORT), (busy) => !busy, PORT_FREE_MS);
  const [carrier, a, b] = ['carrier', 'A', 'B'].map((userID) => new Member(userID));
  try {
    await carrier.enter();
    await call(a, b);
    const end = Date.now() + RECOVERY_MS;
    await carrier.kill();
    await Promise.all([recovers(a, b, end), recovers(b, a, end)]);
    assert.ok(await listens(EMBEDDED_PORT), 'one of them carries the server now');
    await Promise.all([a.sees('carrier', DELETE), b.sees('carrier', DELETE)]);
  } finally {
    await Promise.all([a.leave(), b.leave(), carrier.leave()]);
  }
});

test('a call continues after its server is killed and restarted', async () => {
  const port = await freePort();
  const address = `ws://127.0.0.1:${port}`;
  let server = await startServer(port);
  const [a, b] = ['A', 'B'].map((userID) => new Member(userID));
  try {
    await call(a, b, address);
    await server.kill();
    for (const member of [a, b]) {
      await eventually(() => member.states('onRoomStateUpdate').at(-1), (state) => state === INTERRUPTED.room, RECOVERY_MS);
    }
    const end = Date.now() + RECOVERY_MS;
    server = await startServer(port);
    await Promise.all([recovers(a, b, end), recovers(b, a, end)]);
  } finally {
    await Promise.all([a.leave(), b.leave()]);
    await server.kill();
  }
});
