// A room server in its own process, and stock clients.
//
// ROOM_SERVER_BIN: path of the server's binary; without it bin/zego-room-server.js of this package is started.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import {
  AudioFrame, AudioSource, AudioStream, LocalAudioTrack, LocalVideoTrack, Room, TrackKind, TrackPublishOptions, TrackSource,
  VideoBufferType, VideoFrame, VideoSource, VideoStream,
} from '@livekit/rtc-node';
import { LocalTrackMuteRequest, SetRemoteTrackPublicationQualityRequest, VideoQuality } from '@livekit/rtc-ffi-bindings';
import { AccessToken } from 'livekit-server-sdk';

import { KEY, SECRET } from './keys.mjs';

export { KEY, SECRET, VideoQuality };
const PATIENCE_MS = 20_000;

/** Starts a server on a free port. */
export async function startServer(...args) {
  const own = fileURLToPath(new URL('../../bin/zego-room-server.js', import.meta.url));
  const [command, first] = process.env.ROOM_SERVER_BIN ? [process.env.ROOM_SERVER_BIN, []] : [process.execPath, [own]];
  const child = spawn(command, [...first, '--port', '0', '--key', `${KEY}:${SECRET}`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const server = { log: '', url: '', http: '', stop };
  child.stderr.on('data', (text) => { server.log += text; });
  const ended = once(child, 'exit').then(() => { throw new Error(`the server did not start: ${server.log}`); });
  const [line] = await Promise.race([once(child.stdout, 'data'), ended]);
  ended.catch(() => {});
  server.url = /wss?:\/\/\S+/.exec(String(line))[0];
  server.http = server.url.replace('ws', 'http');
  async function stop() {
    if (child.exitCode !== null) return;
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  return server;
}

export async function token(identity, grant = {}, { key = KEY, secret = SECRET, ...options } = {}) {
  const access = new AccessToken(key, secret, { identity, ttl: '10m', ...options });
  access.addGrant({ roomJoin: true, room: 'r', canUpdateOwnMetadata: true, ...grant });
  return access.toJwt();
}

/** Waits until `condition` returns a truthy value. */
export async function until(what, condition) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const result = await condition();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** A participant that counts what it receives. */
export async function join(server, identity, options = {}) {
  const room = new Room();
  const client = { room, identity, videoFrames: 0, lastSize: '', audioFrames: 0, data: [], speakers: [], qualities: [], disconnected: null, timers: [] };
  room.on('trackSubscribed', (track) => { count(client, track).catch(() => {}); });
  room.on('dataReceived', (payload, from, _kind, topic) => client.data.push({ text: new TextDecoder().decode(payload), from: from?.identity, topic }));
  room.on('activeSpeakersChanged', (speakers) => client.speakers.push(speakers.map((speaker) => speaker.identity)));
  room.on('connectionQualityChanged', (quality, participant) => client.qualities.push({ quality, identity: participant.identity }));
  room.on('disconnected', (reason) => { client.disconnected = reason ?? 0; });
  await room.connect(server.url, await token(identity, options.grant, options.keys), { autoSubscribe: true, dynacast: true, ...options.room });
  client.leave = async () => {
    client.timers.forEach(clearInterval);
    client.timers = [];
    client.gone = true;
    await room.disconnect();
  };
  return client;
}

async function count(client, track) {
  if (track.kind === TrackKind.KIND_VIDEO) {
    for await (const { frame } of new VideoStream(track)) {
      client.videoFrames += 1;
      client.lastSize = `${frame.width}x${frame.height}`;
    }
  } else {
    for await (const frame of new AudioStream(track)) client.audioFrames += frame ? 1 : 0;
  }
}

/** Publishes moving video. */
export async function publishVideo(client, { width = 320, height = 240, simulcast = false, name = 'camera', ...rest } = {}) {
  const source = new VideoSource(width, height);
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_CAMERA, simulcast, ...rest });
  const publication = await client.room.localParticipant.publishTrack(LocalVideoTrack.createVideoTrack(name, source), options);
  let shade = 0;
  const pixels = new Uint8Array(width * height * 4);
  client.timers.push(setInterval(() => {
    pixels.fill((shade += 3) % 255);
    source.captureFrame(new VideoFrame(pixels, width, height, VideoBufferType.RGBA));
  }, 50));
  return publication;
}

/** Publishes a tone. */
export async function publishAudio(client, name = 'microphone') {
  const source = new AudioSource(48_000, 1);
  const options = new TrackPublishOptions({ source: TrackSource.SOURCE_MICROPHONE });
  const publication = await client.room.localParticipant.publishTrack(LocalAudioTrack.createAudioTrack(name, source), options);
  (async () => {
    for (let n = 0; !client.gone; n += 1) {
      const samples = Int16Array.from({ length: 480 }, (_, i) => 8000 * Math.sin((2 * Math.PI * 440 * (n * 480 + i)) / 48_000));
      await source.captureFrame(new AudioFrame(samples, 48_000, 1, 480));
    }
  })().catch(() => {});
  return publication;
}

/** Requests a layer. The native client can do that, only its JavaScript API has no method for it yet. */
export function setQuality(publication, quality) {
  const value = new SetRemoteTrackPublicationQualityRequest({ trackPublicationHandle: publication.ffiHandle.handle, quality });
  globalThis._ffiClientInstance.request({ message: { case: 'setRemoteTrackPublicationQuality', value } });
}

/** Mutes a published track, for which the client's JavaScript API has no method either. */
export function setMuted(publication, mute) {
  const value = new LocalTrackMuteRequest({ trackHandle: publication.track.ffi_handle.handle, mute });
  globalThis._ffiClientInstance.request({ message: { case: 'localTrackMute', value } });
}
