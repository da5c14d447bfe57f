// Members of the calls in these tests: servers, engines and stock clients in namespaces.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { token } from '../interop/harness.mjs';
import { server as stockServer, stockConfig } from '../interop/nodes.mjs';
import { APP_ID, APP_SIGN, callerOf, eventually, runScript, runServerWithin, startClient } from '../node/harness.mjs';

const file = fileURLToPath(new URL('../interop/stock/member.mjs', import.meta.url));
const keys = { key: String(APP_ID), secret: APP_SIGN };
const others = new Set();

/** Stops what `endAll` of the harness does not. */
export function endOthers() {
  for (const child of others) child.kill('SIGKILL');
  others.clear();
}

/** Our room server on a host, at its usual ports. */
export async function startServerOn(host, ...args) {
  const child = runServerWithin(host.prefix, '--key', `${APP_ID}:${APP_SIGN}`, ...args);
  const ended = () => (child.exitCode === null ? '' : `it ended: ${child.err}`);
  await eventually(() => /listening on/.test(child.out) || ended());
  if (ended()) throw new Error(ended());
  return child;
}

/** Why there is no stock server, for the option `skip` of a test. */
export const noStockServer = stockServer.reason ?? false;

/** A stock LiveKit server on a host. `config` in its own words. */
export async function startStockServerOn(host, config) {
  const whole = { ...stockConfig({ port: 7880, tcp: 7881, udp: 7882 }), ...config };
  const [command, ...rest] = [...host.prefix, stockServer.path, '--config-body', JSON.stringify(whole)];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  others.add(child);
  child.log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (child.log += text));
  await eventually(() => child.exitCode !== null || /starting LiveKit server/.test(child.log));
  if (child.exitCode !== null) throw new Error(`the LiveKit server ended: ${child.log}`);
  // It says so a little before it listens.
  const probe = `require('net').connect(7880, '127.0.0.1').on('connect', () => process.exit(0)).on('error', () => process.exit(1))`;
  await eventually(async () => {
    const [first, ...more] = [...host.prefix, process.execPath, '-e', probe];
    const [code] = await once(spawn(first, more, { stdio: 'ignore' }), 'exit');
    return code === 0;
  });
  return child;
}

/** An engine on a host, in room `r`. */
export async function startApp(host, url, userID, { advanced, ...settings } = {}) {
  const app = await startClient({ url }, { within: host.prefix, advanced, ...settings });
  await app.call('loginRoom', 'r', { userID, userName: userID });
  return app;
}

/** livekit-client without options in `chromium` or `firefox`, or rtc-node in `node`, on a host and in room `r`. */
export async function startStock(host, url, kind, identity, { more, env } = {}) {
  const child = runScript(file, [kind], {
    within: host.prefix,
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, ...env },
  });
  let isReady;
  const ready = new Promise((resolve) => (isReady = resolve));
  const call = callerOf(child, isReady);
  await Promise.race([ready, child.ended.then(() => Promise.reject(new Error(`the ${kind} client ended`)))]);
  await call('enter', { url, token: await token(identity, {}, keys), ...more });
  return { observe: (other) => call('observe', other), leave: () => call('leave') };
}

/** Waits until an engine receives frames of a stream that it plays. */
export const sees = (app, streamID, patience) =>
  eventually(async () => {
    const { players } = await app.stats();
    return players.find((player) => player.streamID === streamID)?.framesDecoded ?? 0;
  }, (frames) => frames > 20, patience);

/** Waits until a stock client receives audio and video of a participant. */
export const meets = (client, identity, patience) =>
  eventually(() => client.observe(identity), ({ frames, samples }) => frames > 20 && samples > 20_000, patience);

/** Two engines publish the streams `a` and `b`, and see each other; neither hears of anything but success. */
export async function seeEachOther(a, b) {
  await a.call('startPublishingStream', 'a');
  await b.call('startPublishingStream', 'b');
  await a.call('startPlayingStream', 'b');
  await b.call('startPlayingStream', 'a');
  await Promise.all([sees(a, 'b'), sees(b, 'a')]);
  for (const app of [a, b]) {
    assert.deepEqual(app.states('onRoomStateUpdate'), [1, 2]);
    assert.deepEqual(app.states('onPublisherStateUpdate'), [1, 2]);
    assert.deepEqual(app.states('onPlayerStateUpdate'), [1, 2]);
  }
}
