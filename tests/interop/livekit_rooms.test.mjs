// Rooms and lost connections with a real LiveKit server, where it behaves differently from ours.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { endAll as endClients, eventually, startClient } from '../node/harness.mjs';
import { endAll, server, startNode } from './nodes.mjs';

const skip = server.reason ?? false;
const CONNECTED = 2;
const PUBLISHING = 2;
const DELETE = 1;
const TAKEN = 1003028;
const MAX_STALL_MS = 4000;
let node;

before(async () => {
  if (!skip) node = await startNode();
});

after(async () => {
  endClients();
  await endAll();
});

const eventsOf = (client, name) => client.events.filter(({ event }) => event === name).map(({ param }) => param);
const hears = (client, name, accept = Boolean) => eventually(() => eventsOf(client, name), (list) => list.some(accept));
const frames = async (client) => (await client.stats()).players[0]?.framesDecoded ?? 0;

async function enters(room, userID, at = node) {
  const client = await startClient(at);
  await client.call('loginRoom', room, { userID, userName: userID });
  await hears(client, 'onRoomStateUpdate', ({ state }) => state === CONNECTED);
  return client;
}

async function publishes(client, streamID) {
  await client.call('startPublishingStream', streamID);
  await hears(client, 'onPublisherStateUpdate', ({ state }) => state === PUBLISHING);
}

const leave = (...clients) => Promise.all(clients.map((client) => client.call('finish')));

test('extra info of a room and of a stream reaches the others', { skip }, async () => {
  const [a, b] = await Promise.all([enters('info', 'a'), enters('info', 'b')]);
  await publishes(a, 'stream');
  assert.deepEqual(await a.call('setRoomExtraInfo', 'info', 'topic', 'cats'), { errorCode: 0 });
  assert.deepEqual(await a.call('setStreamExtraInfo', 'first'), { errorCode: 0 });
  await hears(b, 'onRoomExtraInfoUpdate', ({ roomExtraInfoList: [{ value, updateUser }] }) => value === 'cats' && updateUser.userID === 'a');
  await hears(b, 'onRoomStreamExtraInfoUpdate', ({ streamList }) => streamList[0].extraInfo === 'first');
  const c = await enters('info', 'c');
  await hears(c, 'onRoomExtraInfoUpdate', ({ roomExtraInfoList }) => roomExtraInfoList[0].value === 'cats');
  await a.call('finish');
  await hears(b, 'onRoomStreamUpdate', ({ updateType }) => updateType === DELETE);
  const d = await enters('info', 'd');
  await hears(d, 'onRoomExtraInfoUpdate', ({ roomExtraInfoList }) => roomExtraInfoList[0].value === 'cats');
  await leave(b, c, d);
});

test('of two simultaneous publishers of a stream the older session wins', { skip }, async () => {
  const older = await enters('same', 'older');
  const younger = await enters('same', 'younger');
  await Promise.all([older.call('startPublishingStream', 'same'), younger.call('startPublishingStream', 'same')]);
  await hears(younger, 'onPublisherStateUpdate', ({ state, errorCode }) => state === 0 && errorCode === TAKEN);
  await hears(older, 'onPublisherStateUpdate', ({ state }) => state === PUBLISHING);
  assert.ok(eventsOf(older, 'onPublisherStateUpdate').every(({ errorCode }) => errorCode === 0));
  await leave(older, younger);
});

test('a guest plays a stream of another room', { skip }, async () => {
  const [a, b] = await Promise.all([enters('far', 'a'), enters('near', 'b')]);
  await publishes(a, 'far-stream');
  await b.call('startPlayingStream', 'far-stream', null, { roomID: 'far' });
  await eventually(() => frames(b), (count) => count > 5);
  await leave(a, b);
});

test('signalling resumes after a cut while video continues', { skip }, async () => {
  const sockets = new Set();
  const relay = createServer((client) => {
    const upstream = connect(Number(new URL(node.url).port), '127.0.0.1');
    for (const [from, to] of [[client, upstream], [upstream, client]]) {
      from.pipe(to);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
    }
    sockets.add(client);
  }).listen(0, '127.0.0.1');
  await once(relay, 'listening');
  const at = { url: `ws://127.0.0.1:${relay.address().port}` };
  try {
    const [a, b] = await Promise.all([enters('cut', 'a', at), enters('cut', 'b', at)]);
    await publishes(a, 'stream');
    await b.call('startPlayingStream', 'stream');
    await eventually(() => frames(b), (count) => count > 15);
    await b.call('watchFrames');
    for (const socket of sockets) socket.destroy();
    for (const client of [a, b]) await hears(client, 'onRoomStateChanged', ({ reason }) => reason === 4);
    const before = await frames(b);
    await eventually(() => frames(b), (count) => count > before + 15);
    const { longestStallMs } = await b.call('watchedFrames');
    console.log(`longest stall ${Math.round(longestStallMs)} ms`);
    assert.ok(longestStallMs < MAX_STALL_MS, `${longestStallMs} ms`);
    assert.deepEqual(eventsOf(b, 'onPlayerStateUpdate').map(({ state }) => state), [1, 2]);
    assert.equal(eventsOf(b, 'onRoomStreamUpdate').length, 1);
    await leave(a, b);
  } finally {
    relay.close();
  }
});

test('a room re-forms after its node restarts and nobody seems to leave', { skip }, async () => {
  const first = await startNode();
  const port = new URL(first.url).port;
  const [a, b] = await Promise.all([enters('killed', 'a', first), enters('killed', 'b', first)]);
  await publishes(a, 'stream');
  await b.call('startPlayingStream', 'stream');
  await eventually(() => frames(b), (count) => count > 5);
  await first.kill();
  await hears(b, 'onRoomStateChanged', ({ reason }) => reason === 3);
  await startNode({ port });
  for (const client of [a, b]) await hears(client, 'onRoomStateChanged', ({ reason }) => reason === 4);
  const before = await frames(b);
  await eventually(() => frames(b), (count) => count > before + 15);
  assert.equal(eventsOf(b, 'onRoomStreamUpdate').length, 1);
  await leave(a, b);
});
