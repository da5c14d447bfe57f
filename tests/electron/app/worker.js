// Four streams drawn inside a web worker, which is its own JS environment.
const { join } = require('path');
const addon = `../../../native-bench/zego-express.${process.platform}-${process.arch}.node`;
const { NativeEngine, BenchSource } = require(join(decodeURIComponent(new URL(addon, location.href).pathname)));

const STREAMS = 4;
const images = new Map();
const context = new OffscreenCanvas(640, 360).getContext('2d');
let drawn = 0;

const native = new NativeEngine((view, slot, width, height) => {
  if (view === 0) return void setTimeout(() => native.resume(), 0);
  if (slot >= 0) {
    context.putImageData(images.get(view)[slot], 0, 0);
    drawn++;
    return undefined;
  }
  const ring = [0, 1, 2].map(() => new Uint8ClampedArray(width * height * 4));
  images.set(view, ring.map((bytes) => new ImageData(bytes, width, height)));
  return native.setViewRing(view, width, height, ring);
});

/** Kept, as a source stops when it is garbage-collected. */
globalThis.sources = Array.from({ length: STREAMS }, (_, index) => {
  const view = native.createView(640, 360, 0);
  return new BenchSource(native, view, 640, 360, 60, index / STREAMS);
});

setInterval(() => {
  postMessage(drawn);
  drawn = 0;
}, 20);
