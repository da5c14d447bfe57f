// Misuse of the real engine.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, afterEach, beforeEach, test } from 'node:test';
import { APP_ID, APP_SIGN, endAll, eventually, startServer } from './harness.mjs';

const require = createRequire(import.meta.url);
const engine = require('../../ZegoExpressEngine.js');
const NO_ENGINE = { name: 'ZegoError', code: 1000001 };
const CYCLES = 100;
const MAX_GROWTH_KB = 32 * 1024;

const server = await startServer();
const profile = { appID: APP_ID, appSign: APP_SIGN, scenario: 0, server: server.url };
const user = { userID: 'anna', userName: 'Anna' };
const unhandled = [];
process.on('unhandledRejection', (reason) => unhandled.push(reason));

/** Collects the payloads of an event. */
function record(name) {
  const payloads = [];
  engine.on(name, (param) => payloads.push(param));
  return payloads;
}

async function login() {
  const states = record('onRoomStateUpdate');
  engine.loginRoom('misuse', user);
  await eventually(() => states.map(({ state }) => state), (list) => list.join() === '1,2');
  return states;
}

// These tests provoke warnings about misuse.
beforeEach(({ mock }) => {
  mock.method(console, 'warn', () => undefined);
});

afterEach(async () => {
  engine.destroyEngine();
  engine.removeAllListeners();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(unhandled, []);
});

after(endAll);

const CALLS = [
  ['loginRoom', 'r', user],
  ['logoutRoom'],
  ['startPublishingStream', 's'],
  ['stopPublishingStream'],
  ['startPreview'],
  ['stopPreview'],
  ['startPlayingStream', 's'],
  ['stopPlayingStream', 's'],
  ['setRoomScenario', 0],
  ['callExperimentalAPI', '{"method":"getStats"}'],
  ['getVideoDeviceList'],
  ['sendBroadcastMessage', 'r', 'hello'],
  ['sendCustomCommand', 'r', 'hello', []],
];

test('destroyEngine without an engine does nothing', () => {
  assert.equal(engine.destroyEngine(), undefined);
});

test('calls without an engine throw a typed error', async () => {
  for (const [name, ...args] of CALLS) assert.throws(() => engine[name](...args), NO_ENGINE, `${name} before`);
  await engine.createEngine(profile);
  engine.destroyEngine();
  for (const [name, ...args] of CALLS) assert.throws(() => engine[name](...args), NO_ENGINE, `${name} after`);
});

test('a second createEngine resolves and the room stays connected', async () => {
  await engine.createEngine(profile);
  const states = await login();
  assert.equal(await engine.createEngine({ ...profile, appID: 1 }), undefined);
  assert.equal((await engine.sendBroadcastMessage('misuse', 'still here')).errorCode, 0);
  assert.deepEqual(states.map(({ state }) => state), [1, 2]);
});

test('listeners added before createEngine receive events', async () => {
  const states = record('onRoomStateUpdate');
  await engine.createEngine(profile);
  engine.loginRoom('misuse', user);
  await eventually(() => states.map(({ state }) => state), (list) => list.join() === '1,2');
});

test('an exception in a listener is reported and the engine keeps working', async ({ mock }) => {
  const reported = mock.method(console, 'error', () => undefined);
  await engine.createEngine(profile);
  engine.once('onRoomStateUpdate', () => {
    throw new Error('a mistake of the application');
  });
  const states = record('onRoomStateUpdate');
  engine.loginRoom('misuse', user);
  await eventually(() => states.map(({ state }) => state), (list) => list.at(-1) === 2);
  assert.match(String(reported.mock.calls[0].arguments), /a mistake of the application/);
});

test('promise methods reject arguments of the wrong type', async () => {
  for (const wrong of [undefined, null, 'profile', {}, { appID: '1' }, { appID: -1 }, { appID: APP_ID, appSign: 5 }]) {
    await assert.rejects(engine.createEngine(wrong), { name: 'ZegoError' }, JSON.stringify(wrong));
  }
  await engine.createEngine(profile);
  await login();
  await assert.rejects(engine.sendBroadcastMessage(), { name: 'ZegoError' });
  await assert.rejects(engine.sendBroadcastMessage('misuse', 5), { name: 'ZegoError' });
  await assert.rejects(engine.sendCustomCommand('misuse', 'hello', 'all'), { name: 'ZegoError' });
  await assert.rejects(engine.sendCustomCommand('misuse', 'hello', [null]), { name: 'ZegoError' });
});

test('an unhandled rejection of an invalid call does not end the process', async () => {
  engine.createEngine('wrong');
  await engine.createEngine(profile);
  engine.sendBroadcastMessage(1, 2);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(unhandled, []);
});

test('broadcasts with invalid values resolve with an error code', async () => {
  await engine.createEngine(profile);
  await login();
  const code = async (...args) => (await engine.sendBroadcastMessage(...args)).errorCode;
  assert.equal(await code('misuse', ''), 1009001);
  assert.equal(await code('misuse', 'x'.repeat(1025)), 1009002);
  assert.equal(await code('another', 'hello'), 1009005);
  assert.equal(await code('misuse', 'hello'), 0);
});

test('setRoomScenario inside a room is an error', async () => {
  await engine.createEngine(profile);
  await login();
  const errors = record('onDebugError');
  engine.setRoomScenario(1);
  await eventually(() => errors.length > 0);
  assert.equal(errors[0].errorCode, 1000067);
  assert.equal(errors[0].funcName, 'setRoomScenario');
});

test('a hundred engines in a row leak nothing', async () => {
  const status = (field) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1]);
  const cycle = async () => {
    await engine.createEngine(profile);
    engine.loginRoom('misuse', user);
    engine.startPreview();
    engine.destroyEngine();
    await new Promise((resolve) => setImmediate(resolve));
  };
  for (let round = 0; round < CYCLES / 5; round++) await cycle();
  const before = { kB: status('VmRSS'), threads: status('Threads') };
  for (let round = 0; round < CYCLES; round++) await cycle();
  await eventually(() => status('Threads'), (threads) => threads <= before.threads + 2);
  const grown = status('VmRSS') - before.kB;
  assert.ok(grown < MAX_GROWTH_KB, `memory grew by ${grown} kB`);
});
