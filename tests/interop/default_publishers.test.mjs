// Unmodified LiveKit clients with no options set, played by this engine. They send VP8.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';

import { LocalVideoTrack, TrackPublishOptions, TrackSource, VideoBufferType, VideoCodec, VideoFrame, VideoRotation, VideoSource, dispose } from '@livekit/rtc-node';

import { APP, Member, ROOM } from '../electron/call_members.mjs';
import { eventually } from '../electron/harness.mjs';
import { join as joinAsStock, publishAudio, publishVideo, startServer } from './harness.mjs';

/** `ZegoVideoStreamType`. */
const [LOW, FULL] = [1, 2];
const [DECRYPTION_FAILED, NO_DECODER] = [1004061, 1004080];
const KEY = new TextEncoder().encode('a key that only others have');
let server;
let leaving = [];

before(async () => {
  server = await startServer('--key', `${APP.appID}:${APP.appSign}`);
});

after(async () => {
  await server.stop();
  await dispose();
});

afterEach(async () => {
  await Promise.all(leaving.map((member) => member.leave()));
  leaving = [];
});

async function stock(identity, options = {}) {
  const it = await joinAsStock(server, identity, { grant: { room: ROOM }, keys: { key: String(APP.appID), secret: APP.appSign }, ...options });
  leaving.push(it);
  return it;
}

async function viewer(streamID) {
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

const lastSize = (member) => {
  const sizes = member.events.filter(({ event }) => event === 'onPlayerVideoSizeChanged');
  const { width, height } = sizes.at(-1)?.param ?? {};
  return `${width}x${height}`;
};

/** Publishes frames with a rotation. */
async function publishTurned(client, rotation) {
  const source = new VideoSource(320, 180);
  const track = LocalVideoTrack.createVideoTrack('', source);
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_CAMERA, simulcast: false });
  await client.room.localParticipant.publishTrack(track, options);
  const frame = new VideoFrame(new Uint8Array(320 * 180 * 4).fill(99), 320, 180, VideoBufferType.RGBA);
  const turned = { rotation };
  client.timers.push(setInterval(() => source.captureFrame(frame, undefined, turned.rotation), 50));
  return turned;
}

test('a Node client without options is received', async () => {
  const hans = await stock('hans');
  await publishVideo(hans, { name: '' });
  await publishAudio(hans, '');
  const it = await viewer('hans');
  await it.watches('hans');
  await eventually(async () => (await playing(it, 'hans')).jitterBuffer.levelDbfs, (dbfs) => dbfs > -30, 5000);
  assert.deepEqual(it.states('onPlayerStateUpdate'), ['1:0', '2:0']);
});

test('each simulcast layer is received when requested', async () => {
  const hans = await stock('hans');
  await publishVideo(hans, { name: '', width: 1280, height: 720, simulcast: true });
  const it = await viewer('hans');
  for (const [type, size] of [[FULL, '1280x720'], [LOW, '320x180'], [FULL, '1280x720']]) {
    await it.call('setPlayStreamVideoType', 'hans', type);
    await eventually(() => lastSize(it), (now) => now === size, 20000);
    await it.watches('hans');
  }
});

test('video of a phone is upright, also after the phone was turned', async () => {
  const hans = await stock('hans');
  const turned = await publishTurned(hans, VideoRotation.VIDEO_ROTATION_90);
  const it = await viewer('hans');
  await eventually(() => lastSize(it), (size) => size === '180x320', 10000);
  turned.rotation = VideoRotation.VIDEO_ROTATION_0;
  await eventually(() => lastSize(it), (size) => size === '320x180', 10000);
  turned.rotation = VideoRotation.VIDEO_ROTATION_270;
  await eventually(() => lastSize(it), (size) => size === '180x320', 10000);
});

test('an end-to-end encrypted participant is reported and stays silent', async () => {
  const hans = await stock('hans', { room: { encryption: { keyProviderOptions: { sharedKey: KEY } } } });
  await publishVideo(hans, { name: '', videoCodec: VideoCodec.H264 });
  await publishAudio(hans, '');
  const it = await viewer('hans');
  await eventually(() => it.states('onPlayerStateUpdate').at(-1), (state) => state === `1:${DECRYPTION_FAILED}`, 3000);
  await eventually(() => it.events.filter(({ event }) => event === 'onPlayerQualityUpdate').at(-1)?.param.quality.level ?? 9, (level) => level !== 0, 5000);
  const { video, jitterBuffer, undecodable } = await playing(it, 'hans');
  assert.equal(video.plis, 0);
  assert.ok(!(jitterBuffer.levelDbfs > -60), `${jitterBuffer.levelDbfs} dBFS`);
  assert.match(undecodable, /encrypted/);
  const errors = it.events.filter(({ event }) => event === 'onDebugError');
  assert.ok(errors.length >= 1 && errors.length <= 2 && errors.every(({ param }) => param.errorCode === DECRYPTION_FAILED));
});

test('an unsupported video codec is reported while its audio plays', async () => {
  const hans = await stock('hans');
  await publishAudio(hans, '');
  await publishVideo(hans, { name: '', videoCodec: VideoCodec.VP9 });
  const it = await viewer('hans');
  await eventually(() => it.states('onPlayerStateUpdate').at(-1), (state) => state === `2:${NO_DECODER}`, 3000);
  const { param } = it.events.filter(({ event }) => event === 'onPlayerStateUpdate').at(-1);
  assert.match(param.extendedData, /VP9/);
  await eventually(async () => (await playing(it, 'hans')).jitterBuffer.levelDbfs, (dbfs) => dbfs > -30, 5000);
  assert.equal(it.events.filter(({ event }) => event === 'onDebugError').length, 1);
});
