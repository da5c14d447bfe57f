// A user in a page with fake devices, driven by the tests. Records the engine's events.
const { join } = require('path');

const engine = require(join(__dirname, '../../../ZegoExpressEngine.js'));
const events = [];
const unhandled = [];
Object.assign(window, { engine, events, unhandled });

for (const event of ['onRoomStateUpdate', 'onPublisherStateUpdate', 'onPlayerStateUpdate', 'onDebugError']) {
  engine.on(event, (param) => events.push({ event, param }));
}
/** Frame size of each played stream. */
window.sizes = {};
engine.on('onPlayerVideoSizeChanged', ({ streamID, width, height }) => (window.sizes[streamID] = { width, height }));
window.addEventListener('unhandledrejection', ({ reason }) => unhandled.push(String(reason)));
engine.setEngineConfig({
  advancedConfig: { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null' },
});

/** Logs in and publishes a stream that is called like the user. Without a `server` the engine finds or starts one. */
window.enter = async (userID, server) => {
  const app = { appID: 1234567890, appSign: '0123456789abcdef'.repeat(4), scenario: 3 };
  await engine.createEngine(server ? { ...app, server } : app);
  engine.loginRoom('room', { userID, userName: userID }, { isUserStatusNotify: true });
  engine.startPublishingStream(userID);
};

window.play = (streamID, canvasId, look = {}) =>
  engine.startPlayingStream(streamID, { canvas: document.getElementById(canvasId), ...look });

/** `state:errorCode` of all events of that name, in order. */
window.states = (name) =>
  events.filter(({ event }) => event === name).map(({ param }) => `${param.state}:${param.errorCode}`);

/** Numbers of a stream that this user plays. */
window.player = (streamID) => {
  const { players } = JSON.parse(engine.callExperimentalAPI('{"method":"getStats"}'));
  return players.find((player) => player.streamID === streamID);
};
