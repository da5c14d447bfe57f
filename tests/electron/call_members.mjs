// Users and room servers, each in its own process that a test may kill.
import { fork, spawn } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
export const APP = { appID: 1234567890, appSign: '0123456789abcdef'.repeat(4), scenario: 3 };
export const ROOM = 'room';
export const [DELETE, ADD] = [1, 0];

const ended = (child) => new Promise((resolve) => child.once('exit', resolve));
/** Ends a process as a crash would: it cannot say goodbye. */
const kill = (child) => {
  const end = ended(child);
  child.kill('SIGKILL');
  return end;
};

export async function freePort() {
  const probe = createServer();
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** A stand-alone room server on loopback; resolves when it listens. */
export async function startServer(port) {
  const program = join(here, '../../bin/zego-room-server.js');
  const args = [program, '--port', port, '--key', `${APP.appID}:${APP.appSign}`];
  const child = spawn(process.execPath, args, { stdio: 'ignore' });
  await eventually(() => listens(port), (yes) => yes, 10000);
  return { pid: child.pid, kill: () => kill(child) };
}

/** Whether a server accepts connections on that loopback port. */
export const listens = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });

/** A user in plain Node. `call` runs a method of its engine, `events` are all that it emitted. */
export class Member {
  events = [];
  #child = fork(join(here, 'app/member.js'));
  #answers = new Map();
  #calls = 0;

  constructor(userID) {
    this.userID = userID;
    this.#child.on('message', ({ id, result, event, param }) => {
      if (event) return void this.events.push({ event, param, at: Date.now() });
      this.#answers.get(id)?.(result);
      this.#answers.delete(id);
    });
  }

  get pid() {
    return this.#child.pid;
  }

  call(method, ...args) {
    const id = ++this.#calls;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#child.send({ id, method, args });
    });
  }

  /** Logs in and publishes a stream that is called like the user. Without a `server` the engine finds or starts one. */
  async enter(server) {
    await this.login(server);
    await this.call('startPublishingStream', this.userID);
    await eventually(() => this.states('onPublisherStateUpdate').at(-1), (state) => state === '2:0', 10000);
  }

  /** Logs in and publishes nothing. */
  async login(server) {
    await this.call('createEngine', { ...APP, ...(server ? { server } : {}) });
    await this.call('loginRoom', ROOM, { userID: this.userID, userName: this.userID }, { isUserStatusNotify: true });
  }

  /** `state:errorCode` of all events of that name, in order. */
  states(name, streamID) {
    const own = this.events.filter(({ event, param }) => event === name && (!streamID || param.streamID === streamID));
    return own.map(({ param }) => `${param.state}:${param.errorCode}`);
  }

  /** How often a user, and the stream that is called like the user, came (`ADD`) and went (`DELETE`). */
  seen(userID, updateType) {
    const updates = this.events.filter(({ param }) => param?.updateType === updateType);
    const users = updates.filter(({ event }) => event === 'onRoomUserUpdate').flatMap(({ param }) => param.userList);
    const streams = updates.filter(({ event }) => event === 'onRoomStreamUpdate').flatMap(({ param }) => param.streamList);
    return {
      users: users.filter((user) => user.userID === userID).length,
      streams: streams.filter((stream) => stream.streamID === userID).length,
    };
  }

  /** Waits until the user and the stream have come or gone once more than `since`, an answer of `seen`. */
  sees(userID, updateType, since = { users: 0, streams: 0 }, timeoutMs = 15000) {
    const seen = () => ({ came: this.seen(userID, ADD), went: this.seen(userID, DELETE), since, updateType });
    const isMore = ({ came, went }) => {
      const { users, streams } = updateType === ADD ? came : went;
      return users > since.users && streams > since.streams;
    };
    return eventually(seen, isMore, timeoutMs);
  }

  /** Waits until more frames of a stream are decoded. */
  async watches(streamID, timeoutMs = 10000) {
    const before = await this.decoded(streamID);
    await eventually(() => this.decoded(streamID), (count) => count > before, timeoutMs);
  }

  /** Pictures decoded so far of a stream that this user plays. */
  async decoded(streamID) {
    const { players } = JSON.parse(await this.call('callExperimentalAPI', JSON.stringify({ method: 'getStats' })));
    return players.find((player) => player.streamID === streamID)?.framesDecoded ?? 0;
  }

  async leave() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    await this.call('destroyEngine');
    const end = ended(this.#child);
    this.#child.disconnect();
    await end;
  }

  kill() {
    return kill(this.#child);
  }
}
