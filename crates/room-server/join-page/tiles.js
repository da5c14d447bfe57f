// The stage: one tile for each stream. A stream is what carries one name: a participant's camera and microphone
// together, its screen, or whatever an app publishes under a stream ID.
import { word } from './words.js';

const SCREEN = new Set(['screen_share', 'screen_share_audio']);

/** Name of the stream that a track belongs to. Apps put it into the track's name, browsers leave that empty. */
export function streamOf(participant, publication) {
  if (publication.trackName) return publication.trackName;
  return SCREEN.has(publication.source) ? `${participant.identity}_screen` : participant.identity;
}

export class Stage {
  #root;
  #tiles = new Map();

  constructor(root) {
    this.#root = root;
  }

  /** Makes the tiles agree with what there is in the room. Cheap enough to be called on every change. */
  update(room) {
    const wanted = new Map();
    for (const participant of [room.localParticipant, ...room.remoteParticipants.values()]) {
      const isOwn = participant === room.localParticipant;
      const publications = [...participant.trackPublications.values()];
      // A user without a stream is shown all the same.
      if (publications.length === 0) wanted.set(`${participant.sid}|`, { participant, isOwn, publications: [], stream: '' });
      for (const publication of publications) {
        const stream = streamOf(participant, publication);
        const key = `${participant.sid}|${stream}`;
        if (!wanted.has(key)) wanted.set(key, { participant, isOwn, publications: [], stream });
        wanted.get(key).publications.push(publication);
      }
    }
    for (const [key, tile] of this.#tiles) {
      if (wanted.has(key)) continue;
      tile.remove();
      this.#tiles.delete(key);
    }
    for (const [key, content] of wanted) {
      if (!this.#tiles.has(key)) this.#tiles.set(key, new Tile(this.#root));
      this.#tiles.get(key).show(content);
    }
  }

  clear() {
    for (const tile of this.#tiles.values()) tile.remove();
    this.#tiles.clear();
  }
}

class Tile {
  #figure = document.createElement('figure');
  #letter = document.createElement('span');
  #name = document.createElement('span');
  #muted = document.createElement('span');
  #attached = { video: undefined, audio: undefined };
  #elements = { video: document.createElement('video'), audio: document.createElement('audio') };

  constructor(root) {
    const caption = document.createElement('figcaption');
    this.#figure.className = 'tile';
    this.#letter.className = 'letter';
    this.#muted.className = 'muted';
    this.#muted.textContent = word('muted');
    caption.append(this.#name, this.#muted);
    Object.assign(this.#elements.video, { playsInline: true, autoplay: true, muted: true });
    this.#elements.audio.autoplay = true;
    this.#figure.append(this.#elements.video, this.#elements.audio, this.#letter, caption);
    root.append(this.#figure);
  }

  show({ participant, isOwn, publications, stream }) {
    const name = participant.name || participant.identity;
    const plain = stream === '' || stream === participant.identity;
    this.#name.textContent = name + (isOwn ? ` (${word('you')})` : '') + (plain ? '' : ` · ${stream}`);
    this.#letter.textContent = [...name][0] ?? '?';
    const of = (kind) => publications.find((publication) => publication.kind === kind);
    const [video, audio] = [of('video'), of('audio')];
    this.#attach('video', video?.track);
    this.#attach('audio', isOwn ? undefined : audio?.track);
    Object.assign(this.#figure.dataset, { identity: participant.identity, stream });
    this.#figure.classList.toggle('own', isOwn);
    this.#figure.classList.toggle('picture', Boolean(video?.track) && !video.isMuted);
    this.#figure.classList.toggle('speaking', participant.isSpeaking && Boolean(audio));
    this.#muted.hidden = !audio?.isMuted;
  }

  #attach(kind, track) {
    if (this.#attached[kind] === track) return;
    this.#attached[kind]?.detach(this.#elements[kind]);
    track?.attach(this.#elements[kind]);
    this.#attached[kind] = track;
  }

  remove() {
    this.#attach('video', undefined);
    this.#attach('audio', undefined);
    this.#figure.remove();
  }
}
