// What every stock client must be able to do with the room server, with one or two peer connections. The client under
// test meets a peer, which always is `rtc-node`.
//
// A client: connect({url, token, singlePeerConnection}), publishVideo({name, simulcast}), publishAudio({name}),
// send({text}), mute({name, muted}), setAttributes({…}), resize({name, isSmall}), measure(), report(), leave().
import assert from 'node:assert/strict';

import { DisconnectReason } from '@livekit/rtc-node';
import { startServer, token, until } from '../harness.mjs';
import { NodeClient } from './node_client.mjs';
import { startRelay } from './relay.mjs';

/** Longest time without a new frame while signalling is cut and resumed. */
const MAX_GAP_MS = 500;

/** Runs the steps as subtests of `t`. `newClient` gives another client of the kind under test. */
export async function runScenario(t, { newClient, singlePeerConnection, serverArgs = [] }) {
  const server = await startServer(...serverArgs);
  const relay = await startRelay(server);
  const everybody = [];
  t.after(async () => {
    await Promise.all(everybody.map((client) => client.leave()));
    relay.stop();
    await server.stop();
  });

  const enter = async (client, identity, grant, url = server.url) => {
    everybody.push(client);
    await client.connect({ url, token: await token(identity, grant), singlePeerConnection });
    return client;
  };
  const sees = (client, what, condition) => until(what, async () => condition(await client.report()));
  const frames = (report, name) => report.views[name]?.frames ?? 0;
  const goesOn = async (client, name, count = 10) => {
    const before = frames(await client.report(), name);
    await sees(client, `frames of ${name}`, (report) => frames(report, name) >= before + count);
  };

  /** The server's state is fetched when a step failed. */
  const step = (name, run) =>
    t.test(name, async (own) => {
      try {
        await run();
      } catch (error) {
        own.diagnostic(server.log.slice(-20000));
        throw error;
      }
    });

  const subject = await enter(await newClient(), 'subject', {}, relay.url);
  const peer = await enter(new NodeClient(), 'peer');

  await step('audio and video go in both directions', async () => {
    await Promise.all([subject.publishAudio({ name: 'subject-audio' }), peer.publishAudio({ name: 'peer-audio' })]);
    await Promise.all([subject.publishVideo({ name: 'subject-1' }), peer.publishVideo({ name: 'peer-1' })]);
    await Promise.all([goesOn(subject, 'peer-1'), goesOn(peer, 'subject-1')]);
    for (const client of [subject, peer]) await sees(client, 'audio', ({ audioFrames }) => audioFrames > 30);
    const connections = singlePeerConnection ? 1 : 2;
    assert.match(server.log, new RegExp(`identity="subject" sid="\\w+" connections=${connections}`));
  });

  await step('messages go in both directions', async () => {
    await subject.send({ text: 'from the subject' });
    await peer.send({ text: 'from the peer' });
    const has = (from, text) => ({ data }) => data.some((item) => item.from === from && item.text === text && item.topic === 't');
    await sees(peer, 'message', has('subject', 'from the subject'));
    await sees(subject, 'message', has('peer', 'from the peer'));
  });

  await step('each sees when the other mutes', async () => {
    for (const [by, at, identity] of [[subject, peer, 'subject'], [peer, subject, 'peer']]) {
      for (const muted of [true, false]) {
        await by.mute({ name: `${identity}-audio`, muted });
        await sees(at, `${identity} muted: ${muted}`, ({ others }) => others[identity].tracks[`${identity}-audio`].muted === muted);
      }
    }
  });

  await step('each sees the attributes of the other', async () => {
    for (const [by, at, identity] of [[subject, peer, 'subject'], [peer, subject, 'peer']]) {
      await by.setAttributes({ mood: 'good' });
      await sees(at, 'attribute', ({ others }) => others[identity].attributes.mood === 'good');
    }
  });

  await step('a smaller tile gets a lower layer, a larger one the highest', async () => {
    await peer.publishVideo({ name: 'layers', simulcast: true });
    await goesOn(subject, 'layers');
    await subject.resize({ name: 'layers', isSmall: false });
    await sees(subject, 'the best layer', ({ views }) => views.layers.width === 960);
    await subject.resize({ name: 'layers', isSmall: true });
    await sees(subject, 'a lower layer', ({ views }) => views.layers.width < 960);
    await goesOn(subject, 'layers', 5);
    await subject.resize({ name: 'layers', isSmall: false });
    await sees(subject, 'the best layer again', ({ views }) => views.layers.width === 960);
  });

  await step('four streams of one user are decoded, in both directions', async () => {
    for (const n of [2, 3, 4]) {
      await Promise.all([subject.publishVideo({ name: `subject-${n}` }), peer.publishVideo({ name: `peer-${n}` })]);
    }
    for (const n of [1, 2, 3, 4]) await Promise.all([goesOn(subject, `peer-${n}`, 3), goesOn(peer, `subject-${n}`, 3)]);
  });

  await step('a participant without grants neither publishes nor subscribes', async () => {
    const guest = await enter(await newClient(), 'guest', { canPublish: false, canSubscribe: false, canPublishData: false });
    const { data } = await peer.report();
    // Some clients refuse by themselves, some ask, and of those some wait for 10 s before they believe it.
    let outcome;
    guest.publishVideo({ name: 'guest-1' }).then(() => { outcome = 'published'; }, () => { outcome = 'refused'; });
    await guest.send({ text: 'not allowed' }).catch(() => {});
    await until('the refusal', () => outcome || server.log.includes('track refused'));
    await goesOn(peer, 'subject-1', 20);
    assert.notEqual(outcome, 'published');
    const [at, of] = await Promise.all([peer.report(), guest.report()]);
    assert.deepEqual(at.others.guest.tracks, {});
    assert.deepEqual([at.data.length, Object.keys(of.views)], [data.length, []]);
  });

  await step('a second login sends the first one away', async () => {
    const first = await enter(await newClient(), 'twice');
    await enter(new NodeClient(), 'twice');
    await sees(first, 'the end', ({ disconnected }) => disconnected === DisconnectReason.DUPLICATE_IDENTITY);
  });

  await step('signalling is cut and resumed, video continues', async () => {
    const { sid } = await subject.report();
    await Promise.all([goesOn(subject, 'peer-1'), goesOn(peer, 'subject-1')]);
    await subject.measure();
    await peer.measure();
    assert.equal(relay.cut(), 1);
    await sees(subject, 'resumed', ({ resumed }) => resumed === 1);
    await Promise.all([goesOn(subject, 'peer-1', 20), goesOn(peer, 'subject-1', 20)]);
    const reports = await Promise.all([subject.report(), peer.report()]);
    assert.deepEqual([reports[0].sid, reports[0].disconnected], [sid, null]);
    for (const [report, name] of [[reports[0], 'peer-1'], [reports[1], 'subject-1']]) {
      const gap = report.views[name].longestGapMs;
      assert.ok(gap <= MAX_GAP_MS, `${name} stood still for ${gap} ms`);
    }
    await subject.send({ text: 'after the cut' });
    await sees(peer, 'message', ({ data }) => data.some(({ text }) => text === 'after the cut'));
  });
}
