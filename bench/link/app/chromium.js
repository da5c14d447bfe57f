// One side of a call by livekit-client: Chromium's WebRTC, its video drawn on a canvas as an app needs it.
const { join } = window.require('path');
const { Room, LocalVideoTrack, Track } = window.require(join(__dirname, '../../../node_modules/livekit-client/dist/livekit-client.umd.js'));
const { readStrip } = window.require(join(__dirname, '../../../electron-demo/strip_reader.js'));
const { WIDTH, HEIGHT, FPS, playTestVideo } = window.require(join(__dirname, 'test_video.js'));
const noteShown = window.require(join(__dirname, 'shown.js'));
const token = window.require(join(__dirname, 'token.js'));

const canvas = document.getElementById('canvas');
const shown = noteShown();
const identity = new URLSearchParams(location.search).get('name');
const video = document.createElement('video');
const room = new Room();
let played;

window.publish = async ({ url, room: name, testVideo, kbps }) => {
  await room.connect(url, token(name, identity));
  const generator = new MediaStreamTrackGenerator({ kind: 'video' });
  const writer = generator.writable.getWriter();
  playTestVideo(testVideo, (data) => {
    const timestamp = Math.round(performance.now() * 1000);
    const frame = new VideoFrame(data, { format: 'I420', codedWidth: WIDTH, codedHeight: HEIGHT, timestamp });
    writer.write(frame).catch(() => {});
  });
  await room.localParticipant.publishTrack(new LocalVideoTrack(generator), {
    source: Track.Source.Camera,
    simulcast: false,
    videoCodec: 'vp8',
    videoEncoding: { maxBitrate: kbps * 1000, maxFramerate: FPS },
  });
};

window.play = async ({ url, room: name }) => {
  const first = shown.first();
  [canvas.width, canvas.height] = [640, 360];
  const context = canvas.getContext('2d', { alpha: false, desynchronized: true, willReadFrequently: true });
  const draw = () => {
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    shown.frame(readStrip(context.getImageData(0, 0, canvas.width, canvas.width / 16)));
    video.requestVideoFrameCallback(draw);
  };
  room.on('trackSubscribed', (track) => {
    played = track;
    track.attach(video);
    video.requestVideoFrameCallback(draw);
  });
  await room.connect(url, token(name, identity));
  await first;
};

window.take = () => shown.take();
window.decoded = async () => {
  const stats = [...(await played.receiver.getStats()).values()];
  return stats.find(({ type, kind }) => type === 'inbound-rtp' && kind === 'video').framesDecoded;
};
window.stop = () => room.disconnect();
