// Rooms through the JS face: two at once, switchRoom, guests, tokens, extra info.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { after, test } from 'node:test';
import { APP_ID, APP_SIGN, endAll, eventually, startClient, startServer } from './harness.mjs';

const MULTI_ROOM = 1;
const CONNECTED = 2;
const PUBLISHING = 2;

after(endAll);

const server = await startServer();
const user = (userID) => ({ userID, userName: userID });
const eventsOf = (client, name) => client.events.filter(({ event }) => event === name).map(({ param }) => param);
const hears = (client, name, accept = Boolean) =>
  eventually(() => eventsOf(client, name), (list) => list.some(accept)).then((list) => list.find(accept));
const enters = async (client, room, userID, config) => {
  await client.call('loginRoom', room, user(userID), config);
  await hears(client, 'onRoomStateUpdate', ({ roomID, state }) => roomID === room && state === CONNECTED);
};

/** An access token as an application's backend makes it. */
function token(userID, room, seconds, grants = { roomJoin: true, canUpdateOwnMetadata: true }) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const video = { room, ...grants };
  const claims = { iss: String(APP_ID), sub: userID, exp: Math.floor(Date.now() / 1000) + seconds, video };
  const signed = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${createHmac('sha256', APP_SIGN).update(signed).digest('base64url')}`;
}

test('a stream published in one of two rooms plays in the other', async () => {
  const [anna, ben] = await Promise.all([startClient(server, { roomMode: MULTI_ROOM }), startClient(server)]);
  await enters(anna, 'first', 'anna');
  await enters(anna, 'second', 'anna');
  await enters(ben, 'second', 'ben');
  await ben.call('startPublishingStream', 'ben-stream');
  await hears(anna, 'onRoomStreamUpdate', ({ roomID }) => roomID === 'second');
  await anna.call('startPlayingStream', 'ben-stream', null, { roomID: 'second' });
  await eventually(async () => (await anna.stats()).players[0]?.framesDecoded > 5);
  await anna.call('startPublishingStream', 'nowhere');
  await hears(anna, 'onPublisherStateUpdate', ({ errorCode }) => errorCode === 1003070);
  await anna.call('startPublishingStream', 'nowhere', {});
  await hears(anna, 'onPublisherStateUpdate', ({ errorCode }) => errorCode === 1003071);
  await anna.call('logoutRoom');
  for (const room of ['first', 'second']) {
    await hears(anna, 'onRoomStateChanged', ({ roomID, reason }) => roomID === room && reason === 7);
  }
  await Promise.all([anna.call('finish'), ben.call('finish')]);
});

test('switchRoom, and playing a stream of a third room', async () => {
  const [anna, ben] = await Promise.all([startClient(server), startClient(server)]);
  await enters(anna, 'one', 'anna');
  await enters(ben, 'three', 'ben');
  await ben.call('startPublishingStream', 'visited');
  await hears(ben, 'onPublisherStateUpdate', ({ state }) => state === PUBLISHING);
  await anna.call('switchRoom', 'one', 'two');
  await hears(anna, 'onRoomStateUpdate', ({ roomID, state }) => roomID === 'two' && state === CONNECTED);
  assert.deepEqual(
    eventsOf(anna, 'onRoomStateChanged').map(({ roomID, reason }) => [roomID, reason]),
    [['one', 0], ['one', 1], ['one', 7], ['two', 0], ['two', 1]],
  );
  await anna.call('startPlayingStream', 'visited', null, { roomID: 'three' });
  await eventually(async () => (await anna.stats()).players[0]?.framesDecoded > 5);
  assert.deepEqual(eventsOf(anna, 'onRoomStreamUpdate'), []);
  await anna.call('switchRoom', 'nowhere', 'four');
  await hears(anna, 'onRoomStateUpdate', ({ roomID, errorCode }) => roomID === 'four' && errorCode === 1002002);
  await Promise.all([anna.call('finish'), ben.call('finish')]);
});

test('room and stream extra info and the online user count arrive', async () => {
  const [anna, ben] = await Promise.all([startClient(server), startClient(server)]);
  await enters(anna, 'info', 'anna');
  await enters(ben, 'info', 'ben');
  assert.deepEqual(await anna.call('setRoomExtraInfo', 'info', 'topic', 'cats'), { errorCode: 0 });
  const { roomExtraInfoList } = await hears(ben, 'onRoomExtraInfoUpdate');
  assert.deepEqual(
    roomExtraInfoList.map(({ key, value, updateUser }) => ({ key, value, updateUser })),
    [{ key: 'topic', value: 'cats', updateUser: user('anna') }],
  );
  assert.deepEqual(await anna.call('setRoomExtraInfo', 'elsewhere', 'topic', 'cats'), { errorCode: 1002002 });
  assert.deepEqual(await anna.call('setStreamExtraInfo', null), { errorCode: 1003050 });
  // Extra info set before the stream is published goes along with it, on a busy machine right behind it.
  const started = anna.call('startPublishingStream', 'stream');
  assert.deepEqual(await anna.call('setStreamExtraInfo', 'first'), { errorCode: 0 });
  await started;
  await eventually(() =>
    [...eventsOf(ben, 'onRoomStreamUpdate'), ...eventsOf(ben, 'onRoomStreamExtraInfoUpdate')].some(
      ({ streamList }) => streamList[0].extraInfo === 'first',
    ));
  assert.deepEqual(await anna.call('setStreamExtraInfo', 'second'), { errorCode: 0 });
  await hears(ben, 'onRoomStreamExtraInfoUpdate', ({ streamList }) => streamList[0].extraInfo === 'second');
  await hears(ben, 'onRoomOnlineUserCountUpdate', ({ roomID, count }) => roomID === 'info' && count === 2);
  await Promise.all([anna.call('finish'), ben.call('finish')]);
});

test('an expiring token is announced and can be renewed', async () => {
  const anna = await startClient(server, { appSign: '' });
  await enters(anna, 'token', 'anna', { token: token('anna', 'token', 20) });
  const { roomID, remainTimeInSecond } = await hears(anna, 'onRoomTokenWillExpire');
  assert.equal(roomID, 'token');
  assert.ok(remainTimeInSecond > 0 && remainTimeInSecond <= 20);
  await anna.call('renewToken', 'token', token('eve', 'token', 600));
  await hears(anna, 'onDebugError', ({ errorCode }) => errorCode === 1002077);
  await anna.call('renewToken', 'token', token('anna', 'token', 600));
  await anna.call('startPublishingStream', 'renewed');
  await hears(anna, 'onPublisherStateUpdate', ({ state }) => state === PUBLISHING);
  assert.equal(eventsOf(anna, 'onRoomTokenWillExpire').length, 1);
  await anna.call('finish');
});

test('a user removed by the backend is kicked out and stays out', async () => {
  const [anna, ben] = await Promise.all([startClient(server), startClient(server)]);
  await enters(anna, 'strict', 'anna');
  await enters(ben, 'strict', 'ben');
  const admin = token('backend', 'strict', 60, { roomAdmin: true });
  const answer = await fetch(`http://127.0.0.1:${server.port}/twirp/livekit.RoomService/RemoveParticipant`, {
    method: 'POST',
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
    body: JSON.stringify({ room: 'strict', identity: 'anna' }),
  });
  assert.equal(answer.status, 200);
  await hears(anna, 'onRoomStateChanged', ({ reason, errorCode }) => reason === 6 && errorCode === 1002055);
  await hears(anna, 'onRoomStateUpdate', ({ state, errorCode }) => state === 0 && errorCode === 1002055);
  await hears(ben, 'onRoomOnlineUserCountUpdate');
  assert.equal(eventsOf(anna, 'onRoomStateChanged').at(-1).reason, 6);
  await Promise.all([anna.call('finish'), ben.call('finish')]);
});
