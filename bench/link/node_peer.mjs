// One side of a call by @livekit/rtc-node: libwebrtc in a Node process. It delivers frames and draws none.
import { createRequire } from 'node:module';
import noteShown from './app/shown.js';
import { HEIGHT, FPS, WIDTH, playTestVideo } from './app/test_video.js';
import token from './app/token.js';

// Installed with the interop tests.
const require = createRequire(new URL('../../tests/interop/package.json', import.meta.url));
const { LocalVideoTrack, Room, TrackPublishOptions, TrackSource, VideoBufferType, VideoCodec, VideoFrame, VideoSource, VideoStream } =
  require('@livekit/rtc-node');

const room = new Room();
const shown = noteShown();

function strip({ data, width, height }) {
  const cell = width / 32;
  if (height < 2 * cell) return undefined;
  const bit = (index) => {
    const [x, y] = [Math.floor(((index % 32) + 0.5) * cell), Math.floor((Math.floor(index / 32) + 0.5) * cell)];
    return data[y * width + x] > 127 ? 1 : 0;
  };
  const number = (from, to) => {
    let value = 0;
    for (let index = from; index < to; index++) value = value * 2 + bit(index);
    return value;
  };
  return { captured: number(0, 48), counter: number(48, 64) };
}

const does = {
  async publish({ url, room: name, testVideo, kbps }) {
    await room.connect(url, token(name, 'publisher'), { autoSubscribe: false, dynacast: false });
    const source = new VideoSource(WIDTH, HEIGHT);
    playTestVideo(testVideo, (data) => source.captureFrame(new VideoFrame(data, WIDTH, HEIGHT, VideoBufferType.I420)));
    const options = new TrackPublishOptions({
      source: TrackSource.SOURCE_CAMERA,
      simulcast: false,
      videoCodec: VideoCodec.VP8,
      videoEncoding: { maxBitrate: BigInt(kbps * 1000), maxFramerate: FPS },
    });
    await room.localParticipant.publishTrack(LocalVideoTrack.createVideoTrack('camera', source), options);
  },
  async play({ url, room: name }) {
    const first = shown.first();
    room.on('trackSubscribed', async (track) => {
      for await (const { frame } of new VideoStream(track)) shown.frame(strip(frame));
    });
    await room.connect(url, token(name, 'subscriber'), { autoSubscribe: true, dynacast: false });
    await first;
  },
  take: () => shown.take(),
  async decoded() {
    const { subscriberStats = [], ...rest } = await room.getRtcStats();
    const all = [...subscriberStats, ...(rest.publisherStats ?? [])];
    const frames = all.map(({ stats }) => stats.case === 'inboundRtp' && stats.value.inbound?.framesDecoded).filter(Boolean);
    return Math.max(0, ...frames);
  },
  stop: () => room.disconnect(),
};

process.on('disconnect', () => process.exit());
process.on('message', async ({ id, method, args }) => {
  try {
    process.send({ id, value: await does[method](...args) });
  } catch (error) {
    process.send({ id, error: String(error.stack) });
  }
});
