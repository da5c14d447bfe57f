// Unmodified LiveKit clients with no options set, played by this engine. They send VP8.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { AudioSource, EncryptionState, LocalVideoTrack, TrackPublishOptions, VideoBufferType, VideoFrame, VideoRotation, VideoSource, VideoCodec, TrackSource, dispose } from '@livekit/rtc-node';

import { Member, ROOM } from '../electron/call_members.mjs';
import { eventually } from '../electron/harness.mjs';
import { join as joinAsStock, publishAudio, publishVideo, startServer } from './harness.mjs';
import { endAll, server as livekit, startNode } from './nodes.mjs';

let own;
let node;
let leaving = [];

before(async () => {
  own = await startServer();
  if (!livekit.reason) node = await startNode();
});

after(async () => {
  await own.stop();
  await endAll();
  await dispose();
});

afterEach(async () => {
  await Promise.all(leaving.map((member) => member.leave()));
  leaving = [];
});

async function stock(server, identity) {
  const it = await joinAsStock(server, identity, { grant: { room: ROOM } });
  leaving.push(it);
  return it;
}

async function viewer(server, streamID) {
  const it = new Member('viewer');
  leaving.push(it);
  await it.login(server.url);
  await it.call('startPlayingStream', streamID);
  return it;
}

async function playing(member, streamID) {
  const { players } = JSON.parse(await member.call('callExperimentalAPI', '{"method":"getStats"}'));
  return players.find((player) => player.streamID === streamID);
}

const decoded = async (member, streamID) => (await playing(member, streamID))?.framesDecoded ?? 0;

for (const [where, get, skip] of [['our server', () => own, false], ['a LiveKit server', () => node, livekit.reason ?? false]]) {
  test(`a client in Node without options is seen, on ${where}`, { skip }, async () => {
    const hans = await stock(get(), 'hans');
    await publishVideo(hans, { name: '' });
    const it = await viewer(get(), 'hans');
    const started = Date.now();
    await eventually(() => decoded(it, 'hans'), (count) => count > 10, 10000);
    console.log(`pictures after ${Date.now() - started} ms`);
    assert.deepEqual(it.states('onPlayerStateUpdate'), ['1:0', '2:0']);
  });

  test(`its three sizes are seen one after the other, on ${where}`, { skip }, async () => {
    const hans = await stock(get(), 'hans');
    await publishVideo(hans, { name: '', width: 1280, height: 720, simulcast: true });
    const it = await viewer(get(), 'hans');
    const size = () => it.events.findLast(({ event }) => event === 'onPlayerVideoSizeChanged')?.param.width;
    for (const [type, width] of [[2, 1280], [1, 320], [2, 1280]]) {
      await it.call('setPlayStreamVideoType', 'hans', type);
      await eventually(size, (now) => now === width, 20000);
      const before = await decoded(it, 'hans');
      await eventually(() => decoded(it, 'hans'), (count) => count > before + 10, 5000);
    }
  });
}
