// The room server's webhooks, read by the unmodified server SDK.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { once } from 'node:events';
import { after, before, beforeEach, test } from 'node:test';

import { dispose } from '@livekit/rtc-node';
import { RoomServiceClient, WebhookReceiver } from 'livekit-server-sdk';

import { KEY, SECRET, join, publishAudio, startServer, until } from './harness.mjs';

const receiver = new WebhookReceiver(KEY, SECRET);
/** Received webhooks, and how many of the next ones are refused or left unanswered. */
let hooks;
let http;
let server;

async function take(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  if (hooks.silent) return;
  if (hooks.refusals > 0) {
    hooks.refusals -= 1;
    response.writeHead(503).end();
    return;
  }
  const body = Buffer.concat(chunks).toString();
  const { authorization, 'content-type': type } = request.headers;
  hooks.requests.push({ body, authorization, type });
  hooks.events.push(await receiver.receive(body, authorization));
  response.end();
}

const names = () => hooks.events.map(({ event }) => event);

before(async () => {
  http = createServer((request, response) => void take(request, response).catch((error) => response.destroy(error)));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  const webhook = { urls: [`http://127.0.0.1:${http.address().port}/hook`], api_key: KEY };
  server = await startServer('--config-body', JSON.stringify({ webhook }));
});
beforeEach(() => { hooks = { events: [], requests: [], refusals: 0, silent: false }; });
after(async () => {
  await server.stop();
  http.closeAllConnections();
  http.close();
  await dispose();
});

test('all webhooks of a call arrive in order and signed', async () => {
  const anna = await join(server, 'anna');
  await until('her arrival', () => names().includes('participant_joined'));
  const publication = await publishAudio(anna, 'voice');
  await until('her track', () => names().includes('track_published'));
  await anna.leave();
  await until('the end', () => names().includes('room_finished'));
  const expected = ['room_started', 'participant_joined', 'track_published', 'track_unpublished', 'participant_left', 'room_finished'];
  assert.deepEqual(names(), expected);
  for (const { event, room, participant, track, id, createdAt } of hooks.events) {
    assert.equal(room.name, 'r', event);
    assert.match(id, /^EV_/);
    assert.ok(Math.abs(Number(createdAt) - Date.now() / 1000) < 60, `${event} at ${createdAt}`);
    if (!event.startsWith('room')) assert.equal(participant.identity, 'anna', event);
    if (event.startsWith('track')) assert.deepEqual([track.sid, track.name], [publication.sid, 'voice']);
  }
  assert.equal(new Set(hooks.events.map(({ id }) => id)).size, expected.length);
  assert.equal(hooks.requests[0].type, 'application/webhook+json');
});

test('a signature is valid for its own body only', async () => {
  const rooms = new RoomServiceClient(server.http, KEY, SECRET);
  await rooms.createRoom({ name: 'signed' });
  await rooms.deleteRoom('signed');
  await until('both events', () => names().length === 2);
  assert.deepEqual(names(), ['room_started', 'room_finished']);
  const [{ authorization }, { body }] = hooks.requests;
  await assert.rejects(receiver.receive(body, authorization));
  await assert.rejects(new WebhookReceiver(KEY, 'another secret, also long enough').receive(body, hooks.requests[1].authorization));
});

test('a receiver that was down gets every webhook exactly once', async () => {
  hooks.refusals = 3;
  const rooms = new RoomServiceClient(server.http, KEY, SECRET);
  for (const name of ['a', 'b']) {
    await rooms.createRoom({ name });
    await rooms.deleteRoom(name);
  }
  await until('all events', () => names().length === 4);
  assert.deepEqual(hooks.events.map(({ event, room }) => `${room.name} ${event}`), ['a room_started', 'a room_finished', 'b room_started', 'b room_finished']);
});

test('a receiver that does not answer delays nobody', async () => {
  hooks.silent = true;
  const rooms = new RoomServiceClient(server.http, KEY, SECRET);
  const longest = { ms: 0 };
  for (let n = 0; n < 700; n += 1) {
    const started = performance.now();
    await rooms.createRoom({ name: `many-${n}` });
    await rooms.deleteRoom(`many-${n}`);
    longest.ms = Math.max(longest.ms, performance.now() - started);
  }
  assert.ok(longest.ms < 1000, `a call took ${longest.ms} ms`);
  await until('a word about it', () => server.log.includes('one is dropped'));
});

test('a server with an invalid webhook configuration does not start', async () => {
  for (const [webhook, what] of [
    [{ urls: ['example.com'], api_key: KEY }, /not an address/],
    [{ urls: ['http://127.0.0.1:1/'], api_key: 'unknown' }, /none of the configured keys/],
    [{ urls: ['http://127.0.0.1:1/'] }, /urls need an api_key/],
  ]) {
    await assert.rejects(startServer('--config-body', JSON.stringify({ webhook })), what);
  }
});

test('an unknown webhook API key is a warning', async (t) => {
  const webhook = { urls: ['http://127.0.0.1:1/'], api_key: KEY, secret: 'x' };
  const server = await startServer('--config-body', JSON.stringify({ webhook }));
  t.after(() => server.stop());
  await until('the warning', () => /webhook\.secret/.test(server.log));
});
