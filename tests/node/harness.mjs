// A room server and engines, each in its own process.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const APP_ID = 1234567890;
export const APP_SIGN = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';
const PATIENCE_MS = 20_000;

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const running = new Set();

function keep(child) {
  running.add(child);
  child.ended = once(child, 'exit').then(([code, signal]) => {
    running.delete(child);
    return { code, signal };
  });
  return child;
}

/** Ends what a failed test left running. */
export function endAll() {
  for (const child of running) child.kill('SIGKILL');
}

/** Waits until `read` returns a value that `accept` accepts; fails with the last value. */
export async function eventually(read, accept = Boolean, timeoutMs = PATIENCE_MS) {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const value = await read();
    if (accept(value)) return value;
    if (Date.now() > end) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs a JS file as its own process, after a command prefix such as `ip netns exec …`. */
export function runScript(file, args, { within = [], ...options } = {}) {
  const [command, ...rest] = [...within, process.execPath, file, ...args];
  return keep(spawn(command, rest, options));
}

/** Runs the room server's command and collects its output in `out` and `err`. */
export const runServer = (...args) => runServerWithin([], ...args);

/** The same with a command prefix, such as in a network namespace. */
export function runServerWithin(within, ...args) {
  const child = runScript(path('../../bin/zego-room-server.js'), args, { within, stdio: ['ignore', 'pipe', 'pipe'] });
  Object.assign(child, { out: '', err: '' });
  child.stdout.on('data', (text) => (child.out += text));
  child.stderr.on('data', (text) => (child.err += text));
  return child;
}

/** A server on a free port, with the key of the tests' app. */
export async function startServer(...args) {
  const child = runServer('--port', '0', '--key', `${APP_ID}:${APP_SIGN}`, ...args);
  const line = await eventually(() => /ws:\/\/127\.0\.0\.1:(\d+) \(media: udp [^\s,)]+:(\d+)/.exec(child.out));
  return Object.assign(child, { port: Number(line[1]), mediaPort: Number(line[2]), url: `ws://127.0.0.1:${line[1]}` });
}

/** Runs methods in a process that replies as client.mjs does; other messages go to `other`. */
export function callerOf(child, other) {
  const answers = new Map();
  let next = 0;
  child.on('message', (message) => {
    const answer = answers.get(message.id);
    if (!answer) return void other(message);
    answers.delete(message.id);
    return message.error === undefined ? answer.resolve(message.value) : answer.reject(new Error(message.error));
  });
  return (method, ...args) =>
    new Promise((resolve, reject) => {
      answers.set(next, { resolve, reject });
      child.send({ id: next++, method, args });
    });
}

/** A process with an engine. `call` runs a method there and returns its result; `events` are the engine's events. */
export async function startClient(server, { within, advanced, ...settings } = {}) {
  const child = runScript(path('client.mjs'), [], { within, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const events = [];
  const call = callerOf(child, (event) => events.push({ ...event, at: performance.now() }));
  await call('create', { appID: APP_ID, appSign: APP_SIGN, scenario: 0, server: server.url, ...settings }, advanced);
  return {
    call,
    events,
    ended: child.ended,
    states: (name) => events.filter(({ event }) => event === name).map(({ param }) => param.state),
    stats: async () => JSON.parse(await call('callExperimentalAPI', '{"method":"getStats"}')),
  };
}

/** Two processes in room `call`: one publishes `stream`, the other plays it and receives frames. */
export async function startCall(server) {
  const [publisher, player] = await Promise.all([startClient(server), startClient(server)]);
  await publisher.call('loginRoom', 'call', { userID: 'publisher', userName: 'publisher' });
  await player.call('loginRoom', 'call', { userID: 'player', userName: 'player' });
  await publisher.call('startPublishingStream', 'stream');
  await player.call('startPlayingStream', 'stream');
  await eventually(() => publisher.states('onPublisherStateUpdate'), (states) => states.join() === '1,2');
  await eventually(() => player.states('onPlayerStateUpdate'), (states) => states.join() === '1,2');
  await eventually(async () => (await player.stats()).players[0].framesDecoded > 5);
  return { publisher, player };
}
