// A process with one engine, driven by its parent: see `startClient` in harness.mjs.
import { createRequire } from 'node:module';

const engine = createRequire(import.meta.url)('../../ZegoExpressEngine.js');
const EVENTS = [
  'onDebugError',
  'onIMRecvBarrageMessage',
  'onIMRecvBroadcastMessage',
  'onNetworkSpeedTestError',
  'onNetworkSpeedTestQualityUpdate',
  'onNetworkTimeSynchronized',
  'onPlayerStateUpdate',
  'onPublisherStateUpdate',
  'onRoomExtraInfoUpdate',
  'onRoomOnlineUserCountUpdate',
  'onRoomStateChanged',
  'onRoomStateUpdate',
  'onRoomStreamExtraInfoUpdate',
  'onRoomStreamUpdate',
  'onRoomTokenWillExpire',
];
let watched;

/** Longest step of the clock. A process that was descheduled for longer learns nothing about the frames. */
const MAX_STEP_MS = 60;

/**
 * Records how long the frames of the only player, or else of the only publisher, stall. Time in which this process
 * itself was descheduled counts only in part.
 */
function watchFrames() {
  clearInterval(watched?.timer);
  watched = { frames: 0, longestStallMs: 0, stallMs: 0, at: performance.now() };
  watched.timer = setInterval(() => {
    const now = performance.now();
    const { players, publishers } = JSON.parse(engine.callExperimentalAPI('{"method":"getStats"}'));
    const frames = players[0]?.framesDecoded ?? publishers[0].framesSent;
    watched.stallMs += Math.min(now - watched.at, MAX_STEP_MS);
    watched.at = now;
    watched.longestStallMs = Math.max(watched.longestStallMs, watched.stallMs);
    if (frames !== watched.frames) Object.assign(watched, { frames, stallMs: 0 });
  }, 20);
}

const own = {
  async create({ roomMode, ...profile }, advanced = {}) {
    if (roomMode !== undefined) engine.setRoomMode(roomMode);
    engine.setEngineConfig({
      advancedConfig: { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null', ...advanced },
    });
    await engine.createEngine(profile);
    for (const name of EVENTS) engine.on(name, (param) => process.send({ event: name, param }));
    engine.on('onPlayerRecvSEI', ({ streamID, data }) => {
      const param = { streamID, isBytes: data instanceof Uint8Array, text: new TextDecoder().decode(data) };
      process.send({ event: 'onPlayerRecvSEI', param });
    });
  },
  sendSEIText: (text) => engine.sendSEI(new TextEncoder().encode(text).buffer),
  watchFrames,
  watchedFrames: () => ({ frames: watched.frames, longestStallMs: watched.longestStallMs }),
  /** After this only a leaked handle could keep the process alive. */
  finish() {
    clearInterval(watched?.timer);
    engine.destroyEngine();
    setImmediate(() => process.disconnect());
  },
};

process.on('message', async ({ id, method, args }) => {
  try {
    process.send({ id, value: await (own[method] ?? engine[method].bind(engine))(...args) });
  } catch (error) {
    process.send({ id, error: String(error) });
  }
});
