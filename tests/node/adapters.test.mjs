// The real engine as applications hold it and listen to it: in the state of a framework, by position, not at all.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { after, afterEach, test } from 'node:test';
import { deepProxy } from '../js/deep_proxy.mjs';
import { APP_ID, APP_SIGN, endAll, eventually, startServer } from './harness.mjs';

const require = createRequire(import.meta.url);
const engine = require('../../ZegoExpressEngine.js');
const surface = require('../../js/surface/surface.json');

const server = await startServer();
const profile = { appID: APP_ID, appSign: APP_SIGN, scenario: 0, server: server.url };
const user = { userID: 'anna', userName: 'Anna' };
const fakes = { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null' };

afterEach(() => {
  engine.destroyEngine();
  engine.removeAllListeners();
});

after(endAll);

test('an engine in a deep proxy lists devices, logs in and publishes', async () => {
  const { zego } = deepProxy({ zego: engine });
  const [publisher, errors] = [[], []];
  zego.on('onPublisherStateUpdate', ({ state }) => publisher.push(state));
  zego.on('onDebugError', (error) => errors.push(error));
  zego.setEngineConfig(deepProxy({ advancedConfig: fakes }));
  await zego.createEngine(deepProxy(profile));
  assert.equal(zego.getVideoDeviceList().length, 1);
  zego.loginRoom('proxies', deepProxy(user), deepProxy({ isUserStatusNotify: true }));
  zego.startPublishingStream('s', deepProxy({ roomID: 'proxies' }));
  await eventually(() => publisher, (states) => states.join() === '1,2');
  assert.equal((await zego.sendBroadcastMessage('proxies', 'hello')).errorCode, 0);
  assert.equal((await zego.sendCustomCommand('proxies', 'hello', deepProxy([user]))).errorCode, 0);
  assert.equal(zego.setAudioSource(4, 0), 0);
  assert.equal(zego.createMediaPlayer(), null);
  assert.deepEqual(errors.map(({ errorCode }) => errorCode), [1000010]);
});

test('event fields come in the documented order', async () => {
  const received = [];
  for (const { name } of surface.events) engine.on(name, (param) => received.push([name, Object.keys(param)]));
  engine.setEngineConfig({ advancedConfig: fakes });
  await engine.createEngine(profile);
  engine.loginRoom('orders', user);
  engine.startPreview();
  engine.startSoundLevelMonitor(100);
  engine.startPublishingStream('s');
  engine.muteSpeaker('wrong');
  await eventually(() => received.map(([name]) => name), (names) => names.includes('onPublisherQualityUpdate'));
  for (const [name, fields] of received) {
    const documented = surface.events.find((event) => event.name === name).params.map((param) => param.name);
    assert.deepEqual(fields.slice(0, documented.length), documented, name);
  }
  assert.ok(new Set(received.map(([name]) => name)).size > 8);
});

test('sound levels of streams arrive as a Map', async () => {
  const maps = [];
  engine.on('onRemoteSoundLevelInfoUpdate', ({ soundLevelInfos }) => maps.push(soundLevelInfos));
  engine.setEngineConfig({ advancedConfig: fakes });
  await engine.createEngine(profile);
  engine.startSoundLevelMonitor(100);
  await eventually(() => maps.length > 0);
  assert.ok(maps[0] instanceof Map);
});

test('a failed login without a listener is logged once with the server URL', async ({ mock }) => {
  const warn = mock.method(console, 'warn', () => undefined);
  const closed = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => closed.once('listening', resolve));
  const { port } = closed.address();
  await new Promise((resolve) => closed.close(resolve));
  await engine.createEngine({ ...profile, server: `ws://127.0.0.1:${port}` });
  engine.loginRoom('nowhere', user);
  const said = await eventually(() => warn.mock.calls.map(({ arguments: [text] }) => text), (list) => list.length > 0);
  assert.match(said[0], new RegExp(`room "nowhere".*1002030.*ws://127\\.0\\.0\\.1:${port}`));
});
