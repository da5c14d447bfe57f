// Audio between this engine and stock clients through our room server, with redundancy (RFC 2198)
// where the stock client supports it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { AudioStream, TrackKind, dispose } from '@livekit/rtc-node';

import { APP, Member, ROOM } from '../electron/call_members.mjs';
import { eventually } from '../electron/harness.mjs';
import { join, publishAudio, startServer, token } from './harness.mjs';
import { startElectron } from './stock/page_client.mjs';

after(() => dispose());

/** Every app has its own rooms. */
const KEYS = { key: String(APP.appID), secret: APP.appSign };

/** Amplitude of one frequency (Goertzel) in 48 kHz mono of 16 bits. */
function amplitude(samples, hertz) {
  const turn = 2 * Math.cos((2 * Math.PI * hertz) / 48_000);
  let [last, before] = [0, 0];
  for (const sample of samples) [last, before] = [sample / 32_768 + turn * last - before, last];
  return (2 * Math.sqrt(last ** 2 + before ** 2 - turn * last * before)) / samples.length;
}

/** A server, and an engine that publishes the fake microphone's tone: mostly 440 Hz at an amplitude of 0.1. */
async function setUp(t) {
  const server = await startServer('--key', `${APP.appID}:${APP.appSign}`);
  const anna = new Member('anna');
  t.after(async () => {
    await anna.leave();
    await server.stop();
  });
  await anna.enter(server.url);
  return { server, anna };
}

/** The engine's statistics of a stream that it plays. */
async function playing(member, streamID) {
  await member.call('startPlayingStream', streamID);
  return async () => {
    const { players } = JSON.parse(await member.call('callExperimentalAPI', '{"method":"getStats"}'));
    return players.find((player) => player.streamID === streamID)?.jitterBuffer ?? {};
  };
}

test('rtc-node and this engine hear each other', async (t) => {
  const { server, anna } = await setUp(t);
  const hans = await join(server, 'hans', { grant: { room: ROOM }, keys: KEYS });
  t.after(() => hans.leave());
  const heard = [];
  const listen = async (track) => {
    for await (const { data } of new AudioStream(track, 48_000, 1)) heard.push(...data);
  };
  const tracks = [...hans.room.remoteParticipants.values()].flatMap((it) => [...it.trackPublications.values()]);
  const sound = tracks.map(({ track }) => track).find((track) => track?.kind === TrackKind.KIND_AUDIO);
  if (sound) listen(sound).catch(() => {});
  hans.room.on('trackSubscribed', (track) => track.kind === TrackKind.KIND_AUDIO && listen(track).catch(() => {}));
  // 100 ms without the burst.
  const hums = () => heard.length > 96_000 && Math.max(...[9, 7, 5, 3].map((n) => amplitude(heard.slice(-n * 4800).slice(0, 4800), 440)));
  await eventually(hums, (hum) => hum > 0.08 && hum < 0.12, 15_000);

  await publishAudio(hans, '');
  const stats = await playing(anna, 'hans');
  await eventually(stats, ({ levelDbfs, decodedMs }) => decodedMs > 3000 && Math.abs(levelDbfs + 15) < 3, 15_000);
  const { packets, packetsWithCopies, concealedMs, decodedMs } = await stats();
  assert.ok(packetsWithCopies > packets * 0.8, `${packetsWithCopies} of ${packets} packets carry earlier ones`);
  assert.ok(concealedMs < decodedMs * 0.05, `${concealedMs} ms of ${decodedMs} are invented`);
});

test('livekit-client in Electron and this engine hear each other', async (t) => {
  const { server, anna } = await setUp(t);
  const { newClient, stop } = await startElectron();
  t.after(stop);
  const eva = await newClient();
  t.after(() => eva.leave());
  await eva.connect({ url: server.url, token: await token('eva', { room: ROOM }, KEYS), singlePeerConnection: false });
  const { loudness } = await eventually(() => eva.report(), ({ audioFrames, loudness }) => audioFrames > 200 && loudness > 0.02, 15_000);
  assert.ok(loudness < 0.6, `${loudness}`);

  await eva.publishAudio({ name: '' });
  const stats = await playing(anna, 'eva');
  // Chromium's fake microphone beeps once a second.
  await eventually(stats, ({ levelDbfs, decodedMs }) => decodedMs > 3000 && levelDbfs > -45, 15_000);
  const { packets, packetsWithCopies } = await stats();
  assert.ok(packetsWithCopies > packets * 0.8, `${packetsWithCopies} of ${packets} packets carry earlier ones`);
});
