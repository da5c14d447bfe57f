// Applications that keep the engine in a framework's reactive state.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { deepProxy, totalProxy } from './deep_proxy.mjs';
import { fakeNative } from './fake_native.mjs';

const require = createRequire(import.meta.url);
const { ZegoExpressEngine } = require('../../dist/engine.js');
const surface = require('../../js/surface/surface.json');

const PROFILE = { appID: 7, appSign: 'secret', scenario: 3 };

for (const [kind, proxy] of [['a deep proxy', deepProxy], ['a proxy that wraps functions too', totalProxy]]) {
  test(`an engine in ${kind} works`, async () => {
    const native = fakeNative();
    const raw = new ZegoExpressEngine(native.load);
    const { zego } = proxy({ zego: raw });
    const heard = [];
    const listener = ({ state }) => heard.push(state);
    zego.on('onRoomStateUpdate', listener);
    const errors = [];
    zego.on('onDebugError', (error) => errors.push(error));
    await zego.createEngine(PROFILE);
    assert.equal(zego.getVideoDeviceList().length, 1);
    zego.loginRoom('r', proxy({ userID: 'u', userName: 'U' }), proxy({ isUserStatusNotify: true }));
    zego.muteMicrophone(true);
    assert.equal(zego.isMicrophoneMuted(), true);
    zego.setVideoConfig(proxy({ fps: 24 }));
    native.emit(['onRoomStateUpdate', { roomID: 'r', state: 2 }]);
    const sent = zego.sendCustomCommand('r', 'c', proxy([{ userID: 'b', userName: 'B' }]));
    const [[, , , , request]] = native.named('sendCustomCommand');
    native.emit(['__reply', { id: request, value: { errorCode: 0 } }]);
    assert.deepEqual(await sent, { errorCode: 0 });
    assert.deepEqual(native.named('setVideoConfig')[0][1], { fps: 24 });
    assert.deepEqual(heard, [2]);
    zego.off('onRoomStateUpdate', listener);
    zego.destroyEngine();
    assert.deepEqual([heard, errors], [[2], []]);
  });

  test(`a screen capture source in ${kind} works and is recognised`, async () => {
    const native = fakeNative();
    const { zego } = proxy({ zego: new ZegoExpressEngine(native.load) });
    const errors = [];
    zego.on('onDebugError', (error) => errors.push(error));
    await zego.createEngine(PROFILE);
    const { source } = proxy({ source: zego.createScreenCaptureSource(70, 1) });
    const heard = [];
    source.on('onRectChanged', () => heard.push('rect'));
    source.startCapture();
    source.setExcludeWindowList(proxy([5, 6]));
    native.emit(['SCREENCAPTURE_onRectChanged', { index: source.getIndex(), captureRect: {} }]);
    zego.destroyScreenCaptureSource(source);
    assert.deepEqual(native.named('startScreenCapture'), [['startScreenCapture', 0]]);
    assert.deepEqual(native.named('destroyScreenCaptureSource'), [['destroyScreenCaptureSource', 0]]);
    assert.deepEqual([heard, errors], [['rect'], []]);
  });
}

test('destructured methods work', async () => {
  const native = fakeNative();
  const { createEngine, getVideoDeviceList, on } = new ZegoExpressEngine(native.load);
  on('onDebugError', assert.fail);
  await createEngine(PROFILE);
  assert.equal(getVideoDeviceList().length, 1);
});

test('all methods are bound to the engine itself', () => {
  const raw = new ZegoExpressEngine(fakeNative().load);
  const names = surface.methods.map(({ name }) => name).concat('on', 'off', 'once', 'emit', 'removeAllListeners', 'listenerCount');
  const unbound = names.filter((name) => !Object.getOwnPropertyDescriptor(raw, name)?.value.name.startsWith('bound '));
  assert.deepEqual(unbound, []);
  assert.deepEqual(Object.keys(raw).filter((name) => names.includes(name)), [], 'and none shows when the engine is listed');
});

test('an array in a proxy reaches the native part as a plain array', async () => {
  const native = fakeNative();
  const zego = new ZegoExpressEngine(native.load);
  await zego.createEngine(PROFILE);
  zego.createScreenCaptureSource(70, 1).setExcludeWindowList(deepProxy([5, 6]));
  const { types } = require('node:util');
  const [[, , list]] = native.named('setExcludeWindowList');
  assert.deepEqual([...list], [5, 6]);
  assert.equal(types.isProxy(list), false, 'Node-API takes no proxy for an array');
});
