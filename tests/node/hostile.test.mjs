// Attacks on a public server: a call through it is not affected.
import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get } from 'node:http';
import { connect } from 'node:net';
import { after, before, beforeEach, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { APP_ID, APP_SIGN, endAll, eventually, startCall, startServer } from './harness.mjs';

const MAX_STALL_MS = 500;
const AFTERMATH_MS = 1000;
const MAX_GROWTH_KB = 64 * 1024;
const ENDLESS_BYTES = 256 * 1024 * 1024;
/** The server's limit for one message is 2 MB; what lies in the buffers of both systems comes on top. */
const MAX_ENDLESS_BYTES = 32 * 1024 * 1024;
const TEXT = 1;
const BINARY = 2;

let server;
let publisher;
let player;
let memory;
const sockets = new Set();

const peakKb = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]);

before(async () => {
  server = await startServer();
  ({ publisher, player } = await startCall(server));
});

beforeEach(async () => {
  memory = peakKb();
  for (const client of [player, publisher]) await client.call('watchFrames');
});

afterEach(async () => {
  // Effects of the attack may show a little later.
  await sleep(AFTERMATH_MS);
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  const [played, sent] = await Promise.all([player.call('watchedFrames'), publisher.call('watchedFrames')]);
  assert.ok(played.frames > 0);
  // On a busy machine the camera itself pauses, which the attack does not cause.
  const stall = Math.round(played.longestStallMs);
  const pause = Math.round(sent.longestStallMs);
  assert.ok(stall <= MAX_STALL_MS + pause, `the video stood still for ${stall} ms, the camera for ${pause} ms`);
  assert.deepEqual(player.states('onPlayerStateUpdate'), [1, 2]);
  assert.deepEqual(publisher.states('onPublisherStateUpdate'), [1, 2]);
  for (const client of [player, publisher]) assert.deepEqual(client.states('onRoomStateUpdate'), [1, 2]);
  const grown = peakKb() - memory;
  assert.ok(grown < MAX_GROWTH_KB, `the peak of the server's memory grew by ${grown} kB`);
});

after(endAll);

const part = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** An access token, without a signature when `secret` is undefined. */
function token({ secret = APP_SIGN, alg = 'HS256', lifeSeconds = 600, identity = 'intruder' } = {}) {
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: String(APP_ID), sub: identity, nbf: now - 3600, exp: now + lifeSeconds, video: { roomJoin: true, room: 'call' } };
  const signed = `${part({ alg, typ: 'JWT' })}.${part(claims)}`;
  const signature = alg === 'none' ? '' : createHmac('sha256', secret).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}

function open() {
  const socket = connect(server.port, '127.0.0.1');
  sockets.add(socket);
  // The server may close while we write.
  socket.on('error', () => undefined);
  return socket;
}

/** Writes a request and returns the first bytes of the response, or '' when the server closes. */
async function request(text) {
  const socket = open();
  socket.write(text);
  const answer = await Promise.race([once(socket, 'data').then(([data]) => String(data)), once(socket, 'close').then(() => '')]);
  return { socket, answer, status: Number(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1] ?? 0) };
}

const upgrade = (accessToken) =>
  request(
    `GET /rtc?auto_subscribe=0&protocol=16${accessToken ? `&access_token=${accessToken}` : ''} HTTP/1.1\r\n` +
      `Host: 127.0.0.1:${server.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`,
  );

/** The head of a masked frame whose mask is zero, so that the payload goes as it is. */
function head(opcode, length, last = true) {
  const bytes = Buffer.alloc(14);
  bytes[0] = (last ? 0x80 : 0) | opcode;
  bytes[1] = 0x80 | 127;
  bytes.writeBigUInt64BE(BigInt(length), 2);
  return bytes;
}

const frame = (opcode, payload) => Buffer.concat([head(opcode, payload.length), payload]);

const open101 = async (identity) => {
  const { socket, status } = await upgrade(token({ identity }));
  assert.equal(status, 101);
  socket.resume();
  return socket;
};

test('forged tokens get 401', async () => {
  const forged = {
    none: token({ alg: 'none' }),
    'another key': token({ secret: 'another secret of thirty-two bytes' }),
    'another algorithm': token({ alg: 'HS512' }),
    expired: token({ lifeSeconds: -1800 }),
    garbage: 'a.b.c',
    missing: '',
  };
  for (const [name, text] of Object.entries(forged)) assert.equal((await upgrade(text)).status, 401, name);
});

/** Bytes that look like the start of a protobuf message, with anything inside. */
function almostRequest() {
  const content = randomBytes(Math.floor(Math.random() * 100));
  return Buffer.concat([Buffer.from([((1 + Math.floor(Math.random() * 15)) << 3) | 2, content.length]), content]);
}

test('random frames with and without a token are rejected', async () => {
  // One frame may already end a connection, so that each kind comes first on some.
  const kinds = [
    () => frame(TEXT, randomBytes(Math.floor(Math.random() * 2000))),
    () => frame(BINARY, randomBytes(Math.floor(Math.random() * 2000))),
    () => frame(BINARY, almostRequest()),
    () => randomBytes(500),
  ];
  for (let round = 0; round < 80; round++) {
    const authorised = await open101(`intruder${round}`);
    const refused = (await upgrade('a.b.c')).socket;
    for (const socket of [authorised, refused, open()]) {
      for (let index = 0; index < 20; index++) socket.write(kinds[(round + (index >> 2)) % kinds.length]());
    }
    await sleep(10);
  }
});

/** Writes as fast as the server reads and returns the bytes sent before it closed. */
async function pour(socket, chunks) {
  const closed = new Promise((resolve) => socket.once('close', resolve));
  for (const chunk of chunks) {
    if (socket.destroyed) break;
    if (!socket.write(chunk)) await Promise.race([new Promise((resolve) => socket.once('drain', resolve)), closed]);
  }
  return { bytes: socket.bytesWritten - socket.writableLength, open: !socket.destroyed };
}

test('an endless message is cut off early', async () => {
  const block = Buffer.alloc(256 * 1024, 1);
  const blocks = ENDLESS_BYTES / block.length;
  const inOneFrame = function* () {
    yield head(BINARY, ENDLESS_BYTES);
    for (let index = 0; index < blocks; index++) yield block;
  };
  const inManyFrames = function* () {
    for (let index = 0; index < blocks; index++) {
      yield head(index ? 0 : BINARY, block.length, false);
      yield block;
    }
  };
  for (const chunks of [inOneFrame(), inManyFrames()]) {
    const { bytes, open } = await pour(await open101('endless'), chunks);
    assert.equal(open, false, 'the server closes');
    assert.ok(bytes < MAX_ENDLESS_BYTES, `it took ${bytes} bytes`);
  }
});

test('two hundred idle or half-open connections do no harm', async () => {
  const silent = Array.from({ length: 200 }, open);
  await Promise.all(silent.map((socket) => once(socket, 'connect')));
  silent.forEach((socket, index) => {
    if (index % 2) socket.write('GET /rtc HTTP/1.1\r\nHost: ');
    if (index % 4 === 3) socket.end();
  });
  const answered = await new Promise((resolve, reject) => get(server.url.replace('ws', 'http'), resolve).on('error', reject));
  assert.equal(answered.statusCode, 200);
  answered.resume();
  await sleep(1000);
});

test('requests with an oversized URL or header are refused', async () => {
  const filler = 'x'.repeat(1024 * 1024);
  for (const text of [`GET /${filler} HTTP/1.1\r\nHost: a\r\n\r\n`, `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${filler}\r\n\r\n`]) {
    const { status } = await request(text);
    assert.ok(status === 0 || (status >= 400 && status < 500), `status ${status}`);
  }
});

test('twenty thousand random datagrams to the media port do no harm', async () => {
  const socket = createSocket('udp4');
  // First bytes that identify STUN, DTLS, RTP and RTCP.
  const beginnings = [[0, 1], [22, 254], [128, 96], [128, 201]];
  for (let sent = 0; sent < 20_000; sent++) {
    const datagram = randomBytes(4 + Math.floor(Math.random() * 1200));
    if (sent % 2) datagram.set(beginnings[(sent >> 1) % beginnings.length]);
    socket.send(datagram, server.mediaPort, '127.0.0.1');
    if (sent % 100 === 99) await sleep(20);
  }
  socket.close();
});

test('the call still runs after all attacks', async () => {
  const { framesDecoded } = (await player.stats()).players[0];
  await eventually(async () => (await player.stats()).players[0].framesDecoded > framesDecoded + 10);
  assert.equal(server.exitCode, null);
});
