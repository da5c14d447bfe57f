// The same call by livekit-client: Chromium's WebRTC, its video drawn on a canvas as the vendor's users need it.
const { createHmac } = window.require('crypto');
const { join } = window.require('path');
const { Room, LocalVideoTrack, Track } = window.require(join(__dirname, '../../../node_modules/livekit-client/dist/livekit-client.umd.js'));
const { readStrip, watchFrames } = window.require(join(__dirname, '../../../electron-demo/strip_reader.js'));

const KEY = '1234567890';
const SECRET = '0123456789abcdef'.repeat(4);
const canvas = document.getElementById('canvas');
const identity = new URLSearchParams(location.search).get('name');
const watch = watchFrames();
const video = document.createElement('video');
let room;
let reading = true;

function token(roomName) {
  const text = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const now = Math.floor(Date.now() / 1000);
  const claims = { iss: KEY, sub: identity, nbf: now - 5, exp: now + 3600, video: { room: roomName, roomJoin: true } };
  const body = `${text({ alg: 'HS256', typ: 'JWT' })}.${text(claims)}`;
  return `${body}.${createHmac('sha256', SECRET).update(body).digest('base64url')}`;
}

/** The fake camera's video, drawn in the page: bars, a moving box, and the strip with the capture time. */
function pattern({ captureWidth: width, captureHeight: height, fps }) {
  const surface = new OffscreenCanvas(width, height);
  const context = surface.getContext('2d', { alpha: false });
  const colours = ['#c0c0c0', '#c0c000', '#00c0c0', '#00c000', '#c000c0', '#c00000', '#0000c0', '#000000'];
  const bars = new OffscreenCanvas(width, height);
  const barsContext = bars.getContext('2d', { alpha: false });
  colours.forEach((colour, index) => {
    barsContext.fillStyle = colour;
    barsContext.fillRect((index * width) / 8, 0, width / 8, height);
  });
  const cell = width / 32;
  const generator = new MediaStreamTrackGenerator({ kind: 'video' });
  const writer = generator.writable.getWriter();
  let counter = 0;
  setInterval(() => {
    counter = (counter + 1) & 0xffff;
    const bits = Date.now().toString(2).padStart(48, '0') + counter.toString(2).padStart(16, '0');
    context.drawImage(bars, 0, 0);
    context.fillStyle = '#ff8811';
    context.fillRect((counter * 7) % (width - 64), height / 2, 64, 64);
    for (let index = 0; index < 64; index++) {
      context.fillStyle = bits[index] === '1' ? '#fff' : '#000';
      context.fillRect((index % 32) * cell, Math.floor(index / 32) * cell, cell, cell);
    }
    const frame = new VideoFrame(surface, { timestamp: performance.now() * 1000 });
    writer.write(frame).catch(() => {});
  }, 1000 / fps);
  return generator;
}

window.publish = async (server, roomName, config) => {
  room = new Room();
  await room.connect(server, token(roomName));
  const track = new LocalVideoTrack(pattern(config));
  await room.localParticipant.publishTrack(track, {
    source: Track.Source.Camera,
    simulcast: false,
    videoCodec: 'h264',
    videoEncoding: { maxBitrate: config.bitrate * 1000, maxFramerate: config.fps },
  });
};

window.play = async (server, roomName, config) => {
  const started = performance.now();
  const first = watch.first();
  canvas.width = config.encodeWidth;
  canvas.height = config.encodeHeight;
  const context = canvas.getContext('2d', { alpha: false, desynchronized: true });
  const strip = { width: config.encodeWidth, height: Math.ceil(config.encodeWidth / 16) };
  const draw = () => {
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    if (reading) watch.frame(readStrip(context.getImageData(0, 0, strip.width, strip.height)));
    video.requestVideoFrameCallback(draw);
  };
  room = new Room();
  room.on('trackSubscribed', (track) => {
    track.attach(video);
    video.requestVideoFrameCallback(draw);
  });
  await room.connect(server, token(roomName));
  await first;
  return performance.now() - started;
};

window.reset = () => watch.reset();
window.report = () => watch.report();
/** Reading a canvas back costs more than drawing on it, so it is off while CPU is measured. */
window.setReading = (on) => (reading = on);
window.stop = () => room.disconnect();
