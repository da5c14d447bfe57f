// One side of a call by this package: publishes, or plays and reads what is drawn on the canvas.
const { join } = window.require('path');
const engine = window.require(join(__dirname, '../../../ZegoExpressEngine.js'));
const { readStrip } = window.require(join(__dirname, '../../../electron-demo/strip_reader.js'));
const { WIDTH, HEIGHT, FPS } = window.require(join(__dirname, 'test_video.js'));
const noteShown = window.require(join(__dirname, 'shown.js'));

const canvas = document.getElementById('canvas');
const shown = noteShown();
const name = new URLSearchParams(location.search).get('name');
const putImageData = CanvasRenderingContext2D.prototype.putImageData;
CanvasRenderingContext2D.prototype.putImageData = function putAndRead(image, ...rest) {
  putImageData.call(this, image, ...rest);
  if (this.canvas === canvas) shown.frame(readStrip(image));
};

async function enter({ url, room, testVideo }) {
  engine.setEngineConfig({
    advancedConfig: { zego_fake_camera: `strip:${testVideo}`, zego_fake_microphone: 'tone', zego_fake_speaker: 'null' },
  });
  await engine.createEngine({ appID: 1234567890, appSign: '0123456789abcdef'.repeat(4), scenario: 3, server: url });
  engine.loginRoom(room, { userID: name, userName: name });
}

window.publish = async (call) => {
  await enter(call);
  const size = { captureWidth: WIDTH, captureHeight: HEIGHT, encodeWidth: WIDTH, encodeHeight: HEIGHT };
  engine.setVideoConfig({ ...size, fps: FPS, bitrate: call.kbps });
  const published = new Promise((resolve) => {
    engine.on('onPublisherStateUpdate', ({ state }) => state === 2 && resolve());
  });
  engine.startPublishingStream('stream');
  await published;
};

window.play = async (call) => {
  const first = shown.first();
  await enter(call);
  // Video alone, as the peers play it here: with audio it would wait for lip sync.
  if (!call.audio) engine.muteAllPlayStreamAudio(true);
  engine.startPlayingStream(call.stream, { canvas });
  await first;
  if (call.audio) sampling = setInterval(sample, 250);
};

/** How far the video was behind its audio, in milliseconds. */
const offsets = [];
let sampling;
const sample = () => {
  const { offsetMs } = window.stats().players[0].timing;
  if (offsetMs !== null) offsets.push(offsetMs);
};
window.offsets = () => offsets.splice(0);
window.take = () => shown.take();
window.decoded = () => JSON.parse(engine.callExperimentalAPI('{"method":"getStats"}')).players[0].framesDecoded;
window.stats = () => JSON.parse(engine.callExperimentalAPI('{"method":"getStats"}'));
window.stop = () => {
  clearInterval(sampling);
  return engine.destroyEngine();
};
