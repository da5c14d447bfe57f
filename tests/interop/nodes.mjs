// Real LiveKit servers on loopback: one node, or several that find each other through Redis.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { livekitServer } from '../../scripts/livekit-server.mjs';
import { APP, freePort, listens } from '../electron/call_members.mjs';
import { eventually } from '../electron/harness.mjs';
import { KEY, SECRET } from './keys.mjs';

const START_MS = 15000;
const started = new Set();

/** Path of the server in the requested version, or why these tests cannot run. */
export const server = livekitServer(process.env.LIVEKIT_SERVER_VERSION);

async function end(child, signal) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}

function run(command, args) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  child.log = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (child.log += text));
  started.add(child);
  return child;
}

async function ready(child, port) {
  const opened = async () => child.exitCode !== null || (await listens(port));
  await eventually(opened, (yes) => yes, START_MS);
  if (child.exitCode !== null) throw new Error(`ended at once: ${child.log}`);
}

/** Stops everything that was started here. */
export async function endAll() {
  await Promise.all([...started].map((child) => end(child, 'SIGKILL')));
  started.clear();
}

/** Configuration of every server here: its ports and the keys of all clients. */
export const stockConfig = ({ port, tcp, udp }) => ({
  port,
  // Without a configured STUN server it would send clients to public ones.
  rtc: { tcp_port: tcp, udp_port: udp, use_external_ip: false, stun_servers: ['127.0.0.1:3478'] },
  keys: { [APP.appID]: APP.appSign, [KEY]: SECRET },
});

/** A node on free ports, or with that signalling port; with a Redis it is part of a cluster. */
export async function startNode({ redis, port: wanted } = {}) {
  const [port, tcp, udp] = [Number(wanted ?? (await freePort())), await freePort(), await freePort()];
  const stock = stockConfig({ port, tcp, udp });
  const config = {
    ...stock,
    bind_addresses: ['127.0.0.1'],
    rtc: { ...stock.rtc, enable_loopback_candidate: true },
    ...(redis ? { redis: { address: `127.0.0.1:${redis.port}` } } : {}),
  };
  const child = run(server.path, ['--node-ip', '127.0.0.1', '--config-body', JSON.stringify(config)]);
  await ready(child, port);
  return {
    url: `ws://127.0.0.1:${port}`,
    http: `http://127.0.0.1:${port}`,
    pid: child.pid,
    get log() {
      return child.log;
    },
    kill: () => end(child, 'SIGKILL'),
  };
}

/** Whether there is a Redis to connect nodes with. */
export const hasRedis = () => !spawnSync('redis-server', ['--version']).error;

/** A Redis without persistence. */
export async function startRedis() {
  const [port, folder] = [await freePort(), mkdtempSync(join(tmpdir(), 'redis-'))];
  const child = run('redis-server', ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]);
  child.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  await ready(child, port);
  return { port };
}
