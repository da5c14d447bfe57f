// One side of a call: publishes, or plays and reads what is drawn.
const { join } = window.require('path');
const engine = window.require(join(__dirname, '../../../ZegoExpressEngine.js'));
const { watchCanvas } = window.require(join(__dirname, '../../../electron-demo/strip_reader.js'));

const canvas = document.getElementById('canvas');
const watch = watchCanvas(canvas);
const name = new URLSearchParams(location.search).get('name');

async function enter(server, room) {
  engine.setEngineConfig({
    advancedConfig: { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null' },
  });
  await engine.createEngine({ appID: 1234567890, appSign: '0123456789abcdef'.repeat(4), scenario: 3, server });
  engine.loginRoom(room, { userID: name, userName: name });
}

window.publish = async (server, room, config) => {
  await enter(server, room);
  engine.setVideoConfig(config);
  const published = new Promise((resolve) => {
    engine.on('onPublisherStateUpdate', ({ state }) => state === 2 && resolve());
  });
  engine.startPublishingStream('stream');
  await published;
};

/** Resolves with the milliseconds from createEngine to the first frame on the canvas. */
window.play = async (server, room, _config, stream = 'stream') => {
  const started = performance.now();
  const first = watch.first();
  await enter(server, room);
  engine.startPlayingStream(stream, { canvas });
  await first;
  return performance.now() - started;
};

window.reset = () => watch.reset();
window.report = () => watch.report();
window.setReading = () => {};
window.stop = () => engine.destroyEngine();
