'use strict';

const { ipcRenderer } = window.require('electron');
const engine = window.require('zego-express-engine-electron/ZegoExpressEngine');
const defines = window.require('zego-express-engine-electron/ZegoExpressDefines');

const $ = (id) => document.getElementById(id);
const query = new URLSearchParams(location.search);
const number = Number(query.get('n') || '1');

// The built-in server adopts the key of its first app; a server of your own has its keys in its configuration.
const APP_ID = 1234567890;
const APP_SIGN = '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef';

const state = { engine: false, room: false, preview: false, publishing: false, playing: '', streams: new Set() };
const toggles = { muteMicrophone: false, muteVideo: false, camera: false, muteSpeaker: false };

$('room').value = query.get('room') || 'demo-room';
$('user').value = query.get('user') || `user-${number}`;
$('publishStream').value = query.get('publish') || `stream-${number}`;
$('playStream').value = query.get('play') || '';
$('server').value = query.get('server') || '';
$('preset').value = query.get('preset') || '4';

function log(name, value, bad = false) {
  const line = document.createElement('li');
  const time = document.createElement('time');
  time.textContent = new Date().toISOString().slice(11, 23);
  line.append(time, `${name} ${value === undefined ? '' : JSON.stringify(value)}`);
  if (bad) line.className = 'bad';
  $('log').prepend(line);
  while ($('log').children.length > 300) $('log').lastChild.remove();
}

function render() {
  $('create').disabled = state.engine;
  $('destroy').disabled = !state.engine;
  $('login').disabled = !state.engine || state.room;
  $('logout').disabled = !state.room;
  for (const id of ['preview', 'share', 'cameras', 'microphones', 'speakers', 'muteMicrophone', 'muteSpeaker', 'camera']) {
    $(id).disabled = !state.engine;
  }
  for (const id of ['publish', 'play', 'send']) $(id).disabled = !state.room;
  $('muteVideo').disabled = !state.publishing;
  $('preview').textContent = state.preview ? 'Stop preview' : 'Start preview';
  $('publish').textContent = state.publishing ? 'Stop publishing' : 'Start publishing';
  $('play').textContent = state.playing ? 'Stop playing' : 'Start playing';
  $('share').textContent = screenShare.isOn() ? 'Stop sharing' : 'Share screen';
  $('share').classList.toggle('on', screenShare.isOn());
  const labels = {
    muteMicrophone: ['Mute microphone', 'Unmute microphone'],
    muteVideo: ['Mute video', 'Unmute video'],
    camera: ['Camera off', 'Camera on'],
    muteSpeaker: ['Mute speaker', 'Unmute speaker'],
  };
  for (const [id, [off, on]] of Object.entries(labels)) {
    $(id).textContent = toggles[id] ? on : off;
    $(id).classList.toggle('on', toggles[id]);
  }
  $('localState').textContent = state.publishing ? `publishing ${$('publishStream').value}` : state.preview ? 'preview' : 'no preview';
  $('remoteState').textContent = state.playing ? `playing ${state.playing}` : 'not playing';
  $('streams').replaceChildren(...[...state.streams].map((id) => Object.assign(document.createElement('option'), { value: id })));
}

function fill(select, devices) {
  select.replaceChildren(...devices.map(({ deviceID, deviceName }) => new Option(deviceName, deviceID)));
  if (devices.length === 0) select.append(new Option('none', ''));
}

/** Uses fake devices where the machine has none, and shows a note. */
function fakeDevices() {
  const missing = [];
  const probe = (list, name) => {
    if (list.length === 0) missing.push(name);
  };
  probe(engine.getVideoDeviceList(), 'camera');
  probe(engine.getAudioDeviceList(defines.ZegoAudioDeviceType.Input), 'microphone');
  probe(engine.getAudioDeviceList(defines.ZegoAudioDeviceType.Output), 'speaker');
  return missing;
}

const { makeScreenShare } = window.require('./screen_share');
const screenShare = makeScreenShare({ engine, defines, $, render, log });

function notice(text) {
  $('notice').hidden = !text;
  $('notice').textContent = text;
}

function listen() {
  engine.on('onRoomStateUpdate', (event) => {
    state.room = event.state === defines.ZegoRoomState.Connected;
    if (event.state === defines.ZegoRoomState.Disconnected) {
      Object.assign(state, { publishing: false, playing: '', preview: false });
      state.streams.clear();
    }
    render();
  });
  engine.on('onRoomStreamUpdate', ({ updateType, streamList }) => {
    for (const { streamID } of streamList) {
      if (updateType === defines.ZegoUpdateType.Add) {
        state.streams.add(streamID);
        if (!$('playStream').value) $('playStream').value = streamID;
        if (!state.playing && $('playStream').value === streamID) play(streamID);
      } else {
        state.streams.delete(streamID);
        if (state.playing === streamID) stopPlaying();
      }
    }
    render();
  });
  engine.on('onPublisherStateUpdate', (event) => {
    if (event.state === defines.ZegoPublisherState.NoPublish) state.publishing = false;
    render();
  });
  engine.on('onPlayerStateUpdate', (event) => {
    if (event.state === defines.ZegoPlayerState.NoPlay && state.playing === event.streamID) state.playing = '';
    render();
  });
  const quiet = new Set(['onPublisherQualityUpdate', 'onPlayerQualityUpdate']);
  for (const name of [
    'onRoomStateUpdate', 'onRoomStateChanged', 'onRoomUserUpdate', 'onRoomStreamUpdate', 'onPublisherStateUpdate',
    'onPlayerStateUpdate', 'onPublisherCapturedAudioFirstFrame', 'onPublisherCapturedVideoFirstFrame',
    'onPublisherSendAudioFirstFrame', 'onPublisherSendVideoFirstFrame', 'onPublisherVideoSizeChanged',
    'onPlayerRecvAudioFirstFrame', 'onPlayerRecvVideoFirstFrame', 'onPlayerRenderVideoFirstFrame',
    'onPlayerVideoSizeChanged', 'onRemoteCameraStateUpdate', 'onRemoteMicStateUpdate', 'onIMRecvBroadcastMessage',
    'onIMRecvCustomCommand', 'onPublisherQualityUpdate', 'onPlayerQualityUpdate', 'onDebugError',
  ]) {
    engine.on(name, (event) => {
      if (!quiet.has(name)) log(name, event, name === 'onDebugError' || Boolean(event && event.errorCode));
    });
  }
}

async function create() {
  const profile = { appID: APP_ID, appSign: APP_SIGN, scenario: defines.ZegoScenario.Default };
  if ($('server').value) profile.server = $('server').value;
  if (query.has('speaker')) engine.setEngineConfig({ advancedConfig: { zego_fake_speaker: query.get('speaker') } });
  await engine.createEngine(profile);
  // Without devices the engine is created again with fake ones.
  const missing = fakeDevices();
  if (missing.length > 0) {
    engine.destroyEngine();
    const advancedConfig = {};
    if (missing.includes('camera')) advancedConfig.zego_fake_camera = 'pattern';
    if (missing.includes('microphone')) advancedConfig.zego_fake_microphone = 'tone';
    if (missing.includes('speaker')) advancedConfig.zego_fake_speaker = 'null';
    engine.setEngineConfig({ advancedConfig });
    await engine.createEngine(profile);
    notice(`No ${missing.join(', no ')}: a fake one stands in`);
  }
  state.engine = true;
  listen();
  fill($('cameras'), engine.getVideoDeviceList());
  fill($('microphones'), engine.getAudioDeviceList(defines.ZegoAudioDeviceType.Input));
  fill($('speakers'), engine.getAudioDeviceList(defines.ZegoAudioDeviceType.Output));
  setPreset();
  $('version').textContent = engine.getVersion();
  log('createEngine', { version: engine.getVersion() });
  render();
}

function destroy() {
  screenShare.forget();
  engine.destroyEngine();
  Object.assign(state, { engine: false, room: false, preview: false, publishing: false, playing: '' });
  state.streams.clear();
  for (const id of Object.keys(toggles)) toggles[id] = false;
  render();
}

function login() {
  const user = { userID: $('user').value, userName: $('user').value };
  engine.loginRoom($('room').value, user, { isUserStatusNotify: true });
}

function startPreview() {
  engine.startPreview({ canvas: $('localCanvas') });
  state.preview = true;
  render();
}

function stopPreview() {
  engine.stopPreview();
  state.preview = false;
  render();
}

function publish() {
  engine.startPublishingStream($('publishStream').value);
  state.publishing = true;
  render();
}

function stopPublishing() {
  engine.stopPublishingStream();
  state.publishing = false;
  render();
}

function play(streamID) {
  if (!streamID) return;
  engine.startPlayingStream(streamID, { canvas: $('remoteCanvas') });
  state.playing = streamID;
  render();
}

function stopPlaying() {
  if (state.playing) engine.stopPlayingStream(state.playing);
  state.playing = '';
  render();
}

function setPreset() {
  const sizes = { 2: [640, 360, 600], 3: [960, 540, 1200], 4: [1280, 720, 1800], 5: [1920, 1080, 3000] };
  const [width, height, bitrate] = sizes[$('preset').value];
  engine.setVideoConfig({
    captureWidth: width, captureHeight: height, encodeWidth: width, encodeHeight: height, fps: 30, bitrate,
  });
}

function toggle(id, apply) {
  $(id).onclick = () => {
    toggles[id] = !toggles[id];
    apply(toggles[id]);
    render();
  };
}

$('create').onclick = () => create().catch((error) => log('createEngine', String(error), true));
$('destroy').onclick = destroy;
$('login').onclick = login;
$('logout').onclick = () => engine.logoutRoom($('room').value);
$('preview').onclick = () => (state.preview ? stopPreview() : startPreview());
$('publish').onclick = () => (state.publishing ? stopPublishing() : publish());
$('play').onclick = () => (state.playing ? stopPlaying() : play($('playStream').value));
$('share').onclick = () => (screenShare.isOn() ? screenShare.stop() : screenShare.choose());
$('second').onclick = () => ipcRenderer.send('open-participant');
$('preset').onchange = () => state.engine && setPreset();
$('volume').oninput = () => state.playing && engine.setPlayVolume(state.playing, Number($('volume').value));
$('cameras').onchange = () => engine.useVideoDevice($('cameras').value);
$('microphones').onchange = () => engine.useAudioDevice($('microphones').value, defines.ZegoAudioDeviceType.Input);
$('speakers').onchange = () => engine.useAudioDevice($('speakers').value, defines.ZegoAudioDeviceType.Output);
$('send').onclick = async () => log('sendBroadcastMessage', await engine.sendBroadcastMessage($('room').value, $('message').value));
toggle('muteMicrophone', (on) => engine.muteMicrophone(on));
toggle('muteVideo', (on) => engine.mutePublishStreamVideo(on));
toggle('camera', (on) => engine.enableCamera(!on));
toggle('muteSpeaker', (on) => engine.muteSpeaker(on));

// ---- statistics

const { watchCanvas } = window.require('./strip_reader');
const remote = watchCanvas($('remoteCanvas'));
let before;

function numbers() {
  if (!state.engine) return;
  const stats = JSON.parse(engine.callExperimentalAPI(JSON.stringify({ method: 'getStats' })));
  const sum = (list, key) => list.reduce((total, item) => total + (item[key] || 0), 0);
  const now = {
    at: performance.now(),
    sent: sum(stats.publishers, 'videoBytesSent') + sum(stats.publishers, 'audioBytesSent'),
    received: sum(stats.players, 'videoBytesReceived') + sum(stats.players, 'audioBytesReceived'),
    encoded: sum(stats.publishers, 'framesSent'),
    rendered: sum(stats.players, 'framesRendered'),
    lost: sum(stats.players.map((player) => player.video || {}), 'lost'),
    packets: sum(stats.players.map((player) => player.video || {}), 'packets'),
  };
  if (before) {
    const seconds = (now.at - before.at) / 1000;
    const rate = (key) => (now[key] - before[key]) / seconds;
    const kbps = (key) => Math.round((rate(key) * 8) / 1000);
    const packets = now.packets - before.packets;
    const lost = packets > 0 ? (100 * (now.lost - before.lost)) / (packets + now.lost - before.lost) : 0;
    const latency = remote.recentLatency();
    $('numbers').textContent =
      `sent ${rate('encoded').toFixed(0)} fps, ${kbps('sent')} kbit/s   ·   received ${rate('rendered').toFixed(0)} fps, ` +
      `${kbps('received')} kbit/s   ·   RTT ${stats.network.rttMs.toFixed(1)} ms   ·   loss ${lost.toFixed(1)} %   ·   ` +
      `latency ${latency === undefined ? '–' : `${latency.toFixed(0)} ms (capture to canvas)`}`;
  }
  before = now;
}
setInterval(numbers, 1000);

// ---- automation for the check

async function automatic() {
  const started = Date.now();
  await create();
  engine.once('onPlayerRenderVideoFirstFrame', () => (window.firstRemoteFrameMs = Date.now() - started));
  engine.once('onRoomStateUpdate', () => startPreview());
  login();
  publish();
}

window.report = () => remote.report();
render();
if (query.has('auto')) automatic().catch((error) => log('automatic', String(error), true));
