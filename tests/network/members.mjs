// Who takes part in calls of these tests, and where: servers, engines and stock clients in namespaces.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { token } from '../interop/harness.mjs';
import { livekitServer } from '../../scripts/livekit-server.mjs';
import { APP_ID, APP_SIGN, eventually, runScript, runServerWithin, startClient } from '../node/harness.mjs';
import { spawn } from 'node:child_process';

const file = fileURLToPath(new URL('../interop/stock/member.mjs', import.meta.url));
const keys = { key: String(APP_ID), secret: APP_SIGN };
const others = new Set();

/** Ends what was started here and is not ended by `endAll` of the harness. */
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
export const noStockServer = livekitServer().reason ?? false;

/** A stock LiveKit server on a host. `config` in its own words. */
export async function startStockServerOn(host, config) {
  const { path } = livekitServer();
  const whole = {
    port: 7880,
    // Without a STUN server of its own it would tell clients to ask public ones.
    rtc: { tcp_port: 7881, udp_port: 7882, use_external_ip: false, stun_servers: ['127.0.0.1:3478'], ...config?.rtc },
    keys: { [APP_ID]: APP_SIGN },
    ...(config?.turn ? { turn: config.turn } : {}),
  };
  const [command, ...rest] = [...host.prefix, path, '--config-body', JSON.stringify(whole)];
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
  const answers = new Map();
  let next = 0;
  const ready = new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error(`the ${kind} client ended`)));
    child.on('message', ({ ready, id, value, error }) => {
      if (ready) return resolve();
      const answer = answers.get(id);
      return error === undefined ? answer.resolve(value) : answer.reject(new Error(error));
    });
  });
  await ready;
  const call = (method, ...args) =>
    new Promise((resolve, reject) => {
      answers.set(next, { resolve, reject });
      child.send({ id: next++, method, args });
    });
  await call('enter', { url, token: await token(identity, {}, keys), ...more });
  return { observe: (other) => call('observe', other), leave: () => call('leave') };
}

/** Waits until an engine has pictures of a stream that it plays. */
export const sees = (app, streamID, patience) =>
  eventually(async () => {
    const { players } = await app.stats();
    return players.find((player) => player.streamID === streamID)?.framesDecoded ?? 0;
  }, (frames) => frames > 20, patience);

/** Waits until a stock client sees and hears somebody. */
export const meets = (client, identity, patience) =>
  eventually(() => client.observe(identity), ({ frames, samples }) => frames > 20 && samples > 20_000, patience);
