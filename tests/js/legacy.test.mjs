// Applications written for older versions of the vendor's SDK.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { created, debugErrors, engine, listenToConsole, PROFILE, USER } from './face.mjs';

test('methods of older versions start, configure and end the engine', async (context) => {
  const said = listenToConsole(context);
  const { native, zego } = engine();
  await zego.initWithProfile(PROFILE);
  zego.setDebugVerbose(false, 0);
  zego.enableConsolePrintDebugInfo(false);
  zego.setPlayStreamVideoLayer('s', 2);
  zego.uninit();
  zego.uninit();
  assert.deepEqual(native.calls.filter(([name]) => name !== 'resume').map(([name]) => name), [
    'create', 'setPlayStreamVideoType', 'destroy',
  ]);
  assert.deepEqual(native.named('setPlayStreamVideoType')[0].slice(1), ['s', 2]);
  assert.equal(said.length, 5, 'one warning a name, however often it is called');
  assert.match(said[0], /initWithProfile .* createEngine/);
});

test('setDebugVerbose does not interrupt the set-up', async () => {
  const { zego } = engine();
  const done = [];
  await zego.init(7, 'secret', true, 0).then(() => {
    zego.setDebugVerbose(false, 0);
    done.push('set up');
  });
  assert.deepEqual(done, ['set up']);
});

test('loginMultiRoom logs in as the user of the first room', async (context) => {
  listenToConsole(context);
  const { native, zego } = await created();
  zego.loginRoom('first', USER);
  zego.loginMultiRoom('second', { isUserStatusNotify: true });
  const [, [, room, user, config]] = native.named('loginRoom');
  assert.deepEqual([room, user, config.isUserStatusNotify], ['second', USER, true]);
});

test('an old name of a method that is not built behaves like the new one', async (context) => {
  listenToConsole(context);
  const { zego } = await created();
  const errors = debugErrors(zego);
  zego.setReverbParam({ roomSize: 1, damping: 1, dryWetRatio: 1, reverberance: 1 });
  assert.deepEqual(errors.map(({ errorCode, funcName }) => [errorCode, funcName]), [[1000010, 'setReverbAdvancedParam']]);
});

test('onDeviceError still reports device errors', async (context) => {
  const said = listenToConsole(context);
  const { native, zego } = await created();
  const heard = [];
  zego.on('onDeviceError', (error) => heard.push(error));
  native.emit(
    ['onLocalDeviceExceptionOccurred', { exceptionType: 6, deviceType: 1, deviceID: 'x' }],
    ['onLocalDeviceExceptionOccurred', { exceptionType: 10, deviceType: 2, deviceID: 'y' }],
  );
  assert.deepEqual(heard, [
    { errorCode: 1006006, deviceName: 'camera' },
    { errorCode: 1006001, deviceName: 'microphone' },
  ]);
  assert.equal(said.length, 1);
});
