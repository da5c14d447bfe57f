// The same application code against a real LiveKit server.
import assert from 'node:assert/strict';
import { dirname, join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { VideoCodec, VideoStream, TrackKind, dispose } from '@livekit/rtc-node';
import { _electron } from 'playwright-core';
import { electronPath } from '../../scripts/electron.mjs';
import { ADD, DELETE, Member, ROOM } from '../electron/call_members.mjs';
import { eventually } from '../electron/harness.mjs';
import { join as joinAsStock, publishAudio, publishVideo } from './harness.mjs';
import { readStrip } from '../../electron-demo/strip_reader.js';
import { endAll, server, startNode } from './nodes.mjs';

const skip = server.reason ?? false;
const app = join(dirname(fileURLToPath(import.meta.url)), '../../bench/call/app');
const SIZE = { captureWidth: 640, captureHeight: 360, encodeWidth: 640, encodeHeight: 360, fps: 15, bitrate: 600 };
/** Users that only listen are announced in batches every three seconds. */
const AUDIENCE_MS = 8000;
let node;
let leaving = [];

before(async () => {
  if (!skip) node = await startNode();
});

after(async () => {
  await endAll();
  await dispose();
});

afterEach(async () => {
  await Promise.all(leaving.map((member) => member.leave()));
  leaving = [];
});

async function member(userID, { publishes = true } = {}) {
  const it = new Member(userID);
  leaving.push(it);
  if (publishes) await it.enter(node.url);
  else await it.login(node.url);
  return it;
}

async function stock(identity) {
  const it = await joinAsStock(node, identity, { grant: { room: ROOM } });
  leaving.push(it);
  return it;
}

/** Statistics of a stream that a member plays. */
async function playing(member, streamID) {
  const { players } = JSON.parse(await member.call('callExperimentalAPI', '{"method":"getStats"}'));
  return players.find((player) => player.streamID === streamID);
}

const OURS = 'page.html';
const LIVEKIT_CLIENT = 'peer.html';
for (const [what, publisher, subscriber, streamID] of [
  ['this engine sees this engine', OURS, OURS, 'stream'],
  ['livekit-client sees this engine', OURS, LIVEKIT_CLIENT, 'stream'],
  ['this engine sees livekit-client', LIVEKIT_CLIENT, OURS, 'publisher'],
]) {
  test(`frame by frame, on a canvas: ${what}`, { skip }, async () => {
    const electron = await _electron.launch({ executablePath: electronPath(), args: ['--no-sandbox', app] });
    try {
      const room = what.replaceAll(' ', '-');
      const open = async (file, name) => {
        const opened = electron.waitForEvent('window');
        await electron.evaluate((_, it) => global.openWindow(it.file, it.name), { file, name });
        const page = await opened;
        await page.waitForFunction(() => typeof window.play === 'function');
        return page;
      };
      const from = await open(publisher, 'publisher');
      await from.evaluate(([url, room, size]) => window.publish(url, room, size), [node.url, room, SIZE]);
      const to = await open(subscriber, 'subscriber');
      const args = [node.url, room, SIZE, streamID];
      await to.evaluate(([url, room, size, streamID]) => window.play(url, room, size, streamID), args);
      // The strip of every frame was read: it was captured just before.
      await eventually(() => to.evaluate(() => window.report()), ({ frames, p50 }) => frames > 30 && p50 < 1000, 10000);
    } finally {
      await electron.close();
    }
  });
}

test('audio between two engines arrives at its level', { skip }, async () => {
  const a = await member('A');
  const b = await member('B');
  await b.call('startPlayingStream', 'A');
  await b.watches('A');
  // A tone of -20 dBFS with a louder burst of 100 ms in every second.
  const level = async () => (await playing(b, 'A')).jitterBuffer.levelDbfs;
  await eventually(level, (dbfs) => dbfs > -24 && dbfs < -5, 5000);
  assert.deepEqual(a.states('onPublisherStateUpdate'), ['1:0', '2:0']);
  assert.deepEqual(b.states('onPlayerStateUpdate'), ['1:0', '2:0']);
  assert.deepEqual(b.states('onRoomStateUpdate'), ['1:0', '2:0']);
});

test('a stock client in Node decodes our video, and we play its media', { skip }, async () => {
  const hans = await stock('hans');
  const counters = new Set();
  hans.room.on('trackSubscribed', async (track) => {
    if (track.kind !== TrackKind.KIND_VIDEO) return;
    for await (const { frame } of new VideoStream(track)) {
      const { width, height, data } = frame;
      // The reader wants four bytes a pixel and looks at the first; the strip is grey, so the luma serves.
      const grey = new Proxy(data, { get: (luma, index) => luma[Number(index) / 4] });
      const strip = readStrip({ width, height, data: grey });
      if (Math.abs(Date.now() - strip?.captured) < 1000) counters.add(strip.counter);
    }
  });
  const a = await member('A');
  await eventually(() => counters.size, (count) => count > 20, 10000);
  await publishVideo(hans, { videoCodec: VideoCodec.H264, name: '' });
  await publishAudio(hans, '');
  await a.call('startPlayingStream', 'hans');
  await a.watches('hans');
  await eventually(async () => (await playing(a, 'hans')).jitterBuffer.levelDbfs, (dbfs) => dbfs > -30, 5000);
});

test('VP8 of a stock client without codec options plays in each layer', { skip }, async () => {
  const hans = await stock('hans');
  await publishVideo(hans, { width: 1280, height: 720, simulcast: true, name: '' });
  const a = await member('A');
  await a.call('startPlayingStream', 'hans');
  await a.watches('hans');
  const width = () => a.events.filter(({ event }) => event === 'onPlayerVideoSizeChanged').at(-1)?.param.width;
  await eventually(width, (pixels) => pixels === 1280, 20_000);
  await a.call('setPlayStreamVideoType', 'hans', 1);
  await eventually(width, (pixels) => pixels === 320, 20_000);
  assert.deepEqual(a.states('onPlayerStateUpdate'), ['1:0', '2:0']);
});

test('users and streams come and go as with our own server', { skip }, async () => {
  const a = await member('A');
  const b = await member('B');
  await Promise.all([a.sees('B', ADD), b.sees('A', ADD)]);
  await b.call('stopPublishingStream');
  await eventually(() => a.seen('B', DELETE).streams, (count) => count === 1);
  await b.call('logoutRoom');
  await eventually(() => a.seen('B', DELETE), ({ users, streams }) => users === 1 && streams === 1, AUDIENCE_MS);
  assert.deepEqual(a.seen('B', ADD), { users: 1, streams: 1 });
  await eventually(() => b.states('onRoomStateUpdate').join(' '), (states) => states === '1:0 2:0 0:0');
});

test('messages to everyone and to one user arrive', { skip }, async () => {
  const a = await member('A');
  const b = await member('B');
  const c = await member('C');
  await a.sees('C', ADD);
  await a.call('sendBroadcastMessage', ROOM, 'to all');
  const broadcast = ({ event, param }) => event === 'onIMRecvBroadcastMessage' && param.messageList[0].message === 'to all';
  for (const it of [b, c]) await eventually(() => it.events.some(broadcast), Boolean);
  await a.call('sendCustomCommand', ROOM, 'to B', [{ userID: 'B', userName: 'B' }]);
  const command = ({ event, param }) => event === 'onIMRecvCustomCommand' && param.command === 'to B' && param.fromUser.userID === 'A';
  await eventually(() => b.events.some(command), Boolean);
  assert.ok(!c.events.some(command));
});

test('a second login of the same user kicks the first out', { skip }, async () => {
  const first = await member('A');
  const second = await member('A');
  await eventually(() => first.states('onRoomStateUpdate').at(-1), (state) => state === '0:1002050');
  assert.deepEqual(second.states('onRoomStateUpdate'), ['1:0', '2:0']);
});

test('a wrong AppSign is reported as such', { skip }, async () => {
  const it = new Member('A');
  leaving.push(it);
  await it.call('createEngine', { appID: 1234567890, appSign: 'f'.repeat(64), scenario: 3, server: node.url });
  await it.call('loginRoom', ROOM, { userID: 'A', userName: 'A' });
  await eventually(() => it.states('onRoomStateUpdate'), (states) => states.length === 2);
  assert.deepEqual(it.states('onRoomStateUpdate'), ['1:0', '0:1001005']);
});
