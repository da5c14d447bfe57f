import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mock, test } from 'node:test';
import { created, debugErrors, engine, PROFILE, USER } from './face.mjs';

const require = createRequire(import.meta.url);
const surface = require('../../js/surface/surface.json');

test('a listener added before createEngine receives later events', async () => {
  const { native, zego } = engine();
  const heard = [];
  zego.on('onRoomStateUpdate', (param) => heard.push(param));
  await zego.createEngine(PROFILE);
  native.emit(['onRoomStateUpdate', { roomID: 'r', state: 1 }]);
  assert.deepEqual(heard, [{ roomID: 'r', state: 1 }]);
});

test('createEngine twice resolves and keeps the first engine', async () => {
  const { native, zego } = await created();
  await zego.createEngine({ ...PROFILE, appID: 8 });
  assert.equal(native.named('create').length, 1);
});

test('init is an older form of createEngine', async () => {
  const { native, zego } = engine();
  await zego.init(7, 'secret', true, 3);
  assert.deepEqual(native.named('create')[0][1], PROFILE);
});

test('an invalid profile rejects with a code', async () => {
  const { zego } = engine();
  await assert.rejects(zego.createEngine({ appID: 0, appSign: 's', scenario: 0 }), { name: 'ZegoError', code: 1001000 });
  await assert.rejects(zego.createEngine({ appID: '7' }), { name: 'ZegoError', code: 1000017 });
  await assert.rejects(zego.createEngine(), { name: 'ZegoError', code: 1000017 });
});

test('all but nine methods throw without an engine', () => {
  const { zego } = engine();
  for (const { name, withoutEngine } of surface.methods) {
    if (withoutEngine || name === 'destroyEngine') continue;
    assert.throws(() => zego[name](), { name: 'ZegoError', code: 1000001 }, name);
  }
});

test('destroyEngine without an engine does nothing', async () => {
  const { native, zego } = engine();
  assert.equal(zego.destroyEngine(), undefined);
  await zego.createEngine(PROFILE);
  zego.destroyEngine();
  zego.destroyEngine();
  assert.equal(native.named('destroy').length, 1);
});

test('destroyEngine emits the last events, then removes all listeners', async () => {
  const { zego } = await created();
  const heard = [];
  zego.on('onRoomStateUpdate', (param) => heard.push(param.state));
  zego.on('mine', () => undefined);
  zego.destroyEngine();
  assert.deepEqual(heard, [0]);
  assert.equal(zego.listenerCount('onRoomStateUpdate') + zego.listenerCount('mine'), 0);
  assert.throws(() => zego.loginRoom('r', USER), { code: 1000001 });
});

test('events queued behind a listener\'s destroyEngine are still emitted', async () => {
  const { native, zego } = await created();
  const heard = [];
  zego.on('onRoomStateUpdate', ({ state }) => {
    heard.push(state);
    if (state === 1) zego.destroyEngine();
  });
  native.emit(['onRoomStateUpdate', { state: 1 }], ['onRoomStateUpdate', { state: 2 }]);
  assert.deepEqual(heard, [1, 2, 0]);
});

test('an engine can be created and destroyed a hundred times', async () => {
  const { native, zego } = engine();
  const exitHooks = process.listenerCount('exit');
  for (let round = 0; round < 100; round++) {
    await zego.createEngine(PROFILE);
    zego.destroyEngine();
  }
  assert.equal(native.named('create').length, 100);
  assert.ok(process.listenerCount('exit') <= exitHooks + 1);
});

test('an exception in a listener is logged and stops nothing else', async (context) => {
  const print = context.mock.method(console, 'error', () => undefined);
  const { native, zego } = await created();
  const heard = [];
  zego.on('onRoomStateUpdate', () => {
    throw new Error('mine');
  });
  zego.on('onPlayerStateUpdate', (param) => heard.push(param.state));
  native.emit(['onRoomStateUpdate', {}], ['onPlayerStateUpdate', { state: 2 }]);
  assert.deepEqual(heard, [2]);
  assert.equal(print.mock.callCount(), 1);
});

test('an argument of the wrong type is reported by onDebugError only', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  zego.loginRoom(5, USER);
  zego.muteMicrophone('yes');
  zego.startPublishingStream('s', null, -1);
  assert.deepEqual(errors.map((it) => [it.errorCode, it.funcName]), [
    [1000017, 'loginRoom'],
    [1000017, 'muteMicrophone'],
    [1000017, 'startPublishingStream'],
  ]);
  assert.equal(errors[0].info, errors[0].errorInfo);
  assert.deepEqual(native.calls.map(([name]) => name), ['create']);
});

test('a mistake without a listener is logged once', async (context) => {
  const print = context.mock.method(console, 'warn', () => undefined);
  const { zego } = await created();
  zego.muteMicrophone('yes');
  zego.muteMicrophone('yes');
  assert.equal(print.mock.callCount(), 1);
});

test('a null or absent ID is passed on as an empty one', async () => {
  const { native, zego } = await created();
  zego.loginRoom('r', { userID: null, userName: null });
  assert.deepEqual(native.named('loginRoom')[0].slice(1), [
    'r',
    { userID: '', userName: '' },
    { maxMemberCount: 0, isUserStatusNotify: false, token: '' },
  ]);
});

test('optional fields may be null or omitted', async () => {
  const { native, zego } = await created();
  zego.loginRoom('r', USER, { maxMemberCount: null, isUserStatusNotify: true });
  zego.startPublishingStream('s');
  zego.startPlayingStream('t', null, { cdnConfig: null, roomID: '' });
  zego.setVideoConfig({ captureWidth: 1280, captureHeight: null });
  zego.setVideoConfig(4);
  assert.equal(native.named('loginRoom')[0][3].isUserStatusNotify, true);
  assert.deepEqual(native.named('startPublishingStream')[0].slice(1), ['s', undefined, 0]);
  // A config without a room differs from no config at all: in multi-room mode each has its own code.
  assert.deepEqual(native.named('startPlayingStream')[0].slice(1), ['t', undefined, '']);
  assert.deepEqual(native.named('setVideoConfig').map((it) => it[1]), [{ captureWidth: 1280 }, { preset: 4 }]);
});

test('a promise resolves with the reply to its request', async () => {
  const { native, zego } = await created();
  const [first, second] = [zego.sendBroadcastMessage('r', 'a'), zego.sendBroadcastMessage('r', 'b')];
  const [one, two] = native.named('sendBroadcastMessage').map((it) => it[3]);
  native.emit(
    ['__reply', { id: two, value: { errorCode: 0, messageID: 2 } }],
    ['__reply', { id: one, value: { errorCode: 0, messageID: 1 } }],
  );
  assert.deepEqual(await Promise.all([first, second]), [
    { errorCode: 0, messageID: 1 },
    { errorCode: 0, messageID: 2 },
  ]);
});

test('pending promises resolve with a code when the engine is destroyed', async () => {
  const { zego } = await created();
  const waiting = zego.sendCustomCommand('r', 'c', [USER]);
  zego.destroyEngine();
  assert.deepEqual(await waiting, { errorCode: 1000001 });
});

test('ignored rejections are handled, awaited ones reject', async () => {
  const unhandled = mock.fn();
  process.on('unhandledRejection', unhandled);
  const { zego } = await created();
  debugErrors(zego);
  void zego.sendBroadcastMessage(1, 2);
  await assert.rejects(zego.sendBroadcastMessage(1, 2), { code: 1000017 });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', unhandled);
  assert.equal(unhandled.mock.callCount(), 0);
});

test('setRoomMode after createEngine is refused', async () => {
  const { zego } = await created();
  const errors = debugErrors(zego);
  zego.setRoomMode(0);
  assert.equal(errors[0].errorCode, 1001020);
});

test('unknown presets, room modes and codecs are reported', async () => {
  const { native, zego } = engine();
  const errors = debugErrors(zego);
  zego.setRoomMode(2);
  await zego.createEngine(PROFILE);
  zego.setVideoConfig(6);
  zego.setVideoConfig({ codecID: 3, keyFrameInterval: 3, fps: null });
  assert.deepEqual(errors.map(({ errorCode, funcName }) => [errorCode, funcName]), [
    [1000017, 'setRoomMode'],
    [1000017, 'setVideoConfig'],
    [1000010, 'setVideoConfig'],
  ]);
  assert.deepEqual(native.named('setVideoConfig'), [['setVideoConfig', { codecID: 3, keyFrameInterval: 3 }, 0]], 'as H.264');
});

test('the room mode is passed to createEngine', async () => {
  const { native, zego } = engine();
  zego.setRoomMode(1);
  await zego.createEngine(PROFILE);
  assert.equal(native.named('create')[0][2].multiRoom, true);
});

test('advancedConfig takes any scalars, and logConfig applies at once', async () => {
  const { native, zego } = engine();
  zego.setEngineConfig({ advancedConfig: { Room_Retry_Time: 5, flag: true }, logConfig: { logPath: '/logs' } });
  await zego.createEngine(PROFILE);
  assert.deepEqual(native.named('setLogConfig')[0][1], { logPath: '/logs' });
});

test('setAudioConfig takes presets, and getAudioConfig returns the config', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  assert.deepEqual(zego.getAudioConfig(), { bitrate: 48, channel: 1, codecID: 0 });
  zego.setAudioConfig(3);
  assert.deepEqual(zego.getAudioConfig(), { bitrate: 128, channel: 1, codecID: 0 });
  zego.setAudioConfigWithChannel({ bitrate: 64, channel: null }, 1);
  assert.equal(zego.getAudioConfig().bitrate, 128, 'another channel has its own config');
  zego.setAudioConfig({ channel: 2 });
  assert.deepEqual(zego.getAudioConfig(), { bitrate: 48, channel: 2, codecID: 0 }, 'a missing field is the default');
  zego.setAudioConfig({ bitrate: 5000 });
  assert.equal(zego.getAudioConfig().bitrate, 48, 'a refused config is not kept');
  zego.setAudioConfig(4);
  zego.setAudioCaptureStereoMode(1);
  assert.deepEqual(native.named('setAudioConfig'), [
    ['setAudioConfig', 128, false, 0], ['setAudioConfig', 64, false, 1], ['setAudioConfig', 48, true, 0],
    ['setAudioConfig', 5000, false, 0], ['setAudioConfig', 192, true, 0],
  ]);
  assert.deepEqual(zego.getAudioConfig(), { bitrate: 192, channel: 2, codecID: 0 });
  zego.setAudioConfig(9);
  zego.setAudioConfig({ bitrate: '64' });
  assert.deepEqual(errors.map((error) => error.funcName), ['setAudioConfig', 'setAudioConfig']);
  zego.destroyEngine();
  await zego.createEngine(PROFILE);
  assert.equal(zego.getAudioConfig().bitrate, 48, 'a new engine starts with the default');
});

test('monitors have the documented default intervals', async () => {
  const { native, zego } = await created();
  zego.startSoundLevelMonitor();
  zego.startSoundLevelMonitorWithConfig({ millisecond: 500, enableVAD: true });
  zego.startSoundLevelMonitorWithConfig({});
  zego.startAudioSpectrumMonitor();
  assert.deepEqual(native.named('startSoundLevelMonitor').map((call) => call.slice(1)), [
    [100, false],
    [500, true],
    [100, false],
  ]);
  assert.deepEqual(native.named('startAudioSpectrumMonitor'), [['startAudioSpectrumMonitor', 100]]);
  zego.startAudioVADStableStateMonitor(0);
  zego.startAudioVADStableStateMonitor(1, 500);
  assert.deepEqual(native.named('startAudioVADStableStateMonitor').map((call) => call.slice(1)), [[0, 3000], [1, 500]]);
});

test('SEI reaches the listener as bytes', async () => {
  const { native, zego } = await created();
  const heard = [];
  zego.on('onPlayerRecvSEI', ({ streamID, data }) => heard.push([streamID, data]));
  native.emit(['onPlayerRecvSEI', { streamID: 's', data: 'QUJD' }]);
  assert.deepEqual(heard, [['s', new Uint8Array([65, 66, 67])]]);
});

test('sound levels of several streams come as a Map', async () => {
  const { native, zego } = await created();
  const heard = [];
  zego.on('onRemoteSoundLevelInfoUpdate', ({ soundLevelInfos }) => heard.push(soundLevelInfos));
  native.emit(['onRemoteSoundLevelInfoUpdate', { soundLevelInfos: { s: { streamID: 's', soundLevel: 7, vad: 1 } } }]);
  assert.ok(heard[0] instanceof Map);
  assert.equal(heard[0].get('s').soundLevel, 7);
});

test('sendSEI takes buffers and any view of one', async () => {
  const { native, zego } = await created();
  const bytes = new Uint8Array([1, 2, 3, 4]);
  zego.sendSEI(bytes.buffer);
  zego.sendSEI(bytes.subarray(1, 3), 1);
  const sent = native.named('sendSEI').map(([, data, channel]) => [[...data], channel]);
  assert.deepEqual(sent, [[[1, 2, 3, 4], 0], [[2, 3], 1]]);
});

test('the speed test leaves out a direction that is not requested', async () => {
  const { native, zego } = await created();
  zego.startNetworkSpeedTest({ testUplink: true, expectedUplinkBitrate: 900, testDownlink: false, expectedDownlinkBitrate: 5 });
  zego.startNetworkSpeedTest({ testDownlink: true }, 500);
  assert.deepEqual(native.named('startNetworkSpeedTest'), [
    ['startNetworkSpeedTest', 3000, 900, undefined],
    ['startNetworkSpeedTest', 500, undefined, 0],
  ]);
});

test('methods without an effect only check their arguments', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  const before = native.calls.length;
  zego.enableHardwareEncoder(true);
  zego.setStreamAlignmentProperty(1);
  zego.setPlayStreamFocusOn('s');
  zego.uploadLog();
  assert.deepEqual(errors, []);
  zego.enableHardwareDecoder('yes');
  assert.deepEqual(errors.map(({ funcName, errorCode }) => [funcName, errorCode]), [['enableHardwareDecoder', 1000017]]);
  assert.equal(native.calls.length, before);
});

test('setVideoSource takes cameras, screens and none, and refuses others', async () => {
  const { native, zego } = await created();
  const { ZegoVideoSourceType: Source } = require('../../dist/generated/defines.js');
  assert.equal(zego.setVideoSource(Source.Camera, 0, 1), 0);
  assert.equal(zego.setVideoSource(Source.None, 0, 0), 0);
  assert.equal(zego.setVideoSource(Source.ScreenCapture, 3, 0), 0);
  assert.equal(zego.setVideoSource(Source.ZegoVideoSourceScreenCapture, 3, 1), 0);
  assert.ok(zego.setVideoSource(Source.Player, 1, 0) > 1000000);
  const set = native.named('setVideoSource').map(([, ...args]) => args);
  assert.deepEqual(set, [[1, 0, 1], [0, 0, 0], [2, 3, 0], [2, 3, 1]]);
});

test('events of a screen capture source reach the source and the engine', async () => {
  const { native, zego } = await created();
  const [first, second] = [zego.createScreenCaptureSource(70, 1), zego.createScreenCaptureSource(80, 2)];
  assert.deepEqual([first.getIndex(), second.getIndex()], [0, 1]);
  const heard = [];
  first.on('onRectChanged', () => heard.push('first'));
  second.on('onExceptionOccurred', (param) => heard.push(param));
  zego.on('SCREENCAPTURE_onExceptionOccurred', (param) => heard.push(param));
  native.emit(['SCREENCAPTURE_onExceptionOccurred', { index: 1, exceptionType: 2 }]);
  native.emit(['SCREENCAPTURE_onRectChanged', { index: 7, captureRect: {} }]);
  assert.deepEqual(heard, [{ exceptionType: 2 }, { index: 1, exceptionType: 2 }]);
});

test('calls on a screen capture source are checked and carry its index', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  const source = zego.createScreenCaptureSource(70, 1);
  source.startCapture();
  source.updateCaptureRegion({ x: 1, y: null, width: 30 });
  source.enableHightLight(false);
  assert.deepEqual(native.named('startScreenCapture'), [['startScreenCapture', 0]]);
  assert.deepEqual(native.named('updateCaptureRegion'), [['updateCaptureRegion', 0, { x: 1, y: 0, width: 30, height: 0 }]]);
  assert.deepEqual(errors, []);
  source.enableHightLight(true, { width: 2, color: 0 });
  source.enableAudioCaptureWithConfig(true);
  zego.destroyScreenCaptureSource({});
  assert.deepEqual(errors.map(({ errorCode }) => errorCode), [1020050, 1020050, 1020003]);
  zego.destroyScreenCaptureSource(source);
  source.stopCapture();
  assert.equal(errors.at(-1).errorCode, 1020003);
  assert.deepEqual(native.named('stopScreenCapture'), []);
});

test('getScreenCaptureSources rejects without a window system', async () => {
  const { native, zego } = await created();
  const listed = zego.getScreenCaptureSources(100, 100, 0, 0);
  const [[, , , request]] = native.named('getScreenCaptureSources');
  native.emit(['__reply', { id: request, value: { errorCode: 1020001, message: 'no X server' } }]);
  await assert.rejects(listed, { code: 1020001 });
});

test('only software H.264 is reported as supported', async () => {
  const { zego } = await created();
  const { ZegoVideoCodecID: Codec, ZegoVideoCodecBackend: Backend } = require('../../dist/generated/defines.js');
  assert.equal(zego.isVideoEncoderSupported(Codec.Default, Backend.Any), 1);
  assert.equal(zego.isVideoEncoderSupported(Codec.H265, Backend.Any), 0);
  assert.equal(zego.isVideoDecoderSupported(Codec.SVC, Backend.Hardware), 0);
});
