// Network and video calls of an application, through the addon.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { endAll, eventually, startCall, startClient, startServer } from './harness.mjs';

after(endAll);

const paramsOf = (client, name) => client.events.filter(({ event }) => event === name).map(({ param }) => param);
const heard = (client, name) => eventually(() => paramsOf(client, name), (params) => params.length > 0);

test('SEI, snapshots, settings and network time work in a call', async () => {
  const server = await startServer();
  const { publisher, player } = await startCall(server);
  await eventually(() => player.stats(), ({ players }) => players[0].framesDecoded > 5);

  await publisher.call('sendSEIText', 'ABC');
  assert.deepEqual((await heard(player, 'onPlayerRecvSEI'))[0], { streamID: 'stream', isBytes: true, text: 'ABC' });

  for (const [client, ...call] of [[publisher, 'takePublishStreamSnapshot', 0], [player, 'takePlayStreamSnapshot', 'stream']]) {
    const { errorCode, image } = await client.call(...call);
    assert.equal(errorCode, 0);
    assert.deepEqual([...Buffer.from(image, 'base64').subarray(0, 2)], [0xff, 0xd8]);
  }

  await publisher.call('setVideoConfig', { captureWidth: 320, captureHeight: 240, encodeWidth: 320, encodeHeight: 240, fps: 10, bitrate: 200, codecID: 4 }, 1);
  const config = await publisher.call('getVideoConfig', 1);
  assert.deepEqual([config.encodeWidth, config.encodeHeight, config.fps, config.bitrate, config.codecID], [320, 240, 10, 200, 4]);

  assert.equal(paramsOf(player, 'onNetworkTimeSynchronized').length, 1);
  const { timestamp, maxDeviation } = await player.call('getNetworkTimeInfo');
  assert.ok(Math.abs(timestamp - Date.now()) < 1000 + maxDeviation, `${timestamp}`);

  for (const call of [['enableTrafficControl', true, 3], ['setMinVideoFpsForTrafficControl', 5], ['enableHardwareEncoder', true]]) {
    await publisher.call(...call);
  }
  assert.deepEqual(paramsOf(publisher, 'onDebugError'), []);
});

test('a speed test before the login measures uplink and downlink', async () => {
  const server = await startServer();
  const client = await startClient(server);
  await client.call('startNetworkSpeedTest', { testUplink: true, expectedUplinkBitrate: 600, testDownlink: true, expectedDownlinkBitrate: 600 }, 500);
  const reports = await eventually(
    () => paramsOf(client, 'onNetworkSpeedTestQualityUpdate'),
    (params) => new Set(params.map(({ type }) => type)).size === 2,
  );
  for (const { quality } of reports) {
    assert.deepEqual(Object.keys(quality).sort(), ['connectCost', 'packetLostRate', 'quality', 'rtt']);
    assert.ok(quality.connectCost > 0);
  }
  await client.call('stopNetworkSpeedTest');
  assert.deepEqual(paramsOf(client, 'onNetworkSpeedTestError'), []);
});
