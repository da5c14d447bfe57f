// Methods that are not built must not break an application that calls them.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mock, test } from 'node:test';
import { created, debugErrors, engine, listenToConsole } from './face.mjs';

const surface = createRequire(import.meta.url)('../../js/surface/surface.json');
const { parts } = createRequire(import.meta.url)('../../js/surface/calls.json');
const built = new Set(Object.values(parts).flatMap((methods) => Object.keys(methods)));
const missing = surface.methods.filter(({ name }) => !built.has(name));
const NOT_BUILT = 1000010;

/** Arguments that request something, by their types. */
const requestingArguments = ({ params }) =>
  params.map(({ type }) => (type === 'boolean' ? true : type === 'string' ? 'text' : /^(number|Zego\w*(Preset|Type|Mode|Channel))$/.test(type) ? 1 : {}));

test('a method that is not built never throws or rejects', async () => {
  const unhandled = mock.fn();
  process.on('unhandledRejection', unhandled);
  const { zego } = await created();
  debugErrors(zego);
  for (const method of missing) {
    for (const args of [[], [null], [undefined, null], ['x', 5, {}], requestingArguments(method)]) await zego[method.name](...args);
  }
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', unhandled);
  assert.equal(unhandled.mock.callCount(), 0);
});

test('a method that is not built returns the documented error code', async () => {
  const { zego } = await created();
  debugErrors(zego);
  for (const method of missing) {
    const { name, returns } = method;
    const answer = await zego[name](...requestingArguments(method));
    if (returns.startsWith('Promise')) assert.equal(answer.errorCode, NOT_BUILT, name);
    else if (name.startsWith('create')) assert.equal(answer, null, name);
    else if (returns === 'number') assert.equal(answer, name.startsWith('get') ? 0 : NOT_BUILT, name);
    else assert.equal(answer, undefined, name);
  }
  assert.deepEqual(await zego.startMixerTask({}), { errorCode: NOT_BUILT, extendedData: '' });
  assert.deepEqual(await zego.stopMixerTask({}), { errorCode: NOT_BUILT });
});

test('a method that is not built is reported once per engine', async () => {
  const { zego } = await created();
  const errors = debugErrors(zego);
  zego.createMediaPlayer();
  zego.createMediaPlayer();
  zego.enableTransientANS(true);
  const summary = ({ errorCode, funcName }) => [errorCode, funcName];
  assert.deepEqual(errors.map(summary), [[NOT_BUILT, 'createMediaPlayer'], [NOT_BUILT, 'enableTransientANS']]);
  zego.destroyEngine();
  await zego.createEngine({ appID: 7 });
  const later = debugErrors(zego);
  zego.createMediaPlayer();
  assert.deepEqual(later.map(summary), [[NOT_BUILT, 'createMediaPlayer']]);
});

test('stopping what never started, or setting a default, does nothing', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  const before = native.calls.length;
  for (const { name } of missing.filter(({ name }) => /^(stop|destroy|unregister|remove)/.test(name))) await zego[name](null);
  for (const { name } of missing.filter(({ name }) => name.startsWith('enable'))) zego[name](false);
  zego.setReverbPreset(0);
  zego.setVoiceChangerPreset(0);
  zego.setAudioEqualizerGain(3, 0);
  zego.setPublishWatermark(null, false);
  zego.setPlayStreamDecryptionKey('s', '');
  zego.enableExternalRender(false);
  assert.deepEqual(errors, []);
  assert.equal(native.calls.length, before);
});

test('enabling external rendering is reported, also without an engine', (context) => {
  const said = listenToConsole(context);
  const { zego } = engine();
  const errors = debugErrors(zego);
  zego.enableExternalRender(true);
  assert.deepEqual(errors.map(({ errorCode }) => errorCode), [NOT_BUILT]);
  assert.deepEqual(said, []);
});

test('strict mode throws for methods not built and wrong argument types', async () => {
  const unhandled = mock.fn();
  process.on('unhandledRejection', unhandled);
  const { zego } = await created({ strict_mode: true });
  debugErrors(zego);
  for (const { name, returns } of missing) {
    if (returns.startsWith('Promise')) await assert.rejects(zego[name](), { name: 'ZegoError', code: NOT_BUILT }, name);
    else assert.throws(() => zego[name](), { name: 'ZegoError', code: NOT_BUILT }, name);
  }
  void zego.startMixerTask({});
  assert.throws(() => zego.enableExternalRender(true), { code: NOT_BUILT });
  assert.throws(() => zego.muteMicrophone('yes'), { code: 1000017 });
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', unhandled);
  assert.equal(unhandled.mock.callCount(), 0);
});

test('setAudioSource takes the microphone and none, and refuses others', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  const { ZegoAudioSourceType: Source } = createRequire(import.meta.url)('../../dist/generated/defines.js');
  assert.equal(zego.setAudioSource(Source.Microphone, 0), 0);
  assert.equal(zego.setAudioSource(Source.Default, 1), 0);
  assert.equal(zego.setAudioSource(Source.None), 0);
  assert.equal(zego.setAudioSourceWithConfig(Source.Microphone), 0);
  assert.equal(zego.setAudioSourceWithConfig(Source.Microphone, { mediaPlayerIndexList: [], enableMixSystemPlayout: false }), 0);
  assert.deepEqual(native.named('setAudioSource').map(([, ...args]) => args), [[true, 0], [true, 1], [false, 0], [true, 0], [true, 0]]);
  assert.deepEqual(errors, []);
  assert.equal(zego.setAudioSource(Source.MediaPlayer, 0), NOT_BUILT);
  assert.equal(zego.setAudioSource(Source.MediaPlayer, 0), NOT_BUILT);
  assert.equal(zego.setAudioSourceWithConfig(Source.Microphone, { mediaPlayerIndexList: [0] }), NOT_BUILT);
  assert.equal(zego.setAudioSource('microphone', 0), 1000017);
  assert.deepEqual(errors.map(({ errorCode }) => errorCode), [NOT_BUILT, NOT_BUILT, 1000017]);
});

test('unsupported config fields are reported once, defaults are not', async () => {
  const { native, zego } = await created();
  const errors = debugErrors(zego);
  const { ZegoStreamResourceMode: Mode } = createRequire(import.meta.url)('../../dist/generated/defines.js');
  zego.startPlayingStream('a', null, { cdnConfig: null, roomID: '', resourceMode: Mode.Default, own: 1 });
  zego.startPlayingStream('b', null, { resourceMode: Mode.OnlyRTC });
  zego.startPublishingStream('c', { streamTitle: '', forceSynchronousNetworkTime: 0 });
  assert.deepEqual(errors, []);
  zego.startPlayingStream('d', null, { cdnConfig: { url: 'rtmp://x' }, resourceMode: Mode.OnlyCDN });
  zego.startPlayingStream('e', null, { cdnConfig: { url: 'rtmp://x' } });
  zego.startPublishingStream('f', { streamTitle: 'title' }, 1);
  assert.deepEqual(errors.map(({ errorCode, funcName }) => [errorCode, funcName]), [
    [NOT_BUILT, 'startPlayingStream'],
    [NOT_BUILT, 'startPlayingStream'],
    [NOT_BUILT, 'startPublishingStream'],
  ]);
  assert.match(errors[0].info, /resourceMode/);
  assert.equal(native.named('startPlayingStream').length + native.named('startPublishingStream').length, 6);
});
