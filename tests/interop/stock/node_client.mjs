// `@livekit/rtc-node` as one of the stock clients of `scenario.mjs`.
import { AudioStream, Room, TrackKind, VideoStream } from '@livekit/rtc-node';
import { VideoQuality, publishAudio, publishVideo, setMuted, setQuality } from '../harness.mjs';
import { addFrame, newView } from './view.mjs';

export class NodeClient {
  #room = new Room();
  #views = {};
  #seen = { audioFrames: 0, data: [], disconnected: null, resumed: 0 };
  #own = { timers: [] };
  #publications = new Map();

  async connect({ url, token }) {
    this.#own.room = this.#room;
    // The library adds one for each track.
    this.#room.setMaxListeners(50);
    this.#room.on('trackSubscribed', (track, publication) => this.#watch(track, publication.name).catch(() => {}));
    this.#room.on('dataReceived', (payload, from, _kind, topic) => {
      this.#seen.data.push({ text: new TextDecoder().decode(payload), from: from?.identity, topic });
    });
    this.#room.on('disconnected', (reason) => { this.#seen.disconnected = reason ?? 0; });
    this.#room.on('reconnected', () => { this.#seen.resumed += 1; });
    await this.#room.connect(url, token, { autoSubscribe: true, dynacast: true });
  }

  async #watch(track, name) {
    if (track.kind === TrackKind.KIND_AUDIO) {
      for await (const frame of new AudioStream(track)) this.#seen.audioFrames += frame ? 1 : 0;
      return;
    }
    this.#views[name] = newView();
    for await (const { frame, timestampUs } of new VideoStream(track)) {
      addFrame(this.#views[name], Number(timestampUs) / 1000, frame.width);
    }
  }

  async publishVideo({ name, simulcast = false }) {
    const size = simulcast ? { width: 960, height: 540 } : { width: 320, height: 180 };
    this.#publications.set(name, await publishVideo(this.#own, { name, simulcast, ...size }));
  }

  async publishAudio({ name }) {
    this.#publications.set(name, await publishAudio(this.#own, name));
  }

  send({ text }) {
    return this.#room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true, topic: 't' });
  }

  mute({ name, muted }) {
    setMuted(this.#publications.get(name), muted);
  }

  setAttributes(attributes) {
    return this.#room.localParticipant.setAttributes(attributes);
  }

  /** Requests the layer that fits a tile of this size. */
  resize({ name, isSmall }) {
    for (const participant of this.#room.remoteParticipants.values()) {
      for (const publication of participant.trackPublications.values()) {
        if (publication.name === name) setQuality(publication, isSmall ? VideoQuality.LOW : VideoQuality.HIGH);
      }
    }
  }

  /** Resets the longest gap between frames. */
  measure() {
    for (const view of Object.values(this.#views)) view.longestGapMs = 0;
  }

  report() {
    const others = {};
    for (const [identity, participant] of this.#room.remoteParticipants) {
      const tracks = [...participant.trackPublications.values()].map(({ name, muted }) => [name, { muted }]);
      others[identity] = { attributes: participant.attributes, tracks: Object.fromEntries(tracks) };
    }
    return { ...this.#seen, views: this.#views, others, sid: this.#room.localParticipant?.sid };
  }

  async leave() {
    this.#own.timers.forEach(clearInterval);
    this.#own.gone = true;
    await this.#room.disconnect();
  }
}
