'use strict';

// Reads the strip that the fake camera `pattern` draws at the top of its frames: 2 rows of 32 square cells, white = 1,
// most significant bit first: 48 bits of capture time (ms since the Unix epoch), then 16 bits of frame counter.

const COLUMNS = 32;
const RECENT = 60;

function readStrip({ data, width, height }) {
  const cell = width / COLUMNS;
  if (height < 2 * cell) return undefined;
  const bit = (index) => {
    const x = Math.floor(((index % COLUMNS) + 0.5) * cell);
    const y = Math.floor((Math.floor(index / COLUMNS) + 0.5) * cell);
    return data[(y * width + x) * 4] > 127 ? 1 : 0;
  };
  let captured = 0;
  for (let index = 0; index < 48; index += 1) captured = captured * 2 + bit(index);
  let counter = 0;
  for (let index = 48; index < 64; index += 1) counter = counter * 2 + bit(index);
  return { captured, counter };
}

const quantile = (list, q) => {
  const sorted = [...list].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
};

/** Counts different frames by their strips, and their age since capture. */
function watchFrames() {
  const latencies = [];
  const recent = [];
  const waiting = [];
  let last;
  let first;
  let newest;
  return {
    /** A frame with this strip is shown now. */
    frame: (strip) => {
      const now = Date.now();
      // A frame without the strip reads as a distant time.
      if (!strip || Math.abs(now - strip.captured) > 10_000 || strip.counter === last) return;
      last = strip.counter;
      first ??= now;
      newest = now;
      waiting.splice(0).forEach((resolve) => resolve());
      latencies.push(now - strip.captured);
      recent.push(now - strip.captured);
      if (recent.length > RECENT) recent.shift();
    },
    /** Resolves when the next frame is shown. */
    first: () => new Promise((resolve) => waiting.push(resolve)),
    recentLatency: () => (newest && Date.now() - newest < 2000 ? quantile(recent, 0.5) : undefined),
    reset: () => {
      latencies.length = 0;
      first = undefined;
    },
    report: () => ({
      frames: latencies.length,
      fps: first === undefined || newest === first ? 0 : ((latencies.length - 1) * 1000) / (newest - first),
      p50: quantile(latencies, 0.5),
      p95: quantile(latencies, 0.95),
    }),
  };
}

/**
 * Watches the frames on a canvas. It reads the pixels that the SDK passes to the canvas
 * because reading a canvas back would cost more than drawing.
 */
function watchCanvas(canvas) {
  const watch = watchFrames();
  const original = CanvasRenderingContext2D.prototype.putImageData;
  CanvasRenderingContext2D.prototype.putImageData = function putImageData(image, ...rest) {
    original.call(this, image, ...rest);
    if (this.canvas === canvas) watch.frame(readStrip(image));
  };
  return watch;
}

module.exports = { readStrip, watchCanvas, watchFrames };
