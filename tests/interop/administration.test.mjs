// The unmodified server SDK against the room server.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { DataPacket_Kind, RoomServiceClient } from 'livekit-server-sdk';
import { DisconnectReason, dispose } from '@livekit/rtc-node';

import { KEY, SECRET, join, publishAudio, publishVideo, startServer, token, until } from './harness.mjs';

let server;
let service;
before(async () => {
  server = await startServer();
  service = new RoomServiceClient(server.http, KEY, SECRET);
});
after(async () => {
  await server.stop();
  await dispose();
});

test('a room is created, listed, described and deleted', async () => {
  const created = await service.createRoom({ name: 'new', maxParticipants: 7, metadata: 'm', emptyTimeout: 60 });
  assert.equal(created.maxParticipants, 7);
  assert.deepEqual((await service.listRooms(['new'])).map((room) => [room.name, room.metadata]), [['new', 'm']]);
  const updated = await service.updateRoomMetadata('new', 'other');
  assert.equal(updated.metadata, 'other');
  await service.deleteRoom('new');
  assert.deepEqual(await service.listRooms(['new']), []);
  await assert.rejects(service.deleteRoom('new'), { status: 404 });
});

test('participants are listed, updated, muted, messaged and removed', async (t) => {
  const anna = await join(server, 'anna');
  const hans = await join(server, 'hans');
  t.after(() => Promise.all([anna.leave(), hans.leave()]));
  const publication = await publishAudio(anna);
  assert.deepEqual((await service.listParticipants('r')).map((p) => p.identity).sort(), ['anna', 'hans']);
  // The client's promise resolves on the server's response; the list has only negotiated tracks.
  const tracks = async () => (await service.getParticipant('r', 'anna')).tracks;
  await until('her track on the list', async () => (await tracks()).length > 0);
  assert.equal((await tracks())[0].sid, publication.sid);

  const track = await service.mutePublishedTrack('r', 'anna', publication.sid, true);
  assert.equal(track.muted, true);
  const seen = () => hans.room.remoteParticipants.get('anna');
  await until('anna muted at hans', () => [...seen().trackPublications.values()][0]?.muted);
  await assert.rejects(service.mutePublishedTrack('r', 'anna', publication.sid, false), { status: 412 });

  await service.updateParticipant('r', 'anna', { name: 'Anna A.', metadata: 'meta', attributes: { a: '1' } });
  await until('her new name', () => seen().name === 'Anna A.' && seen().metadata === 'meta' && seen().attributes.a === '1');

  const camera = await publishVideo(anna);
  await until('frames at hans', () => hans.videoFrames > 5);
  await service.updateSubscriptions('r', 'hans', [camera.sid], false);
  await until('no more frames', async () => {
    const before = hans.videoFrames;
    await new Promise((resolve) => setTimeout(resolve, 400));
    return hans.videoFrames === before;
  });

  await service.sendData('r', new TextEncoder().encode('from above'), DataPacket_Kind.RELIABLE, { destinationIdentities: ['hans'], topic: 'x' });
  await until('the message', () => hans.data.some((message) => message.text === 'from above' && message.topic === 'x'));
  assert.equal(anna.data.length, 0);

  await service.updateRoomMetadata('r', 'for all');
  await until('metadata of the room', () => hans.room.metadata === 'for all');

  await service.updateParticipant('r', 'anna', { permission: { canPublish: false, canSubscribe: true, canPublishData: false } });
  await until('her tracks gone', () => seen().trackPublications.size === 0);

  await service.removeParticipant('r', 'anna');
  await until('anna out', () => anna.disconnected !== null);
  assert.equal(anna.disconnected, DisconnectReason.PARTICIPANT_REMOVED);
  await assert.rejects(service.getParticipant('r', 'anna'), { status: 404 });
});

test('callers without the grant are refused in JSON and protobuf', async () => {
  const url = `${server.http}/twirp/livekit.RoomService/ListRooms`;
  const call = (headers) => fetch(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json', ...headers } });
  assert.equal((await call({})).status, 401);
  const plain = await call({ authorization: `Bearer ${await token('eve')}` });
  assert.deepEqual([plain.status, (await plain.json()).code], [403, 'permission_denied']);
  const lister = await call({ authorization: `Bearer ${await token('', { roomList: true, roomJoin: false })}` });
  assert.deepEqual([lister.status, Array.isArray((await lister.json()).rooms ?? [])], [200, true]);
  const other = new RoomServiceClient(server.http, KEY, 'another secret that is long enough for everybody');
  await assert.rejects(other.listRooms(), { status: 401 });
});
