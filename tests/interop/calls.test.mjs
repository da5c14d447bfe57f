// Two unmodified LiveKit clients in a call, with one and with two peer connections.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { SimulateScenarioKind } from '@livekit/rtc-ffi-bindings';
import { dispose } from '@livekit/rtc-node';

import { VideoQuality, join, publishAudio, publishVideo, setQuality, startServer, until } from './harness.mjs';

after(() => dispose());

for (const [mode, args, connections] of [['one peer connection', [], 1], ['two peer connections', ['--two-connections'], 2]]) {
  test(`audio, video and messages go in both directions over ${mode}`, async (t) => {
    const server = await startServer(...args);
    const anna = await join(server, 'anna');
    const hans = await join(server, 'hans');
    t.after(async () => {
      await Promise.all([anna.leave(), hans.leave()]);
      await server.stop();
    });
    await publishAudio(anna);
    await publishVideo(anna);
    await publishAudio(hans);
    await publishVideo(hans);
    for (const client of [anna, hans]) {
      await until(`video at ${client.identity}`, () => client.videoFrames > 20);
      await until(`audio at ${client.identity}`, () => client.audioFrames > 50);
    }
    await anna.room.localParticipant.publishData(new TextEncoder().encode('hello'), { reliable: true, topic: 't' });
    await until('message', () => hans.data.find((message) => message.text === 'hello' && message.from === 'anna' && message.topic === 't'));
    await until('the log', () => server.log.split(`connections=${connections}`).length === 3);
    assert.equal(anna.disconnected, null);
  });

  test(`six cameras that start and stop are received over ${mode}`, async (t) => {
    const server = await startServer(...args);
    const anna = await join(server, 'anna');
    const hans = await join(server, 'hans');
    t.after(async () => {
      await Promise.all([anna.leave(), hans.leave()]);
      await server.stop();
    });
    const published = [];
    for (let n = 0; n < 6; n += 1) published.push(await publishVideo(anna, { name: `camera${n}` }));
    const videos = () => [...hans.room.remoteParticipants.values()].flatMap((p) => [...p.trackPublications.values()]).filter((p) => p.track);
    await until('six tracks', () => videos().length === 6);
    hans.videoFrames = 0;
    await until('frames', () => hans.videoFrames > 60);
    for (const publication of published.slice(0, 3)) await anna.room.localParticipant.unpublishTrack(publication.sid);
    await until('three tracks', () => videos().length === 3);
    for (let n = 0; n < 3; n += 1) await publishVideo(anna, { name: `again${n}` });
    await until('six tracks again', () => videos().length === 6);
    const before = hans.videoFrames;
    await until('frames again', () => hans.videoFrames > before + 60);
  });

  test(`a user who leaves and returns is received each time over ${mode}`, async (t) => {
    const server = await startServer(...args);
    const hans = await join(server, 'hans');
    t.after(async () => {
      await hans.leave();
      await server.stop();
    });
    for (let n = 0; n < 6; n += 1) {
      const anna = await join(server, 'anna');
      hans.videoFrames = 0;
      hans.audioFrames = 0;
      await publishAudio(anna);
      await publishVideo(anna);
      await until('video', () => hans.videoFrames > 5);
      await until('audio', () => hans.audioFrames > 10);
      await anna.leave();
      await until('anna gone', () => hans.room.remoteParticipants.size === 0);
    }
  });

  test(`later tracks and resubscribed tracks are received over ${mode}`, async (t) => {
    const server = await startServer(...args);
    const anna = await join(server, 'anna');
    const hans = await join(server, 'hans');
    t.after(async () => {
      await Promise.all([anna.leave(), hans.leave()]);
      await server.stop();
    });
    const first = await publishVideo(anna, { width: 160, height: 120 });
    await until('the first', () => hans.lastSize === '160x120');
    await anna.room.localParticipant.unpublishTrack(first.sid);
    const publications = () => [...hans.room.remoteParticipants.values()].flatMap((p) => [...p.trackPublications.values()]);
    await until('its end', () => publications().length === 0);
    await publishVideo(anna, { width: 320, height: 240, name: 'second' });
    await until('the second', () => hans.lastSize === '320x240');
    const [publication] = publications();
    publication.setSubscribed(false);
    await until('no track', () => !publication.track);
    const before = hans.videoFrames;
    publication.setSubscribed(true);
    await until('the second again', () => hans.videoFrames > before + 20);
  });
}

for (const [mode, args] of [['one peer connection', []], ['two peer connections', ['--two-connections']]]) {
  for (const [what, scenario] of [['resumed', SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT], ['replaced', SimulateScenarioKind.SIMULATE_FULL_RECONNECT]]) {
    test(`a connection is lost and ${what} over ${mode}`, async (t) => {
      const server = await startServer(...args);
      const anna = await join(server, 'anna');
      const hans = await join(server, 'hans');
      t.after(async () => {
        await Promise.all([anna.leave(), hans.leave()]);
        await server.stop();
      });
      await publishVideo(anna);
      await publishVideo(hans);
      await until('frames', () => hans.videoFrames > 10 && anna.videoFrames > 10);
      let isBack = false;
      anna.room.once('reconnected', () => { isBack = true; });
      await anna.room.simulateScenario(scenario);
      await until('anna back', () => isBack);
      const before = [anna.videoFrames, hans.videoFrames];
      await until('video in both directions', () => anna.videoFrames > before[0] + 20 && hans.videoFrames > before[1] + 20);
      await anna.room.localParticipant.publishData(new TextEncoder().encode('back'), { reliable: true });
      await until('a message', () => hans.data.some((message) => message.text === 'back'));
    });
  }
}

test('active speakers and connection quality are reported', async (t) => {
  const server = await startServer();
  const anna = await join(server, 'anna');
  const hans = await join(server, 'hans');
  t.after(async () => {
    await Promise.all([anna.leave(), hans.leave()]);
    await server.stop();
  });
  await publishAudio(anna);
  await until('anna speaks', () => hans.speakers.some((speakers) => speakers.includes('anna')));
  await until('quality of both', () => ['anna', 'hans'].every((identity) => hans.qualities.some((q) => q.identity === identity)));
});

test('a subscriber gets its layer; unsubscribed video is paused', async (t) => {
  const server = await startServer();
  const anna = await join(server, 'anna');
  const hans = await join(server, 'hans');
  t.after(async () => {
    await Promise.all([anna.leave(), hans.leave()]);
    await server.stop();
  });
  await publishVideo(anna, { width: 960, height: 540, simulcast: true });
  await until('the best layer', () => hans.lastSize === '960x540');
  const [publication] = [...hans.room.remoteParticipants.values()].flatMap((p) => [...p.trackPublications.values()]);
  const sizes = new Set();
  for (const quality of [VideoQuality.LOW, VideoQuality.MEDIUM, VideoQuality.HIGH]) {
    setQuality(publication, quality);
    await until(`another size after quality ${quality}`, () => !sizes.has(hans.lastSize) && (quality === VideoQuality.HIGH || hans.lastSize !== '960x540'));
    sizes.add(hans.lastSize);
    const before = hans.videoFrames;
    await until('frames go on', () => hans.videoFrames > before + 10);
  }
  assert.equal([...sizes].at(-1), '960x540', String([...sizes]));
  // The publisher pauses 5 s after the last subscriber left and must continue at once for a new one.
  publication.setSubscribed(false);
  await new Promise((resolve) => setTimeout(resolve, 6500));
  const before = hans.videoFrames;
  publication.setSubscribed(true);
  await until('frames after a pause', () => hans.videoFrames > before + 10);
});
