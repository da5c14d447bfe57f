// The page that the room server shows to people: join a room from a browser.
import { Chat } from './chat.js';
import { contentsOf, tokenFor } from './entrance.js';
import { Stage } from './tiles.js';
import { translate, word } from './words.js';

const { DisconnectReason, Room, RoomEvent, VideoPresets } = globalThis.LivekitClient ?? {};
const element = (id) => document.getElementById(id);
const isDev = document.documentElement.dataset.dev === 'yes';
const stage = new Stage(element('stage'));
const chat = new Chat(element('messages'));
let room;

/** Apps send H.264; a Firefox has it only some minutes after its first start. */
const showsH264 = () =>
  (globalThis.RTCRtpReceiver?.getCapabilities?.('video')?.codecs ?? []).some(({ mimeType }) => mimeType === 'video/H264');

function notice(text) {
  element('notice').textContent = text ?? '';
  element('notice').hidden = !text;
}

function showCall(isIn) {
  element('entrance').hidden = isIn;
  element('call').hidden = !isIn;
  element('title').textContent = isIn ? room.name : word('title');
  element('sound').hidden = true;
}

function showButtons() {
  const { isMicrophoneEnabled, isCameraEnabled } = room.localParticipant;
  const set = (id, isOn, on, off) => {
    element(id).textContent = word(isOn ? on : off);
    element(id).classList.toggle('off', !isOn);
    element(id).setAttribute('aria-pressed', String(!isOn));
  };
  set('microphone', isMicrophoneEnabled, 'muteMicrophone', 'unmuteMicrophone');
  set('camera', isCameraEnabled, 'stopCamera', 'startCamera');
}

function whyItEnded(reason) {
  switch (reason) {
    case DisconnectReason.CLIENT_INITIATED: return undefined;
    case DisconnectReason.DUPLICATE_IDENTITY: return word('duplicate');
    case DisconnectReason.PARTICIPANT_REMOVED: return word('removed');
    case DisconnectReason.ROOM_DELETED: return word('roomEnded');
    case DisconnectReason.SERVER_SHUTDOWN: return word('serverStopped');
    default: return word('lost');
  }
}

function makeRoom() {
  const made = new Room({
    adaptiveStream: true,
    dynacast: true,
    videoCaptureDefaults: { resolution: VideoPresets.h720.resolution },
    publishDefaults: { backupCodec: false },
  });
  const changes = [
    'ActiveSpeakersChanged', 'LocalTrackPublished', 'LocalTrackUnpublished', 'ParticipantConnected', 'ParticipantDisconnected',
    'ParticipantNameChanged', 'TrackMuted', 'TrackPublished', 'TrackSubscribed', 'TrackUnmuted', 'TrackUnpublished', 'TrackUnsubscribed',
  ];
  for (const change of changes) {
    made.on(RoomEvent[change], () => {
      if (made !== room) return;
      stage.update(made);
      showButtons();
    });
  }
  made.on(RoomEvent.DataReceived, (payload, participant, _kind, topic) => chat.receive(payload, participant, topic));
  made.on(RoomEvent.Reconnecting, () => notice(word('reconnecting')));
  made.on(RoomEvent.Reconnected, () => notice());
  made.on(RoomEvent.AudioPlaybackStatusChanged, () => { element('sound').hidden = made.canPlaybackAudio; });
  made.on(RoomEvent.Disconnected, (reason) => {
    if (made !== room) return;
    stage.clear();
    chat.clear();
    showCall(false);
    notice(whyItEnded(reason));
    room = undefined;
  });
  return made;
}

/** Switches the camera or the microphone. Whoever has none is in the call all the same. */
async function enable(device, isOn) {
  const { localParticipant } = room;
  try {
    if (isOn && !navigator.mediaDevices) throw new Error(word('insecure'));
    if (device === 'camera') await localParticipant.setCameraEnabled(isOn);
    else await localParticipant.setMicrophoneEnabled(isOn);
  } catch (error) {
    notice(`${word('noDevice')} ${word(device)} (${error.message})`);
  }
  if (room) showButtons();
}

async function join() {
  const wanted = { room: element('room').value.trim(), user: element('user').value.trim(), token: element('token').value.trim(), isDev };
  element('join').disabled = true;
  notice(word('joining'));
  try {
    const token = await tokenFor(wanted);
    room = makeRoom();
    const url = new URL('.', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    await room.connect(url.href, token);
    notice(showsH264() ? undefined : word('noH264'));
    showCall(true);
    showButtons();
    stage.update(room);
    if (element('with-microphone').checked) await enable('microphone', true);
    if (element('with-camera').checked) await enable('camera', true);
  } catch (error) {
    room = undefined;
    notice(`${word('failed')}: ${error.message}`);
  } finally {
    element('join').disabled = false;
  }
}

/** `#room=…&user=…&token=…` fills the form: after the hash, so that no token gets into a server's log. */
function fillForm() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const id of ['room', 'user', 'token']) element(id).value = given.get(id) ?? '';
  const contents = contentsOf(element('token').value);
  if (contents) Object.assign(element('room'), { value: contents.room });
  if (contents) Object.assign(element('user'), { value: contents.user });
}

translate();
fillForm();
element('dev-hint').hidden = !isDev;
element('entrance').addEventListener('submit', (event) => {
  event.preventDefault();
  join();
});
element('token').addEventListener('change', ({ target }) => {
  const contents = contentsOf(target.value.trim());
  if (!contents) return;
  element('room').value = contents.room;
  element('user').value = contents.user;
});
element('microphone').addEventListener('click', () => enable('microphone', !room.localParticipant.isMicrophoneEnabled));
element('camera').addEventListener('click', () => enable('camera', !room.localParticipant.isCameraEnabled));
element('leave').addEventListener('click', () => room?.disconnect());
element('sound').addEventListener('click', () => room?.startAudio());
element('chat').addEventListener('submit', (event) => {
  event.preventDefault();
  const text = element('text').value.trim();
  if (!text || !room) return;
  if (!Chat.fits(text)) return void notice(word('tooLong'));
  element('text').value = '';
  chat.send(room, text).catch(() => notice(word('notSent')));
});
if (!Room) {
  notice(word('noClient'));
  element('join').disabled = true;
}
