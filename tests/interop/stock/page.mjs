// `livekit-client` in a page as one of the stock clients of `scenario.mjs`.
import { addFrame, newView } from './view.mjs';

const { Room, RoomEvent, Track, createLocalAudioTrack, createLocalVideoTrack } = globalThis.LivekitClient;

/** Sizes of a tile in CSS pixels. */
const SMALL = { width: '160px', height: '90px' };
const LARGE = { width: '960px', height: '540px' };

class PageClient {
  #room;
  #camera;
  #views = {};
  #tiles = {};
  #seen = { audioFrames: 0, data: [], disconnected: null, resumed: 0 };
  #publications = new Map();
  #audio = new Map();

  async connect({ url, token, singlePeerConnection, rtcConfig }) {
    this.#room = new Room({ adaptiveStream: { pixelDensity: 1 }, dynacast: true, singlePeerConnection });
    this.#room.on(RoomEvent.TrackSubscribed, (track, publication) => this.#watch(track, publication.trackName));
    this.#room.on(RoomEvent.TrackUnsubscribed, (track) => track.detach().forEach((element) => element.remove()));
    this.#room.on(RoomEvent.DataReceived, (payload, from, _kind, topic) => {
      this.#seen.data.push({ text: new TextDecoder().decode(payload), from: from?.identity, topic });
    });
    this.#room.on(RoomEvent.Disconnected, (reason) => { this.#seen.disconnected = reason ?? 0; });
    this.#room.on(RoomEvent.SignalReconnecting, () => { this.resuming = true; });
    this.#room.on(RoomEvent.Reconnected, () => { this.#seen.resumed += 1; });
    await this.#room.connect(url, token, { maxRetries: 0, rtcConfig });
  }

  #watch(track, name) {
    const element = track.attach();
    document.body.append(element);
    if (track.kind === Track.Kind.Audio) return void this.#audio.set(track.sid, track);
    Object.assign(element.style, { ...SMALL, objectFit: 'contain' });
    Object.assign(element, { muted: true });
    this.#tiles[name] = element;
    const view = (this.#views[name] = newView());
    const onFrame = (_now, { presentationTime, width }) => {
      addFrame(view, presentationTime, width);
      element.requestVideoFrameCallback(onFrame);
    };
    element.requestVideoFrameCallback(onFrame);
  }

  async publishVideo({ name, simulcast = false }) {
    const resolution = { width: 960, height: 540, frameRate: 20 };
    this.#camera ??= await createLocalVideoTrack({ resolution });
    const track = this.#camera.mediaStreamTrack.clone();
    const options = { name, simulcast, source: Track.Source.Camera, videoEncoding: { maxBitrate: 600_000, maxFramerate: 20 } };
    this.#publications.set(name, await this.#room.localParticipant.publishTrack(track, options));
  }

  async publishAudio({ name }) {
    const track = await createLocalAudioTrack();
    this.#publications.set(name, await this.#room.localParticipant.publishTrack(track, { name }));
  }

  send({ text }) {
    return this.#room.localParticipant.publishData(new TextEncoder().encode(text), { reliable: true, topic: 't' });
  }

  mute({ name, muted }) {
    const publication = this.#publications.get(name);
    return muted ? publication.mute().then(() => {}) : publication.unmute().then(() => {});
  }

  setAttributes(attributes) {
    return this.#room.localParticipant.setAttributes(attributes);
  }

  resize({ name, isSmall }) {
    Object.assign(this.#tiles[name].style, isSmall ? SMALL : LARGE);
  }

  measure() {
    for (const view of Object.values(this.#views)) view.longestGapMs = 0;
  }

  async report() {
    const others = {};
    for (const [identity, participant] of this.#room.remoteParticipants) {
      const tracks = [...participant.trackPublications.values()].map(({ trackName, isMuted }) => [trackName, { muted: isMuted }]);
      others[identity] = { attributes: participant.attributes, tracks: Object.fromEntries(tracks) };
    }
    let [audioFrames, loudness] = [0, 0];
    for (const track of this.#audio.values()) {
      for (const report of (await track.getRTCStatsReport())?.values() ?? []) {
        // Samples that were received, as frames of 10 ms at 48 kHz like those of the other clients.
        if (report.type !== 'inbound-rtp') continue;
        audioFrames += (report.totalSamplesReceived - report.concealedSamples) / 480;
        loudness = Math.max(loudness, report.audioLevel ?? 0);
      }
    }
    return { ...this.#seen, audioFrames, loudness, views: this.#views, others, sid: this.#room.localParticipant.sid };
  }

  leave() {
    return this.#room.disconnect();
  }
}

globalThis.client = new PageClient();
