// An application without listeners must find failures on the console.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { created, listenToConsole } from './face.mjs';

const roomState = (code, extendedData = '{}') => [
  ['onRoomStateChanged', { roomID: 'r', reason: 2, errorCode: code, extendedData }],
  ['onRoomStateUpdate', { roomID: 'r', state: 0, errorCode: code, extendedData }],
];
const player = (streamID, code) => ['onPlayerStateUpdate', { streamID, state: 0, errorCode: code, extendedData: '{}' }];

test('a failure without a listener is logged once with its meaning', async (context) => {
  const said = listenToConsole(context);
  const { native, zego } = await created();
  native.emit(...roomState(1002009), ...roomState(1002009), player('s', 1000002), player('t', 1000002));
  assert.equal(said.length, 2);
  assert.match(said[0], /room "r": .*user name.*\(1002009\)/);
  assert.match(said[1], /stream "s": .*not in .*room.*\(1000002\)/);
  native.emit(...roomState(0), ['onRoomStreamUpdate', { roomID: 'r' }]);
  native.emit(['onDebugError', { errorCode: 1006001, funcName: 'camera', info: 'it is busy', errorInfo: 'it is busy' }]);
  assert.equal(said.length, 3, 'what went well, and what has no code, is no failure');
  assert.match(said[2], /camera: it is busy \(1006001\)/);
  zego.destroyEngine();
});

test('a failure with a listener is not logged', async (context) => {
  const said = listenToConsole(context);
  const { native, zego } = await created();
  zego.on('onRoomStateChanged', () => undefined);
  zego.on('onPlayerStateUpdate', () => undefined);
  native.emit(...roomState(1002009), player('s', 1000002));
  assert.deepEqual(said, [], 'one of the two events of a room is enough');
});

test('the reason is logged with the code, and an invalid one is ignored', async (context) => {
  const said = listenToConsole(context);
  const { native } = await created();
  native.emit(...roomState(1002030, JSON.stringify({ message: 'ws://127.0.0.1:7880 does not answer' })));
  native.emit(player('s', 1004099), ['onPublisherStateUpdate', { streamID: 's', state: 0, errorCode: 5, extendedData: 'x' }]);
  assert.match(said[0], /ws:\/\/127\.0\.0\.1:7880 does not answer/);
  assert.equal(said.length, 3);
});
