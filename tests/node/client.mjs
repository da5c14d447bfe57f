// A process with one engine, driven by its parent: see `startClient` in harness.mjs.
import { createRequire } from 'node:module';

const engine = createRequire(import.meta.url)('../../ZegoExpressEngine.js');
const EVENTS = [
  'onDebugError',
  'onPlayerStateUpdate',
  'onPublisherStateUpdate',
  'onRoomStateChanged',
  'onRoomStateUpdate',
  'onRoomStreamUpdate',
];
let watched;

/** Notes how long the number of decoded frames of the only player stands still, seen from this process. */
function watchFrames() {
  clearInterval(watched?.timer);
  watched = { frames: 0, longestStallMs: 0, since: performance.now() };
  watched.timer = setInterval(() => {
    const now = performance.now();
    const { framesDecoded } = JSON.parse(engine.callExperimentalAPI('{"method":"getStats"}')).players[0];
    watched.longestStallMs = Math.max(watched.longestStallMs, now - watched.since);
    if (framesDecoded === watched.frames) return;
    Object.assign(watched, { frames: framesDecoded, since: now });
  }, 20);
}

const own = {
  async create(profile) {
    engine.setEngineConfig({
      advancedConfig: { zego_fake_camera: 'pattern', zego_fake_microphone: 'tone', zego_fake_speaker: 'null' },
    });
    await engine.createEngine(profile);
    for (const name of EVENTS) engine.on(name, (param) => process.send({ event: name, param }));
  },
  watchFrames,
  watchedFrames: () => ({ frames: watched.frames, longestStallMs: watched.longestStallMs }),
  /** After this only a handle left behind could keep the process alive. */
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
