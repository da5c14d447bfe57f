'use strict';

/** Records each new frame that is shown: when, its capture time, its number. */
module.exports = function noteShown() {
  let shown = [];
  let last;
  const waiting = [];
  return {
    frame(strip) {
      const now = Date.now();
      // A frame without the strip reads as a distant time.
      if (!strip || Math.abs(now - strip.captured) > 20_000 || strip.counter === last) return;
      last = strip.counter;
      shown.push([now, strip.captured, strip.counter]);
      waiting.splice(0).forEach((resolve) => resolve());
    },
    first: () => new Promise((resolve) => waiting.push(resolve)),
    /** Frames recorded since the last call. */
    take: () => shown.splice(0),
  };
};
